"""Animals and plants that a scene may show."""

from __future__ import annotations

import math

from .canvas import Canvas, Point
from .palettes import INK, Palette, mixed


def cat(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A cat that sits and looks at us."""
    body, belly = palette.accents[0], mixed(palette.accents[0], palette.light, 0.55)
    tail = [
        (0.34 + 0.2 * math.sin(t * 2.6), 0.62 - 0.75 * t + 0.1 * math.cos(t * 5))
        for t in [i / 14 for i in range(15)]
    ]
    points = [
        (at[0] + x * size * canvas.unit / canvas.width, at[1] + y * size * canvas.unit / canvas.height)
        for x, y in tail
    ]
    canvas.line(points, size * 0.15, body)
    canvas.ellipse(points[-1], (size * 0.075, size * 0.075), body)
    canvas.ellipse(at, (size * 0.4, size * 0.48), body, offset=(0, size * 0.32))
    canvas.ellipse(at, (size * 0.23, size * 0.3), belly, offset=(0, size * 0.42))
    for side in (-1, 1):
        canvas.shape(at, size, [(side * 0.4, -0.28), (side * 0.36, -0.82), (side * 0.06, -0.55)], body)
        canvas.shape(
            at, size, [(side * 0.33, -0.4), (side * 0.31, -0.68), (side * 0.14, -0.53)], palette.accents[1]
        )
        canvas.ellipse(at, (size * 0.13, size * 0.09), belly, offset=(side * size * 0.16, size * 0.74))
    canvas.ellipse(at, (size * 0.44, size * 0.37), body, offset=(0, -size * 0.25))
    for side in (-1, 1):
        canvas.ellipse(at, (size * 0.085, size * 0.105), INK, offset=(side * size * 0.17, -size * 0.28))
        canvas.ellipse(
            at,
            (size * 0.032, size * 0.036),
            (255, 255, 255),
            offset=(side * size * 0.17 + size * 0.03, -size * 0.32),
        )
        for rise in (-0.04, 0.02, 0.08):
            near = (
                at[0] + side * 0.14 * size * canvas.unit / canvas.width,
                at[1] - 0.14 * size * canvas.unit / canvas.height,
            )
            far = (
                at[0] + side * 0.5 * size * canvas.unit / canvas.width,
                at[1] + (-0.15 + rise) * size * canvas.unit / canvas.height,
            )
            canvas.line([near, far], size * 0.012, palette.light, 0.9)
    canvas.shape(at, size, [(-0.045, -0.17), (0.045, -0.17), (0, -0.115)], INK)


def dog(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A dog that sits, its ears hanging."""
    body, belly = palette.accents[0], mixed(palette.accents[0], palette.light, 0.6)
    canvas.ellipse(at, (size * 0.38, size * 0.46), body, offset=(0, size * 0.36))
    canvas.ellipse(at, (size * 0.2, size * 0.3), belly, offset=(0, size * 0.42))
    canvas.ellipse(at, (size * 0.36, size * 0.36), body, offset=(0, -size * 0.22))
    for side in (-1, 1):
        canvas.ellipse(
            at, (size * 0.13, size * 0.28), mixed(body, INK, 0.35), offset=(side * size * 0.38, -size * 0.16)
        )
        canvas.ellipse(at, (size * 0.055, size * 0.065), INK, offset=(side * size * 0.14, -size * 0.28))
        canvas.ellipse(at, (size * 0.13, size * 0.09), belly, offset=(side * size * 0.15, size * 0.76))
    canvas.ellipse(at, (size * 0.19, size * 0.15), belly, offset=(0, -size * 0.06))
    canvas.ellipse(at, (size * 0.075, size * 0.055), INK, offset=(0, -size * 0.13))
    canvas.box(at, (size * 0.1, size * 0.13), size * 0.05, palette.accents[1], (0, size * 0.09))


def bird(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A bird in flight."""
    canvas.shape(at, size, [(-0.45, 0.1), (-1.0, -0.12), (-0.92, 0.3)], palette.accents[1])
    canvas.ellipse(at, (size * 0.58, size * 0.34), palette.accents[0], offset=(0, size * 0.08))
    canvas.ellipse(at, (size * 0.28, size * 0.27), palette.accents[0], offset=(size * 0.5, -size * 0.12))
    canvas.shape(at, size, [(0.74, -0.2), (1.06, -0.08), (0.74, 0.04)], palette.light)
    canvas.ellipse(at, (size * 0.05, size * 0.05), INK, offset=(size * 0.58, -size * 0.18))
    canvas.shape(
        at,
        size,
        [(-0.32, 0.06), (0.3, 0.0), (-0.1, -0.86), (-0.42, -0.5)],
        mixed(palette.accents[0], INK, 0.25),
    )


def fish(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A fish, and the air it breathes out."""
    canvas.shape(at, size, [(-0.5, 0), (-1.0, -0.42), (-0.88, 0), (-1.0, 0.42)], palette.accents[1])
    canvas.shape(at, size, [(-0.2, -0.3), (0.25, -0.68), (0.34, -0.3)], palette.accents[1])
    canvas.ellipse(at, (size * 0.68, size * 0.42), palette.accents[0])
    for index in range(3):
        canvas.ellipse(
            at,
            (size * 0.05, size * 0.24),
            mixed(palette.accents[0], palette.light, 0.5),
            offset=((-0.34 + 0.2 * index) * size, 0),
        )
    canvas.ellipse(at, (size * 0.1, size * 0.1), (255, 255, 255), offset=(size * 0.42, -size * 0.1))
    canvas.ellipse(at, (size * 0.055, size * 0.055), INK, offset=(size * 0.44, -size * 0.1))
    for index in range(3):
        canvas.ellipse(
            at,
            (size * 0.04 * (index + 1),) * 2,
            palette.light,
            0.6,
            (size * (0.82 + 0.06 * index), -size * (0.28 + 0.24 * index)),
        )


def tree(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A round tree with fruit."""
    canvas.shape(at, size, [(-0.1, 0.2), (0.1, 0.2), (0.18, 0.95), (-0.18, 0.95)], (104, 66, 46))
    green = mixed(palette.land[0], (70, 160, 90), 0.6)
    for x, y, radius in ((-0.4, -0.05, 0.4), (0.4, -0.05, 0.4), (0, -0.4, 0.5), (0, 0.05, 0.42)):
        canvas.ellipse(
            at,
            (size * radius,) * 2,
            mixed(green, palette.light, 0.12 if y < 0 else 0),
            offset=(x * size, y * size),
        )
    for x, y in ((-0.42, 0.05), (0.1, -0.55), (0.38, -0.12), (-0.12, -0.1), (0.05, 0.22)):
        canvas.ellipse(at, (size * 0.07,) * 2, palette.accents[0], offset=(x * size, y * size))


def flower(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A flower with two leaves."""
    foot = (at[0], at[1] + 1.15 * size * canvas.unit / canvas.height)
    canvas.line([at, foot], size * 0.09, (64, 132, 84))
    for side in (-1, 1):
        canvas.shape(at, size, [(0, 0.85), (side * 0.5, 0.5), (side * 0.3, 0.86)], (64, 132, 84))
    for index in range(8):
        angle = index / 8 * 2 * math.pi
        offset = (0.4 * size * math.cos(angle), 0.4 * size * math.sin(angle))
        canvas.ellipse(
            at,
            (size * 0.25,) * 2,
            mixed(palette.accents[0], palette.light, 0.15 * (index % 2)),
            offset=offset,
        )
    canvas.ellipse(at, (size * 0.25,) * 2, palette.accents[1])
