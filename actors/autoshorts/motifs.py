"""Who or what a scene shows: simple figures in front of its scenery."""

from __future__ import annotations

import math
from collections.abc import Callable

from .canvas import Canvas, Point
from .palettes import Colour, Palette, mixed

Painter = Callable[[Canvas, Point, float, Palette], None]

#: Words (Korean and English) that call for a figure, by the name of its painter.
WORDS: dict[str, tuple[str, ...]] = {
    "cat": ("고양이", "냥", "cat", "kitten"),
    "dog": ("강아지", "멍멍", "반려견", "dog", "puppy"),
    "rocket": ("로켓", "우주선", "우주여행", "발사", "rocket", "spaceship", "launch"),
    "robot": ("로봇", "인공지능", "기계", "robot", "machine", "computer"),
    "bird": ("새 ", "참새", "비행", "철새", "bird", "fly", "wing"),
    "fish": ("물고기", "고래", "상어", "fish", "whale", "shark"),
    "house": ("집", "마을", "건축", "house", "home", "village"),
    "book": ("책", "공부", "독서", "학교", "book", "read", "study", "school", "learn"),
    "cup": ("커피", "카페", "차 한", "coffee", "tea", "cafe"),
    "heart": ("사랑", "마음", "건강", "love", "heart", "health", "friend"),
    "bulb": ("방법", "이유", "아이디어", "비결", "생각", "how", "why", "idea", "tip", "think"),
    "car": ("자동차", "드라이브", "운전", "car", "drive", "road"),
    "note": ("음악", "노래", "춤", "music", "song", "dance", "sing"),
    "tree": ("나무", "식물", "텃밭", "tree", "plant"),
    "flower": ("꽃", "정원", "flower", "rose", "tulip"),
}
_INK: Colour = (28, 24, 44)


def _body(palette: Palette) -> Colour:
    return palette.accents[0]


def _trim(palette: Palette) -> Colour:
    return palette.accents[1]


