"""A picture that is being drawn: twice as large as it will be, so that edges are smooth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .palettes import Colour

Point = tuple[float, float]
OVERSAMPLING = 2


class Canvas:
    """Drawing in parts of the picture's width and height: (0, 0) is the top left corner, (1, 1) the other.

    Sizes (radii, line widths) are parts of the shorter side. Attributes: ``image``, ``unit`` (pixels of the
    shorter side).
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width * OVERSAMPLING, height * OVERSAMPLING
        self.unit = min(self.width, self.height)
        self.image = Image.new("RGB", (self.width, self.height))
        self._pen = ImageDraw.Draw(self.image, "RGBA")

    def finished(self) -> Image.Image:
        """The picture in its own size, with the faintest grain: smooth skies show no bands."""
        size = (self.width // OVERSAMPLING, self.height // OVERSAMPLING)
        pixels = np.asarray(self.image.resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
        grain = np.random.default_rng(1).normal(0, 1.2, pixels.shape[:2])[:, :, None]
        return Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))

    def gradient(self, colours: Sequence[Colour]) -> None:
        """Fill with colours from top to bottom."""
        places = np.linspace(0, 1, len(colours))
        rows = np.linspace(0, 1, self.height)
        channels = [np.interp(rows, places, [colour[index] for colour in colours]) for index in range(3)]
        column = np.stack(channels, axis=1)[:, None, :]
        self.image.paste(Image.fromarray(np.repeat(column, self.width, axis=1).round().astype(np.uint8)))

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float = 0.8) -> None:
        """Light around a point that fades outwards."""
        x, y = self._at(centre)
        reach = radius * self.unit
        box = (int(x - reach), int(y - reach), int(x + reach), int(y + reach))
        ys, xs = np.mgrid[box[1] : box[3], box[0] : box[2]]
        distance = np.hypot(xs - x, ys - y) / reach
        fade = np.clip(1 - distance, 0, 1) ** 2 * 255 * strength
        self.image.paste(colour, box[:2], Image.fromarray(fade.astype(np.uint8)))

    def cloudy(self, centre: Point, radii: Point, colour: Colour, strength: int, blur: float) -> None:
        """An ellipse with a soft edge."""
        x, y = self._at(centre)
        mask = Image.new("L", (self.width // 8, self.height // 8))
        box = [
            value / 8
            for value in (x - radii[0] * self.unit, y - radii[1] * self.unit, x + radii[0] * self.unit)
        ]
        ImageDraw.Draw(mask).ellipse((*box, (y + radii[1] * self.unit) / 8), fill=strength)
        soft = mask.filter(ImageFilter.GaussianBlur(blur * self.unit / 8))
        self.image.paste(colour, (0, 0), soft.resize(self.image.size, Image.Resampling.BICUBIC))

    def polygon(self, points: Sequence[Point], colour: Colour, opacity: float = 1.0) -> None:
        """A filled polygon."""
        self._pen.polygon([self._at(point) for point in points], fill=_paint(colour, opacity))

    def shape(self, centre: Point, size: float, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon in units of ``size`` around a centre, y downwards."""
        x, y = self._at(centre)
        scale = size * self.unit
        self._pen.polygon([(x + px * scale, y + py * scale) for px, py in points], fill=colour)

    def ellipse(
        self, centre: Point, radii: Point, colour: Colour, opacity: float = 1.0, offset: Point = (0, 0)
    ) -> None:
        """A filled ellipse; its radii and its offset from the centre are parts of the shorter side."""
        x, y = self._at(centre)
        x, y = x + offset[0] * self.unit, y + offset[1] * self.unit
        rx, ry = radii[0] * self.unit, radii[1] * self.unit
        self._pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=_paint(colour, opacity))

    def ring(self, centre: Point, radius: float, width: float, colour: Colour, opacity: float = 1.0) -> None:
        """A circle's line."""
        x, y = self._at(centre)
        r = radius * self.unit
        line = max(1, round(width * self.unit))
        self._pen.ellipse((x - r, y - r, x + r, y + r), outline=_paint(colour, opacity), width=line)

    def line(self, points: Sequence[Point], width: float, colour: Colour, opacity: float = 1.0) -> None:
        """A line through points, with round joints."""
        self._pen.line(
            [self._at(point) for point in points],
            fill=_paint(colour, opacity),
            width=max(1, round(width * self.unit)),
            joint="curve",
        )

    def box(
        self, centre: Point, size: Point, round_by: float, colour: Colour, offset: Point = (0, 0)
    ) -> None:
        """A filled box with round corners; size, offset and radius are parts of the shorter side."""
        x, y = self._at(centre)
        x, y = x + offset[0] * self.unit, y + offset[1] * self.unit
        half_width, half_height = size[0] * self.unit / 2, size[1] * self.unit / 2
        self._pen.rounded_rectangle(
            (x - half_width, y - half_height, x + half_width, y + half_height), round_by * self.unit, colour
        )

    def star(self, centre: Point, radius: float, points: int, colour: Colour, depth: float = 0.45) -> None:
        """A star."""
        corners = [
            (math.sin(math.pi * index / points) * reach, -math.cos(math.pi * index / points) * reach)
            for index in range(2 * points)
            for reach in [1.0 if index % 2 == 0 else depth]
        ]
        self.shape(centre, radius, corners, colour)

    def _at(self, point: Point) -> Point:
        return point[0] * self.width, point[1] * self.height


def _paint(colour: Colour, opacity: float) -> tuple[int, int, int, int]:
    return (*colour, round(255 * opacity))
