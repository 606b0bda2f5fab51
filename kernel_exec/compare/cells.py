"""A cell as it was recorded and as it ran again; and all cells of a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kernel_exec.compare.artifacts import Files, artifact_differences
from kernel_exec.compare.difference import Difference, changed, short
from kernel_exec.compare.marks import Marks, marks_of
from kernel_exec.compare.outputs import output_differences
from kernel_exec.compare.rules import Rules
from kernel_exec.compare.shown import shown_by
from kernel_exec.compare.terms import Terms, day_of

Cell = Mapping[str, Any]

_NO_RULES = Rules()


def cell_differences(
    old: Cell, new: Cell, rules: Rules = _NO_RULES, *, index: int = 0, files: Files | None = None
) -> list[Difference]:
    """Return how a cell differs from its recording. Nothing in either makes it raise, and it takes bounded time.

    Args:
        old: the cell as it was recorded, as the notebook has it; its tags and comments count.
        new: the cell as it ran again.
        rules: how close it must be.
        index: which cell of the old notebook it is.
        files: reads artifacts; None compares them by their hashes.
    """
    marks = marks_of(old)
    if marks.skip:
        return []
    terms = Terms(marks.applied_to(rules), day_of(old), day_of(new))
    return [difference.of(index, _id_of(old)) for difference in _differences(old, new, marks, terms, files)]


def differences(
    old: Sequence[Cell], new: Sequence[Cell], rules: Rules = _NO_RULES, *, files: Files | None = None
) -> list[Difference]:
    """Return how the code cells of a notebook differ from its recording, the first with the first and so on.

    Args:
        old: the cells as they were recorded; those marked to be skipped have no counterpart.
        new: the cells as they ran again. Cells with other ids or more of them are no difference: code is not compared.
        rules: how close they must be.
        files: reads artifacts; None compares them by their hashes.
    """
    again = iter(cell for cell in new if _is_code(cell))
    found: list[Difference] = []
    for index, cell in enumerate(old):
        if not _is_code(cell) or marks_of(cell).skip:
            continue
        counterpart = next(again, None)
        if counterpart is None:
            found.append(Difference("missing cell", "was not run again", cell=index, cell_id=_id_of(cell)))
        else:
            found += cell_differences(cell, counterpart, rules, index=index, files=files)
    return found


def _differences(old: Cell, new: Cell, marks: Marks, terms: Terms, files: Files | None) -> Iterator[Difference]:
    yield from _status_differences(old, new)
    checked = marks.check if marks.check is not None else not terms.rules.marked_only
    if checked:
        yield from output_differences(shown_by(old, terms.rules), shown_by(new, terms.rules), terms)
        yield from artifact_differences(old, new, terms, files)
    elif not marks.raises:
        yield from _raised(old, new, terms.rules)


def _status_differences(old: Cell, new: Cell) -> Iterator[Difference]:
    """Tell of another end than an error or none: those are among the outputs."""
    ours, theirs = _status(old), _status(new)
    if ours and theirs and ours != theirs and {ours, theirs} != {"ok", "error"}:
        yield Difference("status", changed(ours, theirs), short(ours), short(theirs))


def _raised(old: Cell, new: Cell, rules: Rules) -> Iterator[Difference]:
    """Tell of an error that is new in a cell whose outputs are not compared."""
    errors = [[shown for shown in shown_by(cell, rules) if shown.name == "error"] for cell in (old, new)]
    if errors[1] and not errors[0]:
        yield Difference("error", f"raised: {errors[1][0].bundle['ename']}", new=str(errors[1][0]))


def _status(cell: Cell) -> str:
    metadata = cell.get("metadata")
    ours = metadata.get("kernel_exec") if isinstance(metadata, dict) else None
    status = ours.get("status") if isinstance(ours, dict) else None
    return status if isinstance(status, str) else ""


def _id_of(cell: Cell) -> str:
    cell_id = cell.get("id")
    return short(cell_id, 64) if isinstance(cell_id, str) else ""


def _is_code(cell: Any) -> bool:
    return isinstance(cell, Mapping) and cell.get("cell_type") == "code"
