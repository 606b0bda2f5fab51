"""Cells in a session: variables in, the code, variables out; waited for, or in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kernel_exec.errors import KernelExecError
from kernel_exec.execution import Execution
from kernel_exec.magics.errand import Errand
from kernel_exec.magics.errors import UsageError
from kernel_exec.magics.sessions import Session
from kernel_exec.results import ExecutionResult
from kernel_exec.settings import Timeout


@dataclass(frozen=True, slots=True)
class Cell:
    """What is to be run.

    Attributes:
        code: the body.
        timeout: seconds that it may run; the session's own when not given.
        values: variables to set before it.
        wanted: names of variables to take out after it.
    """

    code: str
    timeout: Timeout
    values: Mapping[str, Any]
    wanted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of it.

    Attributes:
        result: the cell's.
        values: the variables that were wanted; empty when it did not end well.
        refused: why the first one is missing that could not be taken out; None when all were.
    """

    result: ExecutionResult
    values: dict[str, Any] = field(default_factory=dict)
    refused: KernelExecError | None = None


async def run(errand: Errand[Done], session: Session, cell: Cell, *, may_ask: bool) -> Done:
    """Run a cell, and give what it shows as it comes.

    Args:
        errand: takes what it shows, and stops it.
        session: where.
        cell: the cell.
        may_ask: whether somebody can answer when it asks for input.
    """
    async with session.turn:
        await _bring(session, cell)
        ask = errand.ask if may_ask else None
        stream = session.executor.stream(cell.code, timeout=cell.timeout, on_input=ask)
        stopping: list[asyncio.Task[None]] = []
        errand.stopper = lambda kill: stopping.append(asyncio.ensure_future(stream.cancel(kill=kill)))
        async with stream:
            async for item in stream:
                if isinstance(item, ExecutionResult):
                    errand.stopper = None
                    return await _taken(session, cell, item)
                await errand.give(item)
        raise RuntimeError("the stream of outputs ended without a result")


class Job:
    """A cell in the background. Made in the sessions' loop.

    Args:
        session: where it runs.
        cell: the cell.
    """

    def __init__(self, session: Session, cell: Cell) -> None:
        self._session, self._cell = session, cell
        self._execution: Execution | None = None
        self.task = asyncio.ensure_future(self._run())
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever asks gets it

    def stop(self, kill: bool) -> None:  # noqa: FBT001 - as Errand.stopper has it
        """Interrupt it, or take it out of the queue."""
        if self._execution is not None and not self._execution.done:
            self._execution.stop.request("cancel", kill=kill)
        else:
            self.task.cancel()

    async def _run(self) -> Done:
        async with self._session.turn:
            await _bring(self._session, self._cell)
            self._execution = await self._session.executor.submit(self._cell.code, timeout=self._cell.timeout)
            return await _taken(self._session, self._cell, await self._execution.result())


async def wait(errand: Errand[Done], job: Job) -> Done:
    """Wait for a cell in the background, and give what it showed.

    Raises:
        UsageError: it was cancelled before it ran.
    """
    errand.stopper = job.stop
    await asyncio.wait((job.task,))
    errand.stopper = None
    if job.task.cancelled() and not errand.pressed:
        raise UsageError("%kx result: the cell never ran, as it was cancelled while it waited for its turn")
    done = job.task.result()
    for output in done.result.outputs:
        await errand.give(output)
    return done


async def _bring(session: Session, cell: Cell) -> None:
    for name, value in cell.values.items():
        await session.executor.put(name, value)


async def _taken(session: Session, cell: Cell, result: ExecutionResult) -> Done:
    done = Done(result)
    for name in cell.wanted if result.ok else ():
        try:
            done.values[name] = await session.executor.get(name)
        except KernelExecError as error:
            done = replace(done, refused=done.refused or error)
    return done
