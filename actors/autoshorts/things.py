"""Things that a scene may show."""

from __future__ import annotations

import math

from .canvas import Canvas, Point
from .palettes import INK, Palette, mixed


def rocket(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A rocket on its way up."""
    for reach, colour in ((1.15, palette.accents[0]), (0.95, mixed(palette.accents[0], palette.light, 0.6))):
        canvas.shape(at, size, [(-0.2, 0.55), (0.2, 0.55), (0.0, reach)], colour)
    canvas.shape(at, size, [(-0.26, 0.1), (-0.52, 0.62), (-0.2, 0.5)], palette.accents[1])
    canvas.shape(at, size, [(0.26, 0.1), (0.52, 0.62), (0.2, 0.5)], palette.accents[1])
    hull = [(0.29 * math.sin(math.pi * t), -0.95 + 1.5 * t) for t in [i / 24 * 0.84 for i in range(25)]]
    canvas.shape(at, size, [(-x, y) for x, y in reversed(hull)] + hull, palette.light)
    nose = [(x, y) for x, y in hull if y < -0.5]
    canvas.shape(at, size, [(-x, y) for x, y in reversed(nose)] + nose, palette.accents[0])
    canvas.ellipse(at, (size * 0.15, size * 0.15), palette.accents[0], offset=(0, -size * 0.18))
    canvas.ellipse(at, (size * 0.105, size * 0.105), palette.sky[0], offset=(0, -size * 0.18))
    canvas.box(at, (size * 0.06, size * 0.32), size * 0.03, palette.accents[1], (0, size * 0.45))


def robot(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A robot that waves."""
    steel, dark = mixed(palette.light, palette.land[1], 0.25), mixed(palette.light, palette.land[2], 0.6)
    for side in (-1, 1):
        canvas.box(at, (size * 0.15, size * 0.36), size * 0.06, dark, (side * size * 0.19, size * 0.76))
        canvas.box(
            at,
            (size * 0.14, size * 0.5),
            size * 0.07,
            dark,
            (side * size * 0.48, size * (0.3 if side < 0 else -0.02)),
        )
        canvas.ellipse(
            at,
            (size * 0.1, size * 0.1),
            palette.accents[0],
            offset=(side * size * 0.48, size * (0.56 if side < 0 else -0.3)),
        )
    canvas.box(at, (size * 0.76, size * 0.66), size * 0.1, steel, (0, size * 0.3))
    canvas.box(at, (size * 0.44, size * 0.28), size * 0.05, dark, (0, size * 0.3))
    for index in range(3):
        canvas.ellipse(
            at,
            (size * 0.045, size * 0.045),
            [*palette.accents, palette.light][index],
            offset=((index - 1) * size * 0.13, size * 0.3),
        )
    canvas.box(at, (size * 0.05, size * 0.2), size * 0.02, dark, (0, -size * 0.72))
    canvas.ellipse(at, (size * 0.08, size * 0.08), palette.accents[0], offset=(0, -size * 0.84))
    canvas.box(at, (size * 0.82, size * 0.56), size * 0.16, steel, (0, -size * 0.36))
    canvas.box(at, (size * 0.64, size * 0.34), size * 0.12, INK, (0, -size * 0.37))
    for side in (-1, 1):
        canvas.ellipse(
            at, (size * 0.075, size * 0.085), palette.accents[1], offset=(side * size * 0.15, -size * 0.38)
        )


def house(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A house with a lit window."""
    canvas.box(
        at, (size * 0.16, size * 0.4), 0, mixed(palette.accents[0], INK, 0.4), (size * 0.34, -size * 0.52)
    )
    canvas.box(at, (size * 1.1, size * 0.9), size * 0.03, palette.light, (0, size * 0.4))
    canvas.shape(at, size, [(-0.76, 0.02), (0, -0.78), (0.76, 0.02)], palette.accents[0])
    canvas.box(at, (size * 0.28, size * 0.5), size * 0.03, palette.land[2], (-size * 0.2, size * 0.6))
    canvas.box(at, (size * 0.32, size * 0.32), size * 0.03, palette.accents[1], (size * 0.26, size * 0.32))
    canvas.box(at, (size * 0.03, size * 0.32), 0, palette.land[2], (size * 0.26, size * 0.32))
    canvas.box(at, (size * 0.32, size * 0.03), 0, palette.land[2], (size * 0.26, size * 0.32))


def book(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """An open book from which something rises."""
    canvas.shape(
        at,
        size,
        [(-0.94, -0.12), (0, 0.1), (0.94, -0.12), (0.94, 0.56), (0, 0.78), (-0.94, 0.56)],
        palette.accents[0],
    )
    for side in (-1, 1):
        page = [
            (0, 0.04),
            (side * 0.44, -0.2),
            (side * 0.86, -0.2),
            (side * 0.86, 0.44),
            (side * 0.44, 0.44),
            (0, 0.66),
        ]
        canvas.shape(
            at, size, page, palette.light if side > 0 else mixed(palette.light, palette.land[1], 0.12)
        )
        for line in range(4):
            y = 0.0 + 0.11 * line
            bar = [
                (side * 0.18, y + 0.05),
                (side * 0.74, y - 0.07),
                (side * 0.74, y - 0.04),
                (side * 0.18, y + 0.08),
            ]
            canvas.shape(at, size, bar, mixed(palette.light, palette.land[2], 0.45))
    for x, y, radius in ((-0.3, -0.5, 0.1), (0.05, -0.75, 0.16), (0.36, -0.45, 0.09)):
        centre = (
            at[0] + x * size * canvas.unit / canvas.width,
            at[1] + y * size * canvas.unit / canvas.height,
        )
        canvas.star(centre, radius * size, 5, palette.accents[1])


def cup(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A steaming cup."""
    for index in range(3):
        steam = [
            (
                at[0]
                + (-0.24 + 0.24 * index + 0.05 * math.sin(t * 7 + index)) * size * canvas.unit / canvas.width,
                at[1] + (-0.25 - 0.6 * t) * size * canvas.unit / canvas.height,
            )
            for t in [i / 14 for i in range(15)]
        ]
        canvas.line(steam, size * 0.055, palette.light, 0.65)
    right = (
        at[0] + 0.55 * size * canvas.unit / canvas.width,
        at[1] + 0.28 * size * canvas.unit / canvas.height,
    )
    canvas.ring(right, size * 0.26, size * 0.09, palette.light)
    canvas.ellipse(
        at, (size * 0.85, size * 0.12), mixed(palette.light, palette.land[2], 0.3), offset=(0, size * 0.8)
    )
    sides = [(-0.58, -0.12), (0.58, -0.12), (0.5, 0.5), (0.3, 0.76), (-0.3, 0.76), (-0.5, 0.5)]
    canvas.shape(at, size, sides, palette.light)
    canvas.shape(at, size, [(-0.565, 0.1), (0.565, 0.1), (0.535, 0.3), (-0.535, 0.3)], palette.accents[0])
    canvas.ellipse(at, (size * 0.58, size * 0.12), palette.light, offset=(0, -size * 0.12))
    canvas.ellipse(at, (size * 0.5, size * 0.085), (92, 54, 38), offset=(0, -size * 0.11))


def heart(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A heart that beats."""
    outline = []
    for step in range(60):
        t = step / 60 * 2 * math.pi
        x, y = (
            16 * math.sin(t) ** 3,
            13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t),
        )
        outline.append((x / 18, -y / 18))
    for grown, opacity in ((1.5, 0.12), (1.25, 0.2)):
        points = [
            (
                at[0] + x * grown * size * canvas.unit / canvas.width,
                at[1] + y * grown * size * canvas.unit / canvas.height,
            )
            for x, y in outline
        ]
        canvas.polygon(points, palette.light, opacity)
    canvas.shape(at, size, outline, palette.accents[0])
    canvas.ellipse(at, (size * 0.16, size * 0.11), palette.light, 0.75, (-size * 0.42, -size * 0.36))


def bulb(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A light bulb."""
    canvas.glow(at, size * 1.9, palette.light, 0.7)
    for index in range(10):
        angle = math.radians(-200 + index * 24.4)
        near, far = 0.8 * size, 1.05 * size
        points = [
            (
                at[0] + reach * math.cos(angle) * canvas.unit / canvas.width,
                at[1] + (reach * math.sin(angle) - 0.15 * size) * canvas.unit / canvas.height,
            )
            for reach in (near, far)
        ]
        canvas.line(points, size * 0.06, palette.accents[0])
    canvas.shape(at, size, [(-0.36, 0.1), (0.36, 0.1), (0.2, 0.52), (-0.2, 0.52)], palette.accents[1])
    canvas.ellipse(at, (size * 0.52, size * 0.52), palette.accents[1], offset=(0, -size * 0.15))
    canvas.ellipse(at, (size * 0.14, size * 0.2), palette.light, 0.8, (-size * 0.2, -size * 0.3))
    for index in range(3):
        canvas.box(
            at,
            (size * (0.38 - 0.05 * index), size * 0.1),
            size * 0.05,
            palette.land[2],
            (0, size * (0.56 + 0.13 * index)),
        )


def car(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A car on its way."""
    cabin = [(-0.56, -0.02), (-0.36, -0.46), (0.3, -0.46), (0.58, -0.02)]
    canvas.shape(at, size, cabin, palette.accents[0])
    canvas.shape(
        at,
        size,
        [(-0.44, -0.04), (-0.3, -0.37), (-0.04, -0.37), (-0.04, -0.04)],
        mixed(palette.light, palette.sky[1], 0.3),
    )
    canvas.shape(
        at,
        size,
        [(0.04, -0.04), (0.04, -0.37), (0.25, -0.37), (0.44, -0.04)],
        mixed(palette.light, palette.sky[1], 0.3),
    )
    canvas.box(at, (size * 1.9, size * 0.5), size * 0.16, palette.accents[0], (0, size * 0.2))
    canvas.ellipse(at, (size * 0.09, size * 0.09), palette.light, offset=(size * 0.86, size * 0.14))
    for side in (-1, 1):
        canvas.ellipse(at, (size * 0.23, size * 0.23), INK, offset=(side * size * 0.52, size * 0.46))
        canvas.ellipse(
            at, (size * 0.1, size * 0.1), palette.accents[1], offset=(side * size * 0.52, size * 0.46)
        )


def note(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """Two notes under one beam."""
    for side in (-1, 1):
        canvas.ellipse(
            at,
            (size * 0.24, size * 0.18),
            palette.accents[0],
            offset=((side * 0.42 - 0.18) * size, size * 0.6),
        )
        canvas.box(
            at, (size * 0.09, size * 1.3), 0, palette.accents[0], ((side * 0.42 + 0.01) * size, -size * 0.04)
        )
    canvas.shape(
        at, size, [(-0.455, -0.72), (0.475, -0.9), (0.475, -0.62), (-0.455, -0.44)], palette.accents[0]
    )


def star(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A star, where nothing else is named."""
    canvas.glow(at, size * 1.7, palette.light, 0.6)
    canvas.star(at, size, 5, mixed(palette.accents[0], INK, 0.12))
    canvas.star(at, size * 0.86, 5, palette.accents[0])
    canvas.star(at, size * 0.4, 5, palette.light)
