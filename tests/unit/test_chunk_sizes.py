"""How many images a chunk gets where that is automatic."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from actors.batches.chunk_sizes import by_bytes, by_files, by_time
from db.batches.facts import BatchFacts

MB = 1_000_000


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        (0, 50),
        (200_000, 45),
        (900_000, 25),
        (MB, 20),
        (3 * MB, 15),
        (4.9 * MB, 10),
        (6 * MB, 10),
        (9 * MB, 5),
    ],
)
def test_by_bytes(size: float, chunk: int) -> None:
    assert by_bytes(size) == chunk


def test_smaller_files_never_get_smaller_chunks() -> None:
    sizes = [by_bytes(size) for size in range(0, 12 * MB, 10_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert set(sizes) == set(range(5, 55, 5))


def test_by_files(tmp_path: Path) -> None:
    assert by_files([(f"{tmp_path}/none", None)]) == 10
    items: list[tuple[str, str | None]] = []
    for number, size in enumerate((100, 3 * MB, 3 * MB, 3 * MB, 30 * MB)):
        with (tmp_path / str(number)).open("wb") as file:
            file.truncate(size)
        items.append((f"{tmp_path}/{number}", None))
    assert by_files(items) == 15
    assert by_files([(f"file://{path}", None) for path, _ in items]) == 15
    with fsspec.open("memory://scans/1.png", "wb") as file:
        file.write(b"x" * 6 * MB)
    assert by_files([("memory://scans/1.png", None), ("memory://scans/none.png", None)]) == 10
    assert by_files([("nothing://scans/1.png", None)]) == 10


@pytest.mark.parametrize(
    ("present", "seconds", "size"),
    [(10, 2, 10), (10, 1, 10), (10, 6, 10), (10, 0.001, 50), (50, 5, 5), (20, 0.2, 50), (5, 60, 5),
     (10, 0, 50), (50, 1.5, 20)],
)  # fmt: skip
def test_by_time(present: int, seconds: float, size: int) -> None:
    assert by_time(present, seconds) == size


@pytest.mark.parametrize(
    "cuts", [(), ((3, 25),), ((0, 5), (2, 50)), ((3, 25), (3, 5), (7, 15)), ((1, 5), (2, 50))]
)
@pytest.mark.parametrize("images", [1, 49, 50, 123, 1000])
def test_chunks_hold_each_image_once(images: int, cuts: tuple[tuple[int, int], ...]) -> None:
    made = BatchFacts("a", "w", images, 10, 0, "default", 1.0, 0.0, auto=True)
    for cut in cuts:
        before = made
        if cut[0] < made.chunks:
            made = BatchFacts(**{**vars(made), "segments": made.cut_from(*cut)})
            assert [made.range_of(chunk) for chunk in range(cut[0])] == [
                before.range_of(chunk) for chunk in range(cut[0])
            ]
            assert made.size == cut[1]
    ranges = [made.range_of(chunk) for chunk in range(made.chunks)]
    assert [item for own in ranges for item in own] == list(range(images))
    assert all(ranges)
    for chunk, own in enumerate(ranges):
        assert {made.chunk_of(item) for item in own} == {chunk}
        pieces = made.pieces_of(chunk)
        assert [item for piece in pieces for item in made.items_of_piece(piece)] == list(own)
