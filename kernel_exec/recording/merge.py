"""What becomes of a recording that somebody else saved meanwhile, so that nobody's work is lost. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kernel_exec.recording.cells import Cell, text_of

NOTEBOOK_KEYS = frozenset({"kernelspec", "language_info", "kernel_exec"})
"""Metadata of the notebook that the recorder knows better than anybody else."""
CELL_KEYS = frozenset({"execution", "kernel_exec"})
"""Metadata of a cell that the recorder knows better than anybody else."""

_THEIRS = "-theirs"
_MAX_ID = 64


@dataclass(frozen=True, slots=True)
class Merged:
    """A recording and a foreign save, in one.

    Attributes:
        cells: all cells, in their order and with ours put back where they were.
        additions: metadata that they gave to cells of ours, by cell id.
    """

    cells: list[Cell]
    additions: dict[str, dict[str, Any]]


def merge(ours: Iterable[Cell], theirs: Iterable[Cell]) -> Merged:
    """Merge the cells of a recording with what somebody else saved over it.

    A cell of theirs that we do not know is kept. Of a cell with the same id and source the outputs are ours
    and the additions to its metadata theirs. Where the source differs both are kept, theirs below ours under
    an id of its own. Cells of ours that they do not have are put back before the cell that they preceded.
    """
    own = {cell["id"]: cell for cell in ours}
    placed: dict[str, Cell] = {}
    numbers: dict[str, int] = {}
    additions: dict[str, dict[str, Any]] = {}
    for saved in theirs:
        # No id may come twice. If one does, both are somebody's work.
        cell = {**saved, "id": _free_id(saved["id"], placed, numbers)}
        ours_too = own.get(cell["id"])
        if ours_too is None or cell["id"].endswith(_THEIRS):
            placed[cell["id"]] = cell
        elif _same_work(ours_too, cell):
            additions[cell["id"]] = added(ours_too["metadata"], cell["metadata"], CELL_KEYS)
            placed[cell["id"]] = with_additions(ours_too, additions[cell["id"]])
        else:
            placed[cell["id"]] = ours_too
            renamed = _free_id(their_id(cell["id"]), placed, numbers)
            placed[renamed] = {**cell, "id": renamed}
    return Merged(_put_back(own, placed), {key: value for key, value in additions.items() if value})


def added(ours: Mapping[str, Any], theirs: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return what they added to metadata or changed in it, but for the keys that only we know."""
    return {key: value for key, value in theirs.items() if key not in known and ours.get(key) != value}


def with_additions(cell: Cell, additions: Mapping[str, Any]) -> Cell:
    """Return a cell of ours with the metadata that they gave it."""
    return {**cell, "metadata": {**cell["metadata"], **additions}} if additions else cell


def their_id(cell_id: str) -> str:
    """Return the id under which their version of a cell is kept beside ours.

    The same each time: a second save from an editor that did not reload replaces its first version.
    """
    return cell_id if cell_id.endswith(_THEIRS) else cell_id[: _MAX_ID - len(_THEIRS)] + _THEIRS


def _free_id(cell_id: str, taken: Container[str], numbers: dict[str, int]) -> str:
    """Return the id, or the id with the first number that is free; the same for the same save.

    Args:
        cell_id: the id.
        taken: ids that are not free.
        numbers: the last number of each id so far: a save may have one id a hundred thousand times.
    """
    free, stem = cell_id, cell_id[: _MAX_ID - 8]
    while free in taken:
        numbers[stem] = numbers.get(stem, 1) + 1
        free = f"{stem}-{numbers[stem]}"
    return free


def _same_work(ours: Cell, theirs: Cell) -> bool:
    same_type = ours["cell_type"] == theirs["cell_type"]
    return bool(same_type and text_of(ours["source"]) == text_of(theirs["source"]))


def _put_back(own: dict[str, Cell], placed: dict[str, Cell]) -> list[Cell]:
    """Insert the cells of ours that are missing, each before the next one that is there, or at the end."""
    order = list(placed)
    present = set(order)
    after: str | None = None
    for cell_id in reversed(own):
        if cell_id not in present:
            order.insert(order.index(after) if after is not None else len(order), cell_id)
        after = cell_id
    return [placed.get(cell_id) or own[cell_id] for cell_id in order]
