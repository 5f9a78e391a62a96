"""What a batch is to be, and how it is cut into chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: Images of a row of the ledger where the chunks' size is automatic; such sizes are multiples of it.
PIECE = 5
#: A chunk, its first item, and the size of the chunks from there on.
Segment = tuple[int, int, int]


@dataclass(frozen=True)
class BatchFacts:
    """What does not change in a batch's life. ``by``: who asked; ``window``: 0 follows the workers.

    ``callbacks``: event → actor or URL; ``private_webhooks``: whether the URLs may lead to private addresses.
    Where the size of the chunks is automatic (``auto``), ``segments`` says from which chunk on which size
    applies; those of released chunks never change. Without segments all have ``chunk_size``.
    """

    name: str
    workflow: str
    images: int
    chunk_size: int
    window: int
    priority: str
    success_threshold: float
    created: float
    by: str | None = None
    callbacks: dict[str, str] = field(default_factory=dict)
    private_webhooks: bool = True
    auto: bool = False
    segments: Sequence[Segment] = ()

    @property
    def _segments(self) -> Sequence[Segment]:
        return self.segments or ((0, 0, self.chunk_size),)

    @property
    def size(self) -> int:
        """Images of the chunks that are still to be cut."""
        return self._segments[-1][2]

    @property
    def chunks(self) -> int:
        first_chunk, first_item, size = self._segments[-1]
        return first_chunk - (first_item - self.images) // size

    def range_of(self, chunk: int) -> range:
        """The items of a chunk; both count from 0."""
        first_chunk, first_item, size = next(
            segment for segment in reversed(self._segments) if segment[0] <= chunk
        )
        first = min(first_item + (chunk - first_chunk) * size, self.images)
        return range(first, min(first + size, self.images))

    def chunk_of(self, item: int) -> int:
        """The chunk of an item."""
        first_chunk, first_item, size = next(
            segment for segment in reversed(self._segments) if segment[1] <= item
        )
        return first_chunk + (item - first_item) // size

    def cut_from(self, chunk: int, size: int) -> list[Segment]:
        """The segments, with another size from a chunk on."""
        kept = [segment for segment in self._segments if segment[0] < chunk]
        return [*kept, (chunk, self.range_of(chunk).start, size)]

    @property
    def piece(self) -> int:
        """Images of a row of the ledger."""
        return PIECE if self.auto else self.chunk_size

    def pieces_of(self, chunk: int) -> range:
        """The numbers of the ledger's rows that hold a chunk."""
        own = self.range_of(chunk)
        return range(own.start // self.piece, -(-own.stop // self.piece))

    def items_of_piece(self, number: int) -> range:
        """The items of a row of the ledger."""
        return range(number * self.piece, min((number + 1) * self.piece, self.images))
