"""What differs between a cell as it was recorded and as it ran again, in words for people and data for reports."""

from __future__ import annotations

import base64
import dataclasses
import reprlib
from dataclasses import dataclass, field
from typing import Any, Literal

from kernel_exec.wire.terminal import strip_ansi

Kind = Literal[
    "text",
    "number",
    "table",
    "data",
    "image",
    "error",
    "artifact",
    "missing output",
    "extra output",
    "order",
    "status",
    "missing cell",
]
"""`number`: a number beyond tolerance in a text; `data`: JSON and anything that is no text; `order`: the same outputs,
in another order; `missing ...`: in the recording only; `extra ...`: only now; `missing cell`: it was not run again."""

LONG = 400
"""Characters of old and new that are kept."""

_bounded = reprlib.Repr()
_bounded.maxstring = _bounded.maxother = 120
_bounded.maxlevel = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is no longer as it was recorded.

    Attributes:
        kind: what kind of thing.
        message: what changed, on one line.
        old: how it was, shortened; "" where there was nothing, or where the message says all.
        new: how it is now, shortened.
        where: the place in the cell, such as "outputs[2] text/html" or "artifact plots/a.png".
        picture: a PNG that shows old, new and what differs, for images that both could be decoded; else None.
        cell: index of the cell in the old notebook, all kinds of cells counted.
        cell_id: its id; "" where it has none.
    """

    kind: Kind
    message: str
    old: str = ""
    new: str = ""
    where: str = ""
    picture: bytes | None = field(default=None, repr=False)
    cell: int = -1
    cell_id: str = ""

    def at(self, where: str) -> Difference:
        """Return the same difference at a place in its cell, for one that has no place yet."""
        return self if self.where else dataclasses.replace(self, where=where)

    def of(self, cell: int, cell_id: str) -> Difference:
        """Return the same difference as one of a cell."""
        return dataclasses.replace(self, cell=cell, cell_id=cell_id)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; the picture in base64."""
        picture = base64.b64encode(self.picture).decode("ascii") if self.picture else None
        return {**dataclasses.asdict(self), "picture": picture}

    def __str__(self) -> str:
        return f"cell {self.cell}, {self.where}: {self.message}" if self.where else f"cell {self.cell}: {self.message}"


def short(value: Any, limit: int = LONG) -> str:
    """Return a value as text that is safe to print: bounded, and without what a terminal would obey."""
    text = value if isinstance(value, str) else _bounded.repr(value)
    more = len(text) - limit
    head = strip_ansi(text[: 2 * limit])[:limit]
    printable = "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in head)
    return f"{printable}... ({more:,} more)" if more > 0 else printable


def changed(old: Any, new: Any, limit: int = 60) -> str:
    """Return `OLD -> NEW` for a message: one line, short."""
    return " -> ".join(" ".join(short(value, limit).split()) or "(empty)" for value in (old, new))
