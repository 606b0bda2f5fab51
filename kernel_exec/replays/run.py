"""Running a notebook again, in a fresh kernel of any kind, into a new recording that names its origin cell by cell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kernel_exec.errors import InvalidArgument, RecordingError
from kernel_exec.executor import AsyncExecutor
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.plan import Place, Step, steps
from kernel_exec.player import CELL_TIMEOUT, OnProgress, ended, filename_of, play
from kernel_exec.portal import run_once
from kernel_exec.rebuild import Origin, origin_of
from kernel_exec.recording import checked_notebook_metadata
from kernel_exec.recording.source import Program, SourceCell, with_parameters
from kernel_exec.results import ExecutionResult, ReplayedCell
from kernel_exec.settings import Limits, PathLike, checked_path, checked_seconds

_OURS = ("kernelspec", "language_info", "kernel_exec", "widgets", "papermill", "execution", "trusted")
"""Metadata that tells of the run before, or that the new recording has of its own."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a notebook that was run again.

    Attributes:
        origin: the notebook.
        notebook_path: the new recording.
        cells: what became of each cell of code, in the order of the notebook.
        notes: what else is to be known, a sentence each, such as what is wrong with the notebook.
    """

    origin: Path
    notebook_path: Path
    cells: Sequence[ReplayedCell]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no cell failed that was not expected to."""
        return all(cell.ok for cell in self.cells)

    @property
    def results(self) -> list[ExecutionResult]:
        """The results of the cells that ran, in order."""
        return [cell.result for cell in self.cells if cell.result is not None]

    def raise_for_error(self) -> None:
        """Raise what the first cell that failed and was not expected to would raise.

        Raises:
            ExecutionFailed: there is one.
        """
        for cell in self.cells:
            if not cell.ok and cell.result is not None:
                cell.result.raise_for_error()

    def __str__(self) -> str:
        ran = sum(cell.result is not None for cell in self.cells)
        failed = sum(not cell.ok for cell in self.cells)
        outcome = f"{failed} of {ran} cells failed" if failed else f"{ran} cells ran"
        skipped = len(self.cells) - ran
        return (
            f"{self.origin}: {outcome}{f', {skipped} did not run' if skipped else ''}; recorded in {self.notebook_path}"
        )


async def areplay(
    notebook: PathLike,
    *,
    kernel: KernelSettings | None = None,
    output: PathLike | None = None,
    parameters: Mapping[str, Any] | None = None,
    since: Place | None = None,
    until: Place | None = None,
    timeout: float | None = CELL_TIMEOUT,
    allow_errors: bool = False,
    workdir: PathLike | None = None,
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
) -> Replay:
    """Run a notebook again in a fresh kernel, and record that; the notebook itself is not changed.

    Any notebook will do. Cells tagged `skip-execution` are left out, and so are those tagged `run-once`; one tagged
    `raises-exception` may fail. A session that was recorded here goes on behind the errors that it went on behind
    then, restarts its kernel where that was done, and cells that were ended then are ended after as long.

    Args:
        notebook: the notebook.
        kernel: where to run it; None for a kernel as it names it: a container of its image, or its kernelspec.
        output: the new recording; None for `NAME.replay.ipynb` beside the notebook. What has that name before is kept
            under another one.
        parameters: values of variables, which are set as papermill does it: in a cell behind the one tagged
            `parameters`, or else in the first one.
        since: the first cell to run: its index in the notebook, from 0, or its id.
        until: the last cell to run, likewise.
        timeout: seconds that each cell may run; None for no bound.
        allow_errors: go on behind a cell that fails, rather than leave out all that follow.
        workdir: where the code runs; None for where it was recorded if that is below the notebook's directory and
            still there, or else that directory. Files are written there as they were then.
        limits: as for `Executor`.
        on_progress: called with a `Progress` when a cell begins, and when one is done with.

    Raises:
        NotebookError: it is no notebook, or in another language than the kernel.
        UnknownKernel, EngineUnavailable, KernelStartError: its kernel cannot be started: name another one.
        RecordingError: the new recording cannot be written.
        InvalidArgument, WrongType: an argument cannot work.
    """
    origin = await asyncio.to_thread(origin_of, notebook, kernel, workdir)
    path = origin.path
    recording = path.with_name(f"{path.stem}.replay.ipynb") if output is None else checked_path("output", output)
    if recording.exists() and recording.samefile(path):
        raise InvalidArgument(f"output {str(recording)!r} is the notebook itself, which stays as it is: name another")
    return await run_again(
        origin,
        recording,
        parameters=parameters,
        since=since,
        until=until,
        timeout=timeout,
        allow_errors=allow_errors,
        limits=limits,
        on_progress=on_progress,
    )


