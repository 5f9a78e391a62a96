"""Tables whose grid is drawn: from rules to rows, columns and merged cells."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from .rulings import Ruling, Rulings
from .tables import Cell, Table, filled_cell
from .unruled import pieces_of
from .words import Box, Word, text_rows

_COVERED = 0.5


@dataclass(frozen=True)
class Span:
    """A cell of a grid: first row and column, and how many of each it covers."""

    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Grid:
    """A drawn grid: the y of its row edges, the x of its column edges, and its cells."""

    row_edges: list[float]
    column_edges: list[float]
    spans: list[Span]

    @property
    def box(self) -> Box:
        return Box(self.column_edges[0], self.row_edges[0], self.column_edges[-1], self.row_edges[-1])

    def box_of(self, span: Span) -> Box:
        """Where a cell stands on the page."""
        return Box(
            self.column_edges[span.column],
            self.row_edges[span.row],
            self.column_edges[span.column + span.columns],
            self.row_edges[span.row + span.rows],
        )


def find_grids(rulings: Rulings) -> list[Grid]:
    """The grids of at least two columns that a page's rules draw, from the top."""
    grids = []
    for net in rulings.groups():
        tolerance = rulings.tolerance
        down = [r for r in net.vertical if r.length > 1.3 * rulings.text_height]
        if len(net.horizontal) < 2 or not down:
            continue
        down = down + _missing_sides(net.horizontal, down, 1.5 * rulings.text_height)
        across = net.horizontal + _missing_sides(down, net.horizontal, 1.5 * rulings.text_height)
        columns, rows = _edges(down, tolerance), _edges(across, tolerance)
        if len(columns) < 3 or len(rows) < 2:
            continue
        grids.append(Grid(rows, columns, _spans(rows, columns, across, down, tolerance)))
    return sorted(grids, key=lambda grid: (grid.box.top, grid.box.left))


def read_grid(grid: Grid, words: list[Word], page: int) -> Table:
    """A grid with the words in it. Rows that no rule parts, but whose text is aligned, are parted."""
    parted = _part_columns(_part_rows(grid, words), words)
    cells = []
    for span in parted.spans:
        box = parted.box_of(span)
        inside = [word for word in words if box.holds(word.box.centre)]
        cells.append(filled_cell((span.row, span.column), (span.rows, span.columns), box, inside))
    return Table(
        page, parted.box, len(parted.row_edges) - 1, len(parted.column_edges) - 1, ruled=True, cells=cells
    )


def _missing_sides(reaching: list[Ruling], crossing: list[Ruling], least: float) -> list[Ruling]:
    """The outer rules that a table drawn open at its sides lacks: where rules reach beyond the last one."""
    added = []
    low, high = min(r.position for r in crossing), max(r.position for r in crossing)
    start, end = min(r.start for r in crossing), max(r.end for r in crossing)
    before = [r.start for r in reaching if r.start < low - least]
    after = [r.end for r in reaching if r.end > high + least]
    if before:
        added.append(Ruling(median(before), start, end, 1.0))
    if after:
        added.append(Ruling(median(after), start, end, 1.0))
    return added


def _edges(rulings: list[Ruling], tolerance: float) -> list[float]:
    """Positions of rules, those that lie within the tolerance of each other (double rules) as one."""
    clusters: list[list[Ruling]] = []
    for ruling in sorted(rulings, key=lambda ruling: ruling.position):
        if clusters and ruling.position - clusters[-1][-1].position <= tolerance:
            clusters[-1].append(ruling)
        else:
            clusters.append([ruling])
    return [
        sum(r.position * r.length for r in cluster) / sum(r.length for r in cluster) for cluster in clusters
    ]


def _spans(
    rows: list[float], columns: list[float], across: list[Ruling], down: list[Ruling], tolerance: float
) -> list[Span]:
    """Cells: places of the grid with no rule between them are one, as far as they make a rectangle."""
    height, width = len(rows) - 1, len(columns) - 1
    parent = {(r, c): (r, c) for r in range(height) for c in range(width)}

    def root(place: tuple[int, int]) -> tuple[int, int]:
        while parent[place] != place:
            place = parent[place]
        return place

    for row, column in parent:
        if column + 1 < width and not _drawn(down, columns[column + 1], rows[row], rows[row + 1], tolerance):
            parent[root((row, column + 1))] = root((row, column))
        if row + 1 < height and not _drawn(
            across, rows[row + 1], columns[column], columns[column + 1], tolerance
        ):
            parent[root((row + 1, column))] = root((row, column))
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place in parent:
        groups.setdefault(root(place), []).append(place)
    spans: list[Span] = []
    for places in groups.values():
        spans += _rectangles(places)
    return sorted(spans, key=lambda span: (span.row, span.column))


