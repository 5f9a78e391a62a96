"""Where a scene takes place: the lower and upper parts of its picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Point
from .palettes import Palette, mixed

Random = np.random.Generator
Painter = Callable[[Canvas, Palette, Random], None]

#: Words (Korean and English) that call for a scenery, by the name of its painter.
WORDS: dict[str, tuple[str, ...]] = {
    "space": (
        "우주",
        "별",
        "별빛",
        "은하",
        "행성",
        "space",
        "star",
        "galaxy",
        "planet",
        "cosmic",
        "universe",
    ),
    "rain": ("비바람", "비", "폭풍", "장마", "rain", "storm"),
    "city": ("도시", "거리", "빌딩", "야경", "서울", "city", "street", "town", "urban", "office", "work"),
    "forest": ("숲", "나무", "정글", "forest", "wood", "tree", "jungle", "garden"),
    "sea": ("바다", "파도", "섬", "항해", "해변", "sea", "ocean", "wave", "beach", "island", "sail"),
    "mountain": ("산", "등산", "절벽", "mountain", "peak", "cliff", "hike", "climb"),
    "meadow": ("들판", "언덕", "꽃", "봄", "농장", "meadow", "hill", "flower", "spring", "farm", "field"),
    "rays": ("빛", "햇살", "승리", "light", "ray", "shine", "win", "victory"),
}


def _sun(canvas: Canvas, palette: Palette, random: Random, height: float) -> Point:
    side = float(random.choice([0.22, 0.78]))
    centre = (side + float(random.uniform(-0.04, 0.04)), height)
    canvas.glow(centre, 0.75, palette.light, 0.55)
    canvas.ellipse(centre, (0.13, 0.13), mixed(palette.light, (255, 214, 130), 0.3))
    return centre


def _ridge(canvas: Canvas, random: Random, base: float, rise: float, roughness: int) -> list[Point]:
    """A line of hills across the picture: ``base`` is its mean height, ``rise`` its swing."""
    xs = np.linspace(0, 1, 96)
    ys = np.zeros_like(xs)
    for octave in range(roughness):
        frequency = 1.1 * 1.9**octave
        ys += np.sin(xs * frequency * 2 * math.pi + random.uniform(0, 7)) / 1.75**octave
    ys = base - rise * (ys / 1.8)
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def _land(canvas: Canvas, palette: Palette, random: Random, roughness: int, rise: float) -> None:
    for index, colour in enumerate(palette.land):
        line = _ridge(canvas, random, 0.62 + 0.12 * index, rise * (1 - 0.25 * index), roughness)
        canvas.polygon([*line, (1, 1), (0, 1)], colour)


def space(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Stars, mist, and a planet with a ring."""
    for _ in range(4):
        centre = (float(random.uniform(0, 1)), float(random.uniform(0.1, 0.9)))
        colour = mixed(palette.sky[2], palette.accents[int(random.integers(2))], 0.35)
        canvas.cloudy(centre, (0.5, 0.22), colour, 90, 0.12)
    for _ in range(170):
        centre = (float(random.uniform(0, 1)), float(random.uniform(0, 1)))
        radius = float(random.choice([0.0018, 0.0026, 0.0042], p=[0.6, 0.3, 0.1]))
        canvas.ellipse(centre, (radius, radius), palette.light, float(random.uniform(0.4, 1)))
    for _ in range(6):
        centre = (float(random.uniform(0.05, 0.95)), float(random.uniform(0.05, 0.6)))
        canvas.star(centre, float(random.uniform(0.014, 0.03)), 4, palette.light, 0.16)
    centre = (float(random.choice([0.16, 0.84])), float(random.uniform(0.72, 0.86)))
    canvas.glow(centre, 0.48, palette.accents[0], 0.35)
    canvas.line(_orbit(canvas, centre, 180, 360), 0.014, palette.accents[1], 0.6)
    canvas.ellipse(centre, (0.2, 0.2), palette.land[0])
    canvas.ellipse(
        centre, (0.165, 0.165), mixed(palette.land[0], palette.accents[0], 0.5), 0.8, (-0.03, -0.03)
    )
    canvas.line(_orbit(canvas, centre, 0, 180), 0.014, palette.accents[1], 0.95)


def _orbit(canvas: Canvas, centre: Point, start: int, end: int) -> list[Point]:
    """A part of a tilted ring, from one angle to another."""
    angles = [math.radians(angle) for angle in range(start, end + 1, 4)]
    return [
        (
            centre[0] + 0.33 * math.cos(angle) * canvas.unit / canvas.width,
            centre[1] + (0.08 * math.sin(angle) - 0.07 * math.cos(angle)) * canvas.unit / canvas.height,
        )
        for angle in angles
    ]