async def run_again(
    origin: Origin,
    recording: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    since: Place | None = None,
    until: Place | None = None,
    timeout: float | None,
    allow_errors: bool,
    limits: Limits | None,
    on_progress: OnProgress | None,
) -> Replay:
    """Run a notebook that was found into a recording that can be there. Arguments and errors as for `areplay`."""
    seconds = checked_seconds("timeout", timeout)
    program = origin.program
    plan = steps(with_parameters(program, parameters or {}), since=since, until=until)
    executor = AsyncExecutor(
        origin.kernel,
        workdir=origin.workdir,
        notebook=recording,
        timeout=seconds,
        limits=limits,
        metadata=_metadata(origin.path, program),
    )
    async with executor:
        stage = _Recorded(executor, seconds)
        cells = await play(plan, stage, allow_errors=allow_errors, on_progress=on_progress)
    return Replay(origin.path, recording, cells, (*program.notes, *stage.notes))


def replay(
    notebook: PathLike,
    *,
    kernel: KernelSettings | None = None,
    output: PathLike | None = None,
    parameters: Mapping[str, Any] | None = None,
    since: Place | None = None,
    until: Place | None = None,
    timeout: float | None = CELL_TIMEOUT,
    allow_errors: bool = False,
    workdir: PathLike | None = None,
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
) -> Replay:
    """Run a notebook again in a fresh kernel, and record that; the notebook itself is not changed.

    The synchronous form of `areplay`, which documents arguments and errors. `on_progress` is called in a thread of its
    own.
    """
    return run_once(
        lambda: areplay(
            notebook,
            kernel=kernel,
            output=output,
            parameters=parameters,
            since=since,
            until=until,
            timeout=timeout,
            allow_errors=allow_errors,
            workdir=workdir,
            limits=limits,
            on_progress=on_progress,
        )
    )


async def aplay(
    executor: AsyncExecutor,
    program: Program,
    *,
    timeout: float | None = CELL_TIMEOUT,
    on_progress: OnProgress | None = None,
) -> tuple[list[ReplayedCell], list[str]]:
    """Run the cells of a notebook in an executor that somebody has; return what became of them, and what to tell.

    Arguments and errors as for `areplay`; behind a cell that fails unexpectedly it does not go on.
    """
    stage = _Recorded(executor, timeout)
    return await play(steps(program), stage, on_progress=on_progress), stage.notes


class _Recorded:
    """Runs the cells in an executor, whose recording names where each comes from."""

    def __init__(self, executor: AsyncExecutor, timeout: float | None) -> None:
        self._executor = executor
        self._timeout = timeout
        self.notes: list[str] = []

    async def run(self, step: Step) -> ExecutionResult:
        """Run a cell of code."""
        submit = partial(
            self._executor.submit, step.cell.source, timeout=step.bounded(self._timeout), filename=filename_of(step)
        )
        try:
            execution = await submit(metadata=_cell_metadata(step.cell))
        except InvalidArgument:  # the notebook has more in it than the format allows
            execution = await submit(metadata=_origin(step.cell))
        return await ended(execution, step, self._executor.interrupt)

    async def restart(self, step: Step) -> None:
        """Restart the kernel; the recording gets a text that says so."""
        await self._executor.restart()

    async def carry(self, step: Step) -> None:
        """Keep a text."""
        cell = step.cell
        await self._write(cell, _cell_metadata(cell), cell.attachments)

    async def leave(self, step: Step, reason: str) -> None:
        """Keep a cell of code that did not run; it has no outputs, and says why."""
        metadata = _cell_metadata(step.cell)
        await self._write(step.cell, _with_facts(metadata, {"status": "skipped", "reason": reason}))

    async def _write(
        self, cell: SourceCell, metadata: dict[str, Any], attachments: Mapping[str, Any] | None = None
    ) -> None:
        try:
            try:
                await self._executor.annotate(
                    cell.source, cell_type=cell.cell_type, metadata=metadata, attachments=attachments
                )
            except InvalidArgument:
                reduced = {"kernel_exec": metadata["kernel_exec"]}
                await self._executor.annotate(cell.source, cell_type=cell.cell_type, metadata=reduced)
        except RecordingError as error:
            self.notes.append(str(error))


def _cell_metadata(cell: SourceCell) -> dict[str, Any]:
    given = {key: value for key, value in cell.metadata.items() if key not in _OURS}
    return {**given, **_origin(cell)}


def _origin(cell: SourceCell) -> dict[str, Any]:
    """Say which cell of the notebook it is; and what it stood for, where that was no cell of the user's."""
    kept = {key: cell.facts[key] for key in ("event", "name", "kind", "path") if key in cell.facts}
    origin = {"index": cell.index, **({"cell": cell.cell_id} if cell.cell_id else {})}
    return {"kernel_exec": {**kept, **({} if cell.index is None else {"origin": origin})}}


def _with_facts(metadata: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**metadata, "kernel_exec": {**metadata["kernel_exec"], **facts}}


def _metadata(origin: Path, program: Program) -> Mapping[str, Any]:
    """Return the metadata of the new recording: the notebook's own, as far as nbformat allows it, and its origin."""
    facts = {"kernel_exec": {"origin": {"notebook": origin.name, "sha256": program.sha256}}}
    given = {key: value for key, value in program.metadata.items() if key not in _OURS}
    try:
        return checked_notebook_metadata({**given, **facts})
    except InvalidArgument:
        return facts
