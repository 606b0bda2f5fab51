"""Many notebooks run again, side by side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kernel_exec.errors import InvalidArgument, KernelExecError, WrongType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NotRun:
    """A notebook that could not be run again at all.

    Attributes:
        origin: the notebook.
        error: why.
    """

    origin: Path
    error: KernelExecError

    @property
    def ok(self) -> bool:
        """It is not."""
        return False

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        error = {"name": type(self.error).__name__, "value": str(self.error)}
        return {"notebook": str(self.origin), "ok": False, "error": error}

    def __str__(self) -> str:
        return f"{self.origin}: it could not be run: {self.error}"


async def side_by_side(
    notebooks: Sequence[Path], run: Callable[[Path], Awaitable[T]], *, jobs: int | None = None
) -> list[T | NotRun]:
    """Run notebooks, some at a time; return what became of each, in their order.

    One that cannot be run keeps none of the others from it.

    Args:
        notebooks: the notebooks.
        run: runs one of them.
        jobs: how many at a time; None for one a processor.

    Raises:
        InvalidArgument, WrongType: `jobs` is no number above zero.
    """
    room = asyncio.Semaphore(checked_jobs(jobs))

    async def one(notebook: Path) -> T | NotRun:
        async with room:
            try:
                return await run(notebook)
            except KernelExecError as error:
                return NotRun(notebook, error)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(notebook)) for notebook in notebooks]
    return [task.result() for task in tasks]


def checked_jobs(jobs: int | None) -> int:
    """Return how many are run at a time.

    Raises:
        InvalidArgument, WrongType: it is no number above zero.
    """
    if jobs is None:
        return len(os.sched_getaffinity(0))
    if isinstance(jobs, bool) or not isinstance(jobs, int):
        raise WrongType(f"jobs must be a whole number, not {type(jobs).__name__}")
    if jobs < 1:
        raise InvalidArgument(f"jobs must be above zero, not {jobs}")
    return jobs