def cat(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A cat that sits and looks at us."""
    body, belly = _body(palette), mixed(_body(palette), palette.light, 0.55)
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
            at, size, [(side * 0.33, -0.4), (side * 0.31, -0.68), (side * 0.14, -0.53)], _trim(palette)
        )
        canvas.ellipse(at, (size * 0.13, size * 0.09), belly, offset=(side * size * 0.16, size * 0.74))
    canvas.ellipse(at, (size * 0.44, size * 0.37), body, offset=(0, -size * 0.25))
    for side in (-1, 1):
        canvas.ellipse(at, (size * 0.085, size * 0.105), _INK, offset=(side * size * 0.17, -size * 0.28))
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
    canvas.shape(at, size, [(-0.045, -0.17), (0.045, -0.17), (0, -0.115)], _INK)


def dog(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A dog that sits, its ears hanging."""
    body, belly = _body(palette), mixed(_body(palette), palette.light, 0.6)
    canvas.ellipse(at, (size * 0.38, size * 0.46), body, offset=(0, size * 0.36))
    canvas.ellipse(at, (size * 0.2, size * 0.3), belly, offset=(0, size * 0.42))
    canvas.ellipse(at, (size * 0.36, size * 0.36), body, offset=(0, -size * 0.22))
    for side in (-1, 1):
        canvas.ellipse(
            at, (size * 0.13, size * 0.28), mixed(body, _INK, 0.35), offset=(side * size * 0.38, -size * 0.16)
        )
        canvas.ellipse(at, (size * 0.055, size * 0.065), _INK, offset=(side * size * 0.14, -size * 0.28))
        canvas.ellipse(at, (size * 0.13, size * 0.09), belly, offset=(side * size * 0.15, size * 0.76))
    canvas.ellipse(at, (size * 0.19, size * 0.15), belly, offset=(0, -size * 0.06))
    canvas.ellipse(at, (size * 0.075, size * 0.055), _INK, offset=(0, -size * 0.13))
    canvas.box(at, (size * 0.1, size * 0.13), size * 0.05, _trim(palette), (0, size * 0.09))


def rocket(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A rocket on its way up."""
    for reach, colour in ((1.15, _body(palette)), (0.95, mixed(_body(palette), palette.light, 0.6))):
        canvas.shape(at, size, [(-0.2, 0.55), (0.2, 0.55), (0.0, reach)], colour)
    canvas.shape(at, size, [(-0.26, 0.1), (-0.52, 0.62), (-0.2, 0.5)], _trim(palette))
    canvas.shape(at, size, [(0.26, 0.1), (0.52, 0.62), (0.2, 0.5)], _trim(palette))
    hull = [(0.29 * math.sin(math.pi * t), -0.95 + 1.5 * t) for t in [i / 24 * 0.84 for i in range(25)]]
    canvas.shape(at, size, [(-x, y) for x, y in reversed(hull)] + hull, palette.light)
    nose = [(x, y) for x, y in hull if y < -0.5]
    canvas.shape(at, size, [(-x, y) for x, y in reversed(nose)] + nose, _body(palette))
    canvas.ellipse(at, (size * 0.15, size * 0.15), _body(palette), offset=(0, -size * 0.18))
    canvas.ellipse(at, (size * 0.105, size * 0.105), palette.sky[0], offset=(0, -size * 0.18))
    canvas.box(at, (size * 0.06, size * 0.32), size * 0.03, _trim(palette), (0, size * 0.45))


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
            _body(palette),
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
    canvas.ellipse(at, (size * 0.08, size * 0.08), _body(palette), offset=(0, -size * 0.84))
    canvas.box(at, (size * 0.82, size * 0.56), size * 0.16, steel, (0, -size * 0.36))
    canvas.box(at, (size * 0.64, size * 0.34), size * 0.12, _INK, (0, -size * 0.37))
    for side in (-1, 1):
        canvas.ellipse(
            at, (size * 0.075, size * 0.085), _trim(palette), offset=(side * size * 0.15, -size * 0.38)
        )


def bird(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A bird in flight."""
    canvas.shape(at, size, [(-0.45, 0.1), (-1.0, -0.12), (-0.92, 0.3)], _trim(palette))
    canvas.ellipse(at, (size * 0.58, size * 0.34), _body(palette), offset=(0, size * 0.08))
    canvas.ellipse(at, (size * 0.28, size * 0.27), _body(palette), offset=(size * 0.5, -size * 0.12))
    canvas.shape(at, size, [(0.74, -0.2), (1.06, -0.08), (0.74, 0.04)], palette.light)
    canvas.ellipse(at, (size * 0.05, size * 0.05), _INK, offset=(size * 0.58, -size * 0.18))
    canvas.shape(
        at, size, [(-0.32, 0.06), (0.3, 0.0), (-0.1, -0.86), (-0.42, -0.5)], mixed(_body(palette), _INK, 0.25)
    )


def fish(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A fish, and the air it breathes out."""
    canvas.shape(at, size, [(-0.5, 0), (-1.0, -0.42), (-0.88, 0), (-1.0, 0.42)], _trim(palette))
    canvas.shape(at, size, [(-0.2, -0.3), (0.25, -0.68), (0.34, -0.3)], _trim(palette))
    canvas.ellipse(at, (size * 0.68, size * 0.42), _body(palette))
    for index in range(3):
        canvas.ellipse(
            at,
            (size * 0.05, size * 0.24),
            mixed(_body(palette), palette.light, 0.5),
            offset=((-0.34 + 0.2 * index) * size, 0),
        )
    canvas.ellipse(at, (size * 0.1, size * 0.1), (255, 255, 255), offset=(size * 0.42, -size * 0.1))
    canvas.ellipse(at, (size * 0.055, size * 0.055), _INK, offset=(size * 0.44, -size * 0.1))
    for index in range(3):
        canvas.ellipse(
            at,
            (size * 0.04 * (index + 1),) * 2,
            palette.light,
            0.6,
            (size * (0.82 + 0.06 * index), -size * (0.28 + 0.24 * index)),
        )


def house(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A house with a lit window."""
    canvas.box(
        at, (size * 0.16, size * 0.4), 0, mixed(_body(palette), _INK, 0.4), (size * 0.34, -size * 0.52)
    )
    canvas.box(at, (size * 1.1, size * 0.9), size * 0.03, palette.light, (0, size * 0.4))
    canvas.shape(at, size, [(-0.76, 0.02), (0, -0.78), (0.76, 0.02)], _body(palette))
    canvas.box(at, (size * 0.28, size * 0.5), size * 0.03, palette.land[2], (-size * 0.2, size * 0.6))
    canvas.box(at, (size * 0.32, size * 0.32), size * 0.03, _trim(palette), (size * 0.26, size * 0.32))
    canvas.box(at, (size * 0.03, size * 0.32), 0, palette.land[2], (size * 0.26, size * 0.32))
    canvas.box(at, (size * 0.32, size * 0.03), 0, palette.land[2], (size * 0.26, size * 0.32))


def book(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """An open book from which something rises."""
    canvas.shape(
        at,
        size,
        [(-0.94, -0.12), (0, 0.1), (0.94, -0.12), (0.94, 0.56), (0, 0.78), (-0.94, 0.56)],
        _body(palette),
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
        canvas.star(centre, radius * size, 5, _trim(palette))


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
    canvas.shape(at, size, [(-0.565, 0.1), (0.565, 0.1), (0.535, 0.3), (-0.535, 0.3)], _body(palette))
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
    canvas.shape(at, size, outline, _body(palette))
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
        canvas.line(points, size * 0.06, _body(palette))
    canvas.shape(at, size, [(-0.36, 0.1), (0.36, 0.1), (0.2, 0.52), (-0.2, 0.52)], _trim(palette))
    canvas.ellipse(at, (size * 0.52, size * 0.52), _trim(palette), offset=(0, -size * 0.15))
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
    canvas.shape(at, size, cabin, _body(palette))
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
    canvas.box(at, (size * 1.9, size * 0.5), size * 0.16, _body(palette), (0, size * 0.2))
    canvas.ellipse(at, (size * 0.09, size * 0.09), palette.light, offset=(size * 0.86, size * 0.14))
    for side in (-1, 1):
        canvas.ellipse(at, (size * 0.23, size * 0.23), _INK, offset=(side * size * 0.52, size * 0.46))
        canvas.ellipse(at, (size * 0.1, size * 0.1), _trim(palette), offset=(side * size * 0.52, size * 0.46))


def note(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """Two notes under one beam."""
    for side in (-1, 1):
        canvas.ellipse(
            at, (size * 0.24, size * 0.18), _body(palette), offset=((side * 0.42 - 0.18) * size, size * 0.6)
        )
        canvas.box(
            at, (size * 0.09, size * 1.3), 0, _body(palette), ((side * 0.42 + 0.01) * size, -size * 0.04)
        )
    canvas.shape(at, size, [(-0.455, -0.72), (0.475, -0.9), (0.475, -0.62), (-0.455, -0.44)], _body(palette))


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
        canvas.ellipse(at, (size * 0.07,) * 2, _body(palette), offset=(x * size, y * size))


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
            at, (size * 0.25,) * 2, mixed(_body(palette), palette.light, 0.15 * (index % 2)), offset=offset
        )
    canvas.ellipse(at, (size * 0.25,) * 2, _trim(palette))


def star(canvas: Canvas, at: Point, size: float, palette: Palette) -> None:
    """A star, where nothing else is named."""
    canvas.glow(at, size * 1.7, palette.light, 0.6)
    canvas.star(at, size, 5, mixed(_body(palette), _INK, 0.12))
    canvas.star(at, size * 0.86, 5, _body(palette))
    canvas.star(at, size * 0.4, 5, palette.light)


PAINTERS: dict[str, Painter] = {
    painter.__name__: painter
    for painter in (
        *(cat, dog, rocket, robot, bird, fish, house, book, cup, heart, bulb, car, note, tree, flower),
        star,
    )
}
