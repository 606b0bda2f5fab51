"""The HTML of a data frame as rows of text. Pure; whatever is not surely such a table is left to its plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

MAX_HTML = 40_000
"""Characters of HTML beyond which nobody reads the table on a terminal."""

_ALLOWED = ("style", "div", "thead", "tbody", "p", "table", "tr", "th", "td")
# Told before it is parsed, as the parser takes quadratic time for some of the rest.
_STRANGE = re.compile(rf"<(?!/?(?:{'|'.join(_ALLOWED)})(?: [^<>]*)?>)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        head: names of the columns.
        rows: as many texts in each.
        caption: what is told of it; "" for nothing.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


def table_of(html: str) -> Table | None:
    """Return the table that `html` is; None when it is something else, or more than that."""
    if len(html) > MAX_HTML or 'class="dataframe"' not in html or _STRANGE.search(html):
        return None
    reader = _Reader()
    reader.feed(html)
    reader.close()
    rows = reader.rows
    if reader.strange or len(rows) < 2 or len({len(row) for row in rows}) != 1 or not rows[0]:
        return None
    return Table(rows[0], rows[1:], " ".join(reader.caption.split()))


def is_number(text: str) -> bool:
    """Whether a text is one that numbers are aligned with."""
    try:
        float(text.replace(",", ""))
    except ValueError:
        return text in {"...", ""}
    return True


class _Reader(HTMLParser):
    """Takes in one flat table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.caption = ""
        self.strange = False
        self._tables = 0
        self._where = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tables += tag == "table"
        spans = any(name in {"rowspan", "colspan"} and value != "1" for name, value in attrs)
        if spans or self._tables > 1 or (tag in {"td", "th"} and not self.rows):
            self.strange = True
            return
        self._where = tag
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._where = ""

    def handle_data(self, data: str) -> None:
        if self._where in {"td", "th"} and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data
        elif self._where == "p":
            self.caption += data
