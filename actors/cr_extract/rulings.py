"""The drawn lines of a page: where rules run, and the page without them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .pages import PageImage
from .shades import Grey, grey_of, ink_mask, shaded_areas


@dataclass(frozen=True)
class Ruling:
    """A straight rule, in pixels.

    A horizontal one lies at y = ``position`` from x = ``start`` to ``end``; a vertical one at x =
    ``position`` from y = ``start`` to ``end``. The edge of a shaded area counts as a rule, of the width 0.
    """

    position: float
    start: float
    end: float
    width: float

    @property
    def length(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Rulings:
    """The rules of a page, and ``text_height``: pixels, of a typical digit or capital letter on it."""

    horizontal: list[Ruling]
    vertical: list[Ruling]
    text_height: float

    @property
    def tolerance(self) -> float:
        """Pixels by which rules that ought to meet may miss each other."""
        return max(4.0, 0.5 * self.text_height)

    def groups(self) -> list[Rulings]:
        """The rules that hang together by crossing or touching, each such net by itself."""
        parents = list(range(len(self.horizontal) + len(self.vertical)))

        def root(index: int) -> int:
            while parents[index] != index:
                parents[index] = parents[parents[index]]
                index = parents[index]
            return index

        for i, across in enumerate(self.horizontal):
            for j, down in enumerate(self.vertical, start=len(self.horizontal)):
                if touch(across, down, self.tolerance):
                    parents[root(i)] = root(j)
        nets: dict[int, Rulings] = {}
        for index, ruling in enumerate(self.horizontal + self.vertical):
            net = nets.setdefault(root(index), Rulings([], [], self.text_height))
            (net.horizontal if index < len(self.horizontal) else net.vertical).append(ruling)
        return list(nets.values())

    def reach(self) -> tuple[float, float]:
        """Width and height that the rules cover together, pixels."""
        xs = [x for r in self.horizontal for x in (r.start, r.end)] + [r.position for r in self.vertical]
        ys = [y for r in self.vertical for y in (r.start, r.end)] + [r.position for r in self.horizontal]
        return max(xs) - min(xs), max(ys) - min(ys)


def touch(across: Ruling, down: Ruling, tolerance: float) -> bool:
    """Whether a horizontal and a vertical rule cross, or end within ``tolerance`` pixels of each other."""
    return (
        across.start - tolerance <= down.position <= across.end + tolerance
        and down.start - tolerance <= across.position <= down.end + tolerance
    )


def find_rulings(image: PageImage) -> Rulings:
    """Find the rules of an upright page.

    Each direction is looked at by itself: what is dark and thin across the direction (a black hat, so that
    shaded areas and uneven light count as paper), smoothed along it (so that grain averages out and faint
    rules stay), bridged over small gaps, and long.
    """
    grey = grey_of(image)
    text_height = typical_text_height(grey)
    across = _one_direction(grey, text_height, least_length=2.5 * text_height)
    down = _one_direction(np.ascontiguousarray(grey.T), text_height, least_length=1.5 * text_height)
    for area in shaded_areas(grey, text_height):
        across += [
            edge
            for edge in (Ruling(y, area.left, area.right, 0.0) for y in (area.top, area.bottom))
            if not _has_rule(across, edge, text_height)
        ]
        down += [
            edge
            for edge in (Ruling(x, area.top, area.bottom, 0.0) for x in (area.left, area.right))
            if not _has_rule(down, edge, text_height)
        ]
    near = max(4.0, 0.2 * text_height)
    down = [rule for rule in down if rule.length > 6 * text_height or _is_held(rule, across, near)]
    across = [rule for rule in across if rule.length > 10 * text_height or _is_held(rule, down, 2 * near)]
    found = Rulings(across, down, text_height)
    large = [
        group
        for group in found.groups()
        if max(group.reach()) >= 7 * text_height
        or (group.horizontal and min(group.reach()) >= 4 * text_height)
    ]
    return Rulings(
        sorted((r for group in large for r in group.horizontal), key=lambda ruling: ruling.position),
        sorted((r for group in large for r in group.vertical), key=lambda ruling: ruling.position),
        text_height,
    )


def without_rulings(image: PageImage, rulings: Rulings) -> PageImage:
    """The page with its rules painted over in the colour of the paper beside them."""
    kernel = _kernel_size(rulings.text_height)
    result = image
    for lines, upright in ((rulings.horizontal, False), (rulings.vertical, True)):
        mask = np.zeros(image.shape[:2], np.uint8)
        for ruling in lines:
            if not ruling.width:
                continue
            half = int(np.ceil(ruling.width / 2)) + 1
            low, high = max(round(ruling.position) - half, 0), round(ruling.position) + half + 1
            start, end = max(round(ruling.start), 0), round(ruling.end) + 1
            if upright:
                mask[start:end, low:high] = 255
            else:
                mask[low:high, start:end] = 255
        shape = (kernel, 1) if upright else (1, kernel)
        paper = cv2.morphologyEx(result, cv2.MORPH_CLOSE, np.ones(shape[::-1], np.uint8))
        result = np.where(mask[:, :, np.newaxis] > 0, paper, result).astype(np.uint8)
    return result


def typical_text_height(grey: Grey) -> float:
    """Pixels: the median height of what looks like digits and capital letters; 16 on an empty page."""
    ink = ink_mask(grey, 31)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    widths, heights = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
    largest = max(grey.shape) / 12
    letters = (heights >= 6) & (heights <= largest) & (widths <= 2.5 * heights) & (heights <= 9 * widths)
    letters &= stats[1:, cv2.CC_STAT_AREA] >= 8
    if letters.sum() < 5:
        return 16.0
    return float(np.percentile(heights[letters], 60))


def _one_direction(grey: Grey, text_height: float, least_length: float) -> list[Ruling]:
    kernel = _kernel_size(text_height)
    paper = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((kernel, 1), np.uint8))
    depth = cv2.subtract(paper, grey).astype(np.float32)
    grain = float(np.median(depth))
    depth -= grain
    smooth = cv2.blur(depth, (min(max(3, round(3 * grain)), max(9, round(0.8 * text_height))), 1))
    spread = float(np.median(np.abs(smooth - np.median(smooth))))
    dark = np.asarray((smooth > max(9.0, 6.0 * spread)) * np.uint8(255), dtype=np.uint8)
    gap = max(5, round(0.4 * text_height))
    bridged = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    long = cv2.morphologyEx(bridged, cv2.MORPH_OPEN, np.ones((1, max(20, round(least_length))), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(long, connectivity=8)
    found = []
    for index in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[index])
        thickness = area / width
        if thickness > kernel or height > max(3 * thickness + 4, 0.02 * width + 3):
            continue
        part = (slice(top, top + height), slice(left, left + width))
        own = labels[part] == index
        if _is_solid(np.where(own, depth[part], 0.0), np.where(own, grey[part], 255.0)):
            middle, thickness = _core(np.where(own, depth[part], 0.0).mean(axis=1))
            found.append(Ruling(top + middle, float(left), float(left + width), thickness))
    return _joined(found, max(3.0, 0.25 * text_height), 2.0 * text_height)


def _is_held(rule: Ruling, crossing: list[Ruling], tolerance: float) -> bool:
    """Whether both ends of a short rule meet others: the strokes of letters do not."""
    ends = [
        any(
            abs(r.position - end) <= tolerance and r.start - tolerance <= rule.position <= r.end + tolerance
            for r in crossing
        )
        for end in (rule.start, rule.end)
    ]
    return all(ends)


def _has_rule(rulings: list[Ruling], edge: Ruling, text_height: float) -> bool:
    """Whether a rule is drawn along an edge, for most of it."""
    covered = sum(
        max(min(r.end, edge.end) - max(r.start, edge.start), 0.0)
        for r in rulings
        if abs(r.position - edge.position) < 0.6 * text_height
    )
    return covered > 0.6 * edge.length


def _core(profile: NDArray[np.float32]) -> tuple[float, float]:
    """Middle and width of the darkest rows of a candidate: letters that touch a rule widen it to one side."""
    dark = np.flatnonzero(profile >= 0.5 * profile.max())
    return float(dark.mean()), float(len(dark))


def _is_solid(depth: NDArray[np.float32], tones: NDArray[np.float32]) -> bool:
    """Whether ink runs along all of a candidate.

    Letters in a row leave a gap after each stroke. A rule leaves hardly any: where another crosses it nothing
    is darker than what lies beside, but dark it is; in a dark header it is fainter, for one stretch.

    Args:
        depth: pixels across × along; how much darker than the paper beside, 0 outside of the candidate.
        tones: of the same shape; how dark the page is, 255 outside of the candidate.
    """
    strongest, darkest = depth.max(axis=0), tones.min(axis=0)
    level = float(np.percentile(strongest, 70))
    strong = strongest > 0.4 * level
    if strong.mean() < 0.5:
        return False
    crossed = darkest < float(np.median(darkest[strong])) + 0.3 * level
    if strong.mean() >= 0.6 and (strong | crossed).mean() >= 0.92:
        return True
    weak_stretches = int((np.diff(np.concatenate([[1], strong.astype(np.int8)])) < 0).sum())
    there = strongest > max(10.0, 0.15 * level)
    return bool(there.mean() >= 0.9 and weak_stretches <= 2 + len(strong) // 150)


def _joined(rulings: list[Ruling], aside: float, gap: float) -> list[Ruling]:
    """Pieces of one broken rule as one: at most ``aside`` pixels off its line and ``gap`` pixels apart."""
    pieces = sorted(rulings, key=lambda ruling: ruling.start)
    whole: list[Ruling] = []
    for piece in pieces:
        for index, other in enumerate(whole):
            if abs(other.position - piece.position) <= aside and piece.start - other.end <= gap:
                total = other.length + piece.length
                whole[index] = Ruling(
                    position=(other.position * other.length + piece.position * piece.length) / total,
                    start=other.start,
                    end=max(other.end, piece.end),
                    width=max(other.width, piece.width),
                )
                break
        else:
            whole.append(piece)
    return sorted(whole, key=lambda ruling: ruling.position)


def _kernel_size(text_height: float) -> int:
    """Pixels, odd: what is thinner than this may be a rule."""
    return max(7, round(0.7 * text_height)) | 1
