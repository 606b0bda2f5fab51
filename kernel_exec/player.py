"""The cells of a notebook on their way through a kernel again: for a replay, and for a session that is resumed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kernel_exec.errors import InvalidArgument, ResultNotReady, WrongType
from kernel_exec.execution import Execution
from kernel_exec.results import ExecutionResult, ReplayedCell
from kernel_exec.transfer import checked_filename

if TYPE_CHECKING:
    from kernel_exec.plan import Step

CELL_TIMEOUT = 600.0
"""Seconds that a cell may run again, unless the caller says otherwise: notebooks train models, and none may hang."""
OnProgress = Callable[["Progress"], object]
"""Called with each change; what it returns is awaited when that can be awaited."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay has come.

    Attributes:
        done: cells of code that are done with, whether they ran or not.
        total: cells of code in the notebook.
        index: of the cell that it is about, in the notebook, from 0; None for one that sets parameters.
        title: one line that tells a person which cell that is.
        status: "running", or what became of it: the status of its result, or "skipped".
    """

    done: int
    total: int
    index: int | None
    title: str
    status: str


def filename_of(step: Step) -> str | None:
    """Return where the code of a cell was kept when it was recorded; anybody may have written that down."""
    try:
        return checked_filename(step.cell.facts.get("filename"), (), Path("/"))
    except (InvalidArgument, WrongType):
        return None


async def ended(execution: Execution, step: Step, interrupt: Callable[[], Awaitable[None]]) -> ExecutionResult:
    """Return the result of a cell, which is interrupted when it was as it was recorded, after as long.

    Cancelling the wait cancels the cell.
    """
    try:
        try:
            return await execution.result(step.interrupt)
        except ResultNotReady:
            await interrupt()
            return await execution.result()
    except asyncio.CancelledError:
        execution.cancel()
        raise


class Stage(Protocol):
    """Where the cells are run, and what is kept of them."""

    async def run(self, step: Step) -> ExecutionResult:
        """Run a cell of code."""

    async def restart(self, step: Step) -> None:
        """Restart the kernel, as was done then."""

    async def carry(self, step: Step) -> None:
        """Keep a text."""

    async def leave(self, step: Step, reason: str) -> None:
        """Keep a cell of code that is not run."""


async def play(
    steps: Sequence[Step], stage: Stage, *, allow_errors: bool = False, on_progress: OnProgress | None = None
) -> list[ReplayedCell]:
    """Run the cells one after the other; return what became of each cell of code.

    Args:
        steps: the cells.
        stage: where they are run.
        allow_errors: go on behind a cell that fails.
        on_progress: called as it goes.

    Raises:
        Exception: what the stage or the callback raises.
    """
    total = sum(step.cell.cell_type == "code" for step in steps)
    played: list[ReplayedCell] = []
    stopped = ""

    async def tell(step: Step, status: str) -> None:
        if on_progress is not None:
            answer = on_progress(Progress(len(played), total, step.cell.index, step.cell.title, status))
            if inspect.isawaitable(answer):
                await answer

    for step in steps:
        if step.act == "restart" and not stopped:
            await stage.restart(step)
        elif step.cell.cell_type != "code":
            await stage.carry(step)
        elif step.act == "leave" or stopped:
            reason = step.reason or stopped
            await stage.leave(step, reason)
            played.append(ReplayedCell(step.cell.index, step.cell.cell_id, "skipped", reason=reason))
            await tell(step, "skipped")
        else:
            await tell(step, "running")
            result = await stage.run(step)
            expected = step.may_fail
            played.append(ReplayedCell(step.cell.index, step.cell.cell_id, result.status, result, expected=expected))
            if not (result.ok or expected or allow_errors):
                stopped = f"a cell above failed ({result.error or result.status})"
            await tell(step, result.status)
    return played
