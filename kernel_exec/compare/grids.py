"""Tables read from HTML, as grids with names for rows and columns.

They are found by their tags alone. `html.parser` takes quadratic time for some broken markup (CVE-2025-6069), and a
recording may hold any; what is needed here is five tags.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile

MAX_CELLS = 100_000
_MAX_SPAN = 1_000

_TAG = re.compile(r"<(/?)(table|thead|tr|th|td)\b([^<>]*)>", re.IGNORECASE)
_SPAN = re.compile(r"\b(row|col)span=[\"']?(\d{1,6})", re.IGNORECASE)
_STYLE = re.compile(r"\bstyle=\"([^\"]*)\"", re.IGNORECASE)


class TooLarge(Exception):
    """The tables of a text have more cells than are compared one by one."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what stands in it, and whether it is a heading."""

    text: str
    heading: bool = False


@dataclass(slots=True)
class Grid:
    """A table; each place that a cell spans holds it.

    Attributes:
        places: (row, column) -> cell, the rows of the head and of the body counted together.
        head: the rows of `<thead>`.
        body: all others.
    """

    places: dict[tuple[int, int], Cell] = field(default_factory=dict)
    head: list[int] = field(default_factory=list)
    body: list[int] = field(default_factory=list)

    @property
    def width(self) -> int:
        """How many columns."""
        return max((column for _, column in self.places), default=-1) + 1

    def row(self, row: int, width: int) -> list[Cell]:
        """Return the cells of a row."""
        return [self.places.get((row, column), _EMPTY) for column in range(width)]


@dataclass(frozen=True, slots=True)
class Table:
    """A table by names.

    Attributes:
        corner: the headings of the columns that name the rows, such as the index's name.
        columns: names of the columns that hold data; of several levels, `a/b`.
        rows: names of the rows; their numbers where they have none.
        cells: the texts, row by row.
    """

    corner: str
    columns: list[str]
    rows: list[str]
    cells: list[list[str]]


_EMPTY = Cell("")


def tables_of(text: str) -> tuple[list[Table], str]:
    """Return the tables in HTML, and the text around them: what is before and behind them, and their captions.

    Raises:
        TooLarge: they have too many cells.
    """
    grids: list[Grid] = []
    rest: list[str] = []
    end = 0
    for start, stop in _spans(text):
        opening, first = islice(_TAG.finditer(text, start, stop), 2)
        rest += text[end:start], text[opening.end() : first.start()]  # its caption
        grids.append(_grid(text[start:stop], sum(len(grid.places) for grid in grids)))
        end = stop
    return list(map(_named, grids)), "".join((*rest, text[end:]))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where tables begin and end; one in another is part of it."""
    depth = start = 0
    for match in _TAG.finditer(text):
        if match[2].lower() != "table":
            continue
        if not match[1]:
            start = start if depth else match.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                yield start, match.end()


def _grid(text: str, cells: int) -> Grid:
    grid, in_head, row, column = Grid(), False, -1, 0
    tags = list(_TAG.finditer(text))
    for index, tag in enumerate(tags):
        closing, name = tag[1], tag[2].lower()
        if name == "thead":
            in_head = not closing
        elif name == "tr" and not closing:
            row, column = row + 1, 0
            (grid.head if in_head else grid.body).append(row)
        elif name in {"th", "td"} and not closing:
            if row < 0:  # a table without rows is one row
                row = 0
                grid.body.append(row)
            stop = tags[index + 1].start() if index + 1 < len(tags) else len(text)
            while (row, column) in grid.places:
                column += 1
            _place(grid, row, column, _cell(tag, text[tag.end() : stop]), tag[3])
            if cells + len(grid.places) > MAX_CELLS:
                raise TooLarge
    return grid


def _place(grid: Grid, row: int, column: int, cell: Cell, attributes: str) -> None:
    spans = {match[1].lower(): min(int(match[2]), _MAX_SPAN) for match in _SPAN.finditer(attributes)}
    if spans.get("row", 1) * spans.get("col", 1) > MAX_CELLS:
        raise TooLarge
    for down in range(spans.get("row", 1) or 1):
        for right in range(spans.get("col", 1) or 1):
            grid.places[row + down, column + right] = cell


def _cell(tag: re.Match[str], inner: str) -> Cell:
    # The colour that a style gives to a cell is part of what it shows.
    style = _STYLE.search(tag[3])
    text = html.unescape(inner).strip()
    return Cell(f"{text} {{{style[1]}}}" if style else text, heading=tag[2].lower() == "th")


def _named(grid: Grid) -> Table:
    width = grid.width
    if width * (len(grid.head) + len(grid.body)) > 2 * MAX_CELLS:
        raise TooLarge
    head = [grid.row(row, width) for row in grid.head]
    body = [grid.row(row, width) for row in grid.body]
    labels = min((len(list(takewhile(lambda cell: cell.heading, row))) for row in body), default=0)
    headings = [_joined(row[column].text for row in head) for column in range(width)]
    rows = [_joined(cell.text for cell in row[:labels]) or str(number) for number, row in enumerate(body)]
    return Table(
        " ".join(headings[:labels]).strip(),
        headings[labels:],
        rows,
        [[cell.text for cell in row[labels:]] for row in body],
    )


def _joined(names: Iterable[str]) -> str:
    return "/".join(name for name in names if name)