def _rectangles(places: list[tuple[int, int]]) -> list[Span]:
    """A group of places as one span; as one for each run of a row when the group is no rectangle."""
    top, left = min(r for r, _ in places), min(c for _, c in places)
    bottom, right = max(r for r, _ in places), max(c for _, c in places)
    if (bottom - top + 1) * (right - left + 1) == len(places):
        return [Span(top, left, bottom - top + 1, right - left + 1)]
    spans: list[Span] = []
    for row, column in sorted(places):
        last = spans[-1] if spans else None
        if last and last.row == row and last.column + last.columns == column:
            spans[-1] = Span(row, last.column, 1, last.columns + 1)
        else:
            spans.append(Span(row, column, 1, 1))
    return spans


def _drawn(rulings: list[Ruling], position: float, start: float, end: float, tolerance: float) -> bool:
    """Whether a rule runs along one edge of a place, for at least half of the edge."""
    margin = min(tolerance, 0.2 * (end - start))
    start, end = start + margin, end - margin
    covered = sum(
        max(min(r.end, end) - max(r.start, start), 0.0)
        for r in rulings
        if abs(r.position - position) <= tolerance
    )
    return covered >= _COVERED * (end - start)


def _part_rows(grid: Grid, words: list[Word]) -> Grid:
    """The grid with row edges added where a band holds several rows of text that no rule parts.

    A description that runs over two lines beside a single amount is one row; lines that most filled columns
    have in the same number, at the same heights, are rows.
    """
    edges: list[float] = [grid.row_edges[0]]
    first_of: list[int] = []
    for row in range(len(grid.row_edges) - 1):
        first_of.append(len(edges) - 1)
        edges += _inner_edges(grid, row, words)
        edges.append(grid.row_edges[row + 1])
    first_of.append(len(edges) - 1)
    if len(edges) == len(grid.row_edges):
        return grid
    spans = []
    for span in grid.spans:
        start, end = first_of[span.row], first_of[span.row + span.rows]
        if span.rows > 1:
            spans.append(Span(start, span.column, end - start, span.columns))
        else:
            spans += [Span(row, span.column, 1, span.columns) for row in range(start, end)]
    return Grid(edges, grid.column_edges, sorted(spans, key=lambda span: (span.row, span.column)))


def _inner_edges(grid: Grid, row: int, words: list[Word]) -> list[float]:
    lines_of: list[list[tuple[float, float]]] = []
    for span in grid.spans:
        if span.row > row or span.row + span.rows <= row:
            continue
        box = grid.box_of(span)
        inside = [word for word in words if box.holds(word.box.centre)]
        if span.rows > 1 or not inside:
            continue
        lines_of.append(
            [
                (min(word.box.top for word in line), max(word.box.bottom for word in line))
                for line in text_rows(inside)
            ]
        )
    if len(lines_of) < 2:
        return []
    counts = [len(lines) for lines in lines_of]
    most = max(counts)
    agreeing = [lines for lines in lines_of if len(lines) == most]
    if most < 2 or len(agreeing) < 2 or 2 * len(agreeing) <= len(lines_of):
        return []
    inner = []
    for index in range(most - 1):
        bottom = max(lines[index][1] for lines in agreeing)
        top = min(lines[index + 1][0] for lines in agreeing)
        if top < bottom - 2:
            return []
        inner.append((top + bottom) / 2)
    return inner


def _part_columns(grid: Grid, words: list[Word]) -> Grid:
    """The grid with merged cells parted whose words stand apart, each group in a column of its own: between
    them is a rule that was not seen, as in a dark header."""
    spans: list[Span] = []
    for span in grid.spans:
        box = grid.box_of(span)
        inside = [word for word in words if box.holds(word.box.centre)]
        if span.columns == 1 or not inside:
            spans.append(span)
            continue
        edges = grid.column_edges[span.column : span.column + span.columns + 1]
        height = median(word.box.height for word in inside)
        pieces = [piece.box for row in text_rows(inside) for piece in pieces_of(row, height)]
        columns = _columns_of(pieces, edges)
        if -1 in columns or len(columns) < 2:
            # Headings that stand tight: each column has words of its own, and none is in the way of an edge.
            columns = _columns_of([word.box for word in inside], edges)
            if len(columns) < max(span.columns, 3):
                columns = {-1}
        if -1 in columns:
            spans.append(span)
        else:
            spans += [Span(span.row, span.column + i, span.rows, 1) for i in range(span.columns)]
    return Grid(grid.row_edges, grid.column_edges, sorted(spans, key=lambda span: (span.row, span.column)))


def _columns_of(boxes: list[Box], edges: list[float]) -> set[int]:
    """The columns that boxes stand in; -1 among them when one reaches over an edge."""
    return {
        next((i for i, end in enumerate(edges[1:]) if box.right <= end + 2 and box.left >= edges[i] - 2), -1)
        for box in boxes
    }


def holds_text(cells: list[Cell]) -> bool:
    """Whether at least two of some cells hold text: else a drawing or a frame looked like a grid."""
    return sum(1 for cell in cells if cell.text or cell.unread) >= 2
