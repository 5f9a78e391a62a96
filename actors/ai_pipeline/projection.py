"""The map of topics: where each topic lies, how large its circle is, and where in it each text lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .topics import Assignment, unit

#: Share of the map's area that all circles cover together.
_COVERED = 0.34
#: Of its width: the smallest circle, and half the gap between two.
_SMALLEST, _GAP = 0.012, 0.006
_STEPS = 300


@dataclass(frozen=True)
class Map:
    """Places in pixels.

    Attributes:
        width, height: of the map.
        centres: of the topics, topics × (x, y).
        radii: their circles' radii; the areas are as the sizes.
        dots: of the texts, texts × (x, y); NaN for those without a topic.
    """

    width: int
    height: int
    centres: np.ndarray
    radii: np.ndarray
    dots: np.ndarray


def map_of(found: Assignment, labels: np.ndarray, size: tuple[int, int]) -> Map:
    """Lay the topics out so that similar ones are near and nothing overlaps.

    Topics are placed by classical scaling of the distances between their centres, then moved apart until no
    circle or label touches another. A text lies the nearer to its topic's centre the surer it is, on the side
    of the topics that it is also about.

    Parameters:
        labels: width and height of each topic's label in pixels, which stands below its circle.
        size: of the map; it grows where that is too small.
    """
    count = found.shares.shape[1]
    sizes = np.bincount(found.group[found.group >= 0], minlength=count).astype(float)
    flat = _scaled(_distances(found, count))
    width, height = size
    covered = _COVERED
    while True:
        radii = np.maximum(np.sqrt(sizes / sizes.sum() * covered * width * height / np.pi), _SMALLEST * width)
        # The label hangs below: what is moved is the middle of circle and label together.
        half = np.column_stack([np.maximum(radii, labels[:, 0] / 2), radii + labels[:, 1] / 2]) + _GAP * width
        middles, free = _spread(flat, half, width, height)
        if free:
            break
        if covered > _COVERED / 4:
            covered *= 0.9
        else:
            width, height = int(width * 1.1), int(height * 1.1)
    centres = middles - np.column_stack([np.zeros(count), labels[:, 1] / 2])
    return Map(width, height, centres, radii, _dots(found, centres, radii))


def _distances(found: Assignment, count: int) -> np.ndarray:
    centres = unit(np.stack([found.space[found.group == own].mean(axis=0) for own in range(count)]))
    return np.asarray(1.0 - centres @ centres.T)


def _scaled(distances: np.ndarray) -> np.ndarray:
    """Classical multidimensional scaling to the plane, to fill the square from -1 to 1."""
    count = len(distances)
    if count == 1:
        return np.zeros((1, 2))
    centring = np.eye(count) - 1.0 / count
    values, vectors = np.linalg.eigh(-0.5 * centring @ np.square(distances) @ centring)
    places = vectors[:, -2:][:, ::-1] * np.sqrt(np.maximum(values[-2:][::-1], 0.0))
    places = places[:, : max(1, places.shape[1])]
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(count)])
    # The sign of an axis is a matter of the library's version: the largest topic lies left and up.
    places *= np.where(places[0] > 0, -1.0, 1.0)
    reach = np.abs(places).max(axis=0)
    return np.asarray(places / np.where(reach > 1e-9, reach, 1.0))


def _spread(flat: np.ndarray, half: np.ndarray, width: int, height: int) -> tuple[np.ndarray, bool]:
    """Boxes of the given half sizes near their places, moved apart; and whether none touches another now."""
    size = np.array([width, height], float)
    count = len(flat)
    places = size / 2 + flat * (size / 2 - half).clip(min=1.0)
    # Two at one place would never part.
    turns = np.arange(count) * 2.4
    places += np.column_stack([np.cos(turns), np.sin(turns)])
    reach = half[:, None] + half[None, :]
    for _ in range(_STEPS):
        places = np.clip(places, half, np.maximum(size - half, half))
        gap = places[None, :] - places[:, None]
        overlap = reach - np.abs(gap)
        touching = (overlap > 0).all(axis=2) & ~np.eye(count, dtype=bool)
        if not touching.any():
            return places, bool((half * 2 <= size).all())
        # Each pair parts along the axis in which that is the shorter way.
        along = overlap[:, :, 1] < overlap[:, :, 0]
        away = -np.where(gap >= 0, 1.0, -1.0) * (overlap / 2 + 0.5)
        push = np.stack(
            [np.where(touching & ~along, away[:, :, 0], 0), np.where(touching & along, away[:, :, 1], 0)]
        )
        places = places + 0.6 * push.sum(axis=2).T
    return places, False


def _dots(found: Assignment, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    dots = np.full((len(found.group), 2), np.nan)
    confidence = found.confidence
    for own in range(len(centres)):
        members = np.flatnonzero(found.group == own)
        if not len(members):
            continue
        others = found.shares[members].copy()
        others[:, own] = 0.0
        towards = unit(centres - centres[own])
        lean = unit(others @ towards)
        own_side = _own_axes(found.space[members])
        aside = 0.45 * lean + own_side
        order = np.argsort(-confidence[members], kind="stable")
        turn = _even_turns(np.arctan2(aside[order, 1], aside[order, 0]))
        reach = 0.94 * radii[own] * np.sqrt((np.arange(len(members)) + 0.5) / len(members))
        dots[members[order]] = centres[own] + reach[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])
    return dots


def _even_turns(turns: np.ndarray) -> np.ndarray:
    """Angles, from a circle's middle outwards, spread evenly in each ring: in their order, without holes."""
    even = np.empty_like(turns)
    first, ring = 0, 1
    while first < len(turns):
        # A ring holds as many as its circumference, so that rings are as far apart as their dots.
        own = slice(first, min(first + 6 * ring, len(turns)))
        count = len(turns[own])
        even[own][np.argsort(turns[own], kind="stable")] = (
            np.arange(count) + 0.5
        ) / count * 2 * np.pi - np.pi
        first, ring = first + 6 * ring, ring + 1
    return even


def _own_axes(space: np.ndarray) -> np.ndarray:
    """Directions of texts among their like: along the two axes in which these differ most."""
    apart = space - space.mean(axis=0)
    if len(space) < 3 or space.shape[1] < 2:
        turns = np.arange(len(space)) * 2.4
        return np.column_stack([np.cos(turns), np.sin(turns)])
    _, vectors = np.linalg.eigh(apart.T @ apart)
    plane = apart @ vectors[:, -2:]
    return unit(plane / np.maximum(plane.std(axis=0), 1e-9))