def mountain(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Peaks with snow before a sun."""
    _sun(canvas, palette, random, 0.32)
    for index, colour in enumerate(palette.land[:2]):
        for _ in range(3 - index):
            x, width = float(random.uniform(0.02, 0.98)), float(random.uniform(0.3, 0.46))
            top, foot = 0.44 + 0.1 * index + float(random.uniform(0, 0.06)), 0.9
            canvas.polygon([(x - width, foot), (x, top), (x + width, foot)], colour)
            cap = 0.2
            left, right = (
                (x - width * cap, top + (foot - top) * cap),
                (x + width * cap, top + (foot - top) * cap),
            )
            teeth = [
                (x + width * cap * 0.45, left[1] - 0.018),
                (x + width * 0.02, left[1] + 0.022),
                (x - width * cap * 0.45, left[1] - 0.014),
            ]
            canvas.polygon([left, (x, top), right, *teeth], mixed(palette.light, colour, 0.12))
    line = _ridge(canvas, random, 0.84, 0.05, 3)
    canvas.polygon([*line, (1, 1), (0, 1)], palette.land[2])


def meadow(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Soft hills with flowers before a sun."""
    _sun(canvas, palette, random, 0.34)
    _land(canvas, palette, random, 1, 0.05)
    for _ in range(46):
        y = float(random.uniform(0.86, 0.99))
        x, size = float(random.uniform(0, 1)), 0.008 + (y - 0.86) * 0.1
        canvas.line([(x, y), (x, min(1, y + size * 1.6))], size * 0.25, palette.land[1])
        colour = palette.accents[int(random.integers(2))]
        canvas.star((x, y), size, 5, colour, 0.55)
        canvas.ellipse((x, y), (size * 0.3, size * 0.3), palette.light)


def sea(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Waves below a sun, and its path on the water."""
    sun = _sun(canvas, palette, random, 0.5)
    canvas.polygon([(0, 0.6), (1, 0.6), (1, 1), (0, 1)], palette.land[0])
    for index in range(16):
        y, half = 0.615 + 0.017 * index, 0.1 * (1 + index * 0.1) * float(random.uniform(0.5, 1))
        x = sun[0] + float(random.uniform(-0.02, 0.02))
        canvas.line([(x - half, y), (x + half, y)], 0.007, palette.light, 0.6)
    for index in range(5):
        share = index / 4
        colour = mixed(palette.land[0], palette.land[2], 0.25 + 0.75 * share)
        base, swing, phase = 0.72 + 0.062 * index, 0.008 + 0.004 * index, float(random.uniform(0, 7))
        points = [
            (x / 60, base - swing * (abs(math.sin(x / 60 * (14 - 2 * index) + phase)) * 2 - 1))
            for x in range(61)
        ]
        canvas.polygon([*points, (1, 1), (0, 1)], colour)
        canvas.line(points, 0.004, palette.light, 0.35)


def rain(canvas: Canvas, palette: Palette, random: Random) -> None:
    """A dark sea under clouds, and rain."""
    for _ in range(9):
        centre = (float(random.uniform(-0.1, 1.1)), float(random.uniform(0.02, 0.3)))
        canvas.cloudy(centre, (0.34, 0.12), mixed(palette.sky[0], palette.sky[1], 0.5), 200, 0.03)
    bolt = float(random.uniform(0.2, 0.8))
    jag = [(0.0, 0.3), (0.05, 0.4), (0.02, 0.41), (0.08, 0.56), (-0.01, 0.44), (0.02, 0.43), (-0.03, 0.3)]
    canvas.glow((bolt, 0.4), 0.5, palette.accents[1], 0.45)
    canvas.polygon([(bolt + x, y) for x, y in jag], mixed(palette.accents[1], palette.light, 0.5))
    for index, colour in enumerate(palette.land):
        base, phase = 0.7 + 0.09 * index, float(random.uniform(0, 7))
        points = [
            (x / 60, base - 0.03 * math.sin(x / 60 * 9 + phase) - 0.012 * math.sin(x / 3 + phase))
            for x in range(61)
        ]
        canvas.polygon([*points, (1, 1), (0, 1)], colour)
    for _ in range(150):
        x, y = float(random.uniform(-0.05, 1.05)), float(random.uniform(0, 1))
        canvas.line([(x, y), (x - 0.018, y + 0.035)], 0.003, palette.light, 0.35)


def city(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Houses with lit windows below a moon."""
    moon = (float(random.choice([0.24, 0.76])), 0.34)
    canvas.glow(moon, 0.5, palette.light, 0.45)
    outer = [(math.cos(a), math.sin(a)) for a in np.linspace(0.494, 4.979, 40)]
    inner = [(0.42 + 0.8 * math.cos(a), -0.18 + 0.8 * math.sin(a)) for a in np.linspace(4.516, 0.957, 40)]
    canvas.shape(moon, 0.1, outer + inner, palette.light)
    for layer, colour in enumerate(palette.land):
        x = -0.05
        while x < 1.02:
            width = float(random.uniform(0.09, 0.17)) * (1 + 0.15 * layer)
            top = 0.56 + 0.11 * layer - float(random.uniform(0, 0.13))
            canvas.polygon([(x, top), (x + width, top), (x + width, 1), (x, 1)], colour)
            if random.random() < 0.35:
                canvas.line([(x + width / 2, top), (x + width / 2, top - 0.035)], 0.006, colour)
            if layer:
                _windows(canvas, palette, random, x, top, width)
            x += width + 0.008


def _windows(canvas: Canvas, palette: Palette, random: Random, left: float, top: float, width: float) -> None:
    columns, step = max(2, int(width / 0.04)), 0.032
    for row in range(int((1 - top) / step)):
        for column in range(columns):
            if random.random() < 0.5:
                continue
            x = left + width * (column + 0.5) / columns
            y = top + 0.02 + row * step
            size = width / columns * 0.24
            lit = [(x - size, y), (x + size, y), (x + size, y + 0.014), (x - size, y + 0.014)]
            canvas.polygon(
                lit, palette.accents[int(random.random() < 0.2)], float(random.uniform(0.55, 0.95))
            )


def forest(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Rows of firs in mist."""
    _sun(canvas, palette, random, 0.32)
    for layer, colour in enumerate(palette.land):
        foot = 0.76 + 0.12 * layer
        for index in range(11 - 2 * layer):
            x = (index + float(random.uniform(0.1, 0.9))) / (11 - 2 * layer)
            height = (0.2 + 0.06 * layer) * float(random.uniform(0.75, 1.2))
            for tier in range(4):
                share = tier / 4
                half = 0.075 * (1 + 0.3 * layer) * (0.35 + 0.65 * share)
                top = foot - height * (1 - share * 0.8)
                low = foot - height * (0.68 - share * 0.8)
                canvas.polygon(
                    [(x - half, low), (x, top), (x + half, low)], mixed(colour, palette.light, 0.04 * tier)
                )
            canvas.line([(x, foot - 0.02), (x, foot + 0.02)], 0.014, palette.land[2])
        line = _ridge(canvas, random, foot, 0.012, 2)
        canvas.polygon([*line, (1, 1), (0, 1)], colour)
        if layer < 2:
            canvas.cloudy((0.5, foot + 0.02), (0.9, 0.05), palette.light, 70, 0.05)


def rays(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Rays from a light, and confetti."""
    centre = (0.5, 0.56)
    count, turn = 14, float(random.uniform(0, 1))
    for index in range(count):
        angles = [(index + turn + share) / count * 2 * math.pi for share in (0, 0.5)]
        far = [(centre[0] + 2 * math.cos(angle), centre[1] + 2 * math.sin(angle)) for angle in angles]
        canvas.polygon([centre, *far], palette.light, 0.13)
    canvas.glow(centre, 0.85, palette.light, 0.6)
    for _ in range(60):
        x, y = float(random.uniform(0, 1)), float(random.uniform(0, 1))
        turn, size = float(random.uniform(0, math.pi)), float(random.uniform(0.008, 0.018))
        corners = [
            (math.cos(turn + a) * 1.0, math.sin(turn + a) * 1.0)
            for a in (0.4, math.pi - 0.4, math.pi + 0.4, -0.4)
        ]
        canvas.shape((x, y), size, corners, [*palette.accents, palette.light][int(random.integers(3))])


def rings(canvas: Canvas, palette: Palette, random: Random) -> None:
    """Circles and arcs, where no place is named."""
    for _ in range(7):
        centre = (float(random.uniform(0, 1)), float(random.uniform(0.1, 0.95)))
        radius = float(random.uniform(0.12, 0.42))
        if random.random() < 0.5:
            canvas.ring(centre, radius, float(random.uniform(0.006, 0.03)), palette.light, 0.35)
        else:
            colour = [*palette.accents, palette.land[0]][int(random.integers(3))]
            canvas.ellipse(centre, (radius, radius), colour, 0.28)
    line = _ridge(canvas, random, 0.86, 0.05, 1)
    canvas.polygon([*line, (1, 1), (0, 1)], palette.land[2])


PAINTERS: dict[str, Painter] = {
    painter.__name__: painter for painter in (space, rain, city, forest, sea, mountain, meadow, rays, rings)
}
