"""The executor, asynchronously: what can be done with one live kernel. How it is done is in `conductor.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from kernel_exec.beside import Beside
from kernel_exec.callbacks import check_callbacks
from kernel_exec.conductor import Conductor
from kernel_exec.errors import RecordingError
from kernel_exec.execution import Execution, OnInput, OnOutput
from kernel_exec.keepsakes import checked_key, checked_name
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.kernels.modes import Mode
from kernel_exec.metrics import Metrics, OnMetrics
from kernel_exec.player import CELL_TIMEOUT, OnProgress
from kernel_exec.policy import Policy
from kernel_exec.questions import ANSWER_TIMEOUT, TRANSFER_TIMEOUT
from kernel_exec.recording import (
    CellType,
    checked_cell,
    unrun_cell,
)
from kernel_exec.results import Artifact, Completions, ExecutionResult, Inspection, Resumption, Variable
from kernel_exec.retry import Retry
from kernel_exec.scenarios import Scenario, scenario_named
from kernel_exec.secrets import Secrets
from kernel_exec.settings import (
    DEFAULT,
    Limits,
    PathLike,
    Timeout,
    checked_attachments,
    checked_json,
    checked_seconds,
    checked_settings,
    checked_text,
)
from kernel_exec.stream import Stream
from kernel_exec.values import unpacked

if TYPE_CHECKING:
    from kernel_exec.rebuild import Origin

T = TypeVar("T")


class AsyncExecutor:
    """Runs code in one live kernel, keeps its state across calls, and writes the session down as a notebook.

    `async with AsyncExecutor() as ex:` starts it and closes it; without `with`, the first call starts it and
    `close` is up to you. All calls go through one queue, in the order in which they were made.

    Args:
        kernel: where and how the kernel runs; None for `HostKernel()`, a Python kernel on this machine.
        workdir: the kernel's working directory, made when it is missing; None for a temporary one, which goes
            at `close`.
        notebook: the recording. None for `session.ipynb` in the work directory; False to record nothing. A file
            that is there already is kept under another name.
        timeout: seconds that a cell may run, unless its call says otherwise; None for no bound.
        lifetime: seconds that the session may last; then it is closed. None for no bound.
        limits: how much output, memory and so on its cells may take; None for `Limits()`. One that this kind of
            kernel cannot enforce is refused.
        mode: how its kernels are set up: "standard", "debug" (tracebacks with local variables, logging, all warnings),
            "performance" (threads as processors were granted, no history), or a `Mode` of your own.
        policy: what code may run; None for all.
        secrets: variables of the kernel's environment whose values are masked in results and in the recording; a
            `Secrets` also has patterns.
        monitoring_interval: seconds between two samples of what a running cell and its processes use; they are in
            `result.metrics` and `metrics`. None for no samples, which costs nothing.
        on_metrics: called with a `MetricsEvent` when a call is queued, has started and has ended, when a sample was
            taken, and when a kernel was started. In a thread of its own, unless it is asynchronous: no cell waits for
            it, and what it raises is logged.
        name: a name for people, in the recording.
        metadata: of the recording, such as `{"title": "Sales"}`.

    Raises:
        InvalidArgument, WrongType: an argument cannot work.
    """

    def __init__(
        self,
        kernel: KernelSettings | None = None,
        *,
        workdir: PathLike | None = None,
        notebook: PathLike | Literal[False] | None = None,
        timeout: float | None = 60.0,
        lifetime: float | None = None,
        limits: Limits | None = None,
        mode: str | Mode = "standard",
        policy: Policy | None = None,
        secrets: Mapping[str, str] | Secrets | None = None,
        monitoring_interval: float | None = None,
        on_metrics: OnMetrics | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        settings = checked_settings(workdir, notebook, timeout, lifetime, name)
        self._conductor = Conductor(
            kernel, settings, limits, mode, policy, secrets, monitoring_interval, on_metrics, metadata
        )
        self._beside = Beside(self._conductor)
        self._resumed: Resumption | None = None

    @classmethod
    def for_scenario(cls, scenario: str | Scenario, **overrides: Any) -> Self:
        """Return an executor for a purpose.

        Args:
            scenario: "development", "production", "testing", "sandbox", a scenario of the nearest pyproject.toml, or a
                `Scenario`; `kernel-exec run --list-scenarios` has them all.
            overrides: arguments of the executor, and settings of the scenario's kind of kernel, which win.

        Raises:
            InvalidArgument, WrongType: there is no such scenario or setting, or it cannot work.
        """
        return cls(**scenario_named(scenario).with_overrides(overrides))

    @classmethod
    async def resume(
        cls,
        notebook: PathLike,
        *,
        kernel: KernelSettings | None = None,
        workdir: PathLike | None = None,
        timeout: float | None = 60.0,
        lifetime: float | None = None,
        limits: Limits | None = None,
        mode: str | Mode = "standard",
        policy: Policy | None = None,
        secrets: Mapping[str, str] | Secrets | None = None,
        monitoring_interval: float | None = None,
        on_metrics: OnMetrics | None = None,
        needed_for: Collection[str] | None = None,
        cell_timeout: float | None = CELL_TIMEOUT,
        on_progress: OnProgress | None = None,
    ) -> Self:
        """Rebuild the state of a recorded session by running its cells again, and go on in the same notebook.

        The notebook stays as it is, byte by byte, until a new cell has run; new cells follow those that are there.
        `resumed` says which cells ran again, failed, were left out, or gave other results than then. What is run is
        what `replay` would run, and behind a cell that fails it goes on.

        Args:
            notebook: the recording, or any notebook.
            kernel: where to run; None for a kernel as the notebook names it: a container of its image, or its
                kernelspec.
            workdir: the working directory; None for where it was recorded if that is below the notebook's directory
                and still there, or else that directory.
            timeout: as for the executor, for the cells to come.
            lifetime: as for the executor.
            limits: as for the executor.
            mode: as for the executor.
            policy: as for the executor; it is asked about the cells that run again as well.
            secrets: as for the executor.
            monitoring_interval: as for the executor.
            on_metrics: as for the executor.
            needed_for: names of variables; only the cells run that these depend on, which is found from the names that
                cells read and write, and checked by running: when that was not enough, all of them run. None for all.
            cell_timeout: seconds that each of the cells may run again; None for no bound.
            on_progress: called with a `Progress` when a cell begins, and when one is done with.

        Raises:
            NotebookError: it is no notebook, or in another language than the kernel.
            RecordingError: it is being recorded by somebody else, or too large to go on in.
            UnknownKernel, KernelStartError: no kernel can be started.
            InvalidArgument, WrongType: an argument cannot work.
        """
        from kernel_exec.rebuild import checked_needs, origin_of  # takes a while, and few sessions need it

        needs, seconds = checked_needs(needed_for), checked_seconds("cell_timeout", cell_timeout)
        origin = await asyncio.to_thread(origin_of, notebook, kernel, workdir)
        executor = cls(
            origin.kernel,
            workdir=origin.workdir,
            notebook=origin.path,
            timeout=timeout,
            lifetime=lifetime,
            limits=limits,
            mode=mode,
            policy=policy,
            secrets=secrets,
            monitoring_interval=monitoring_interval,
            on_metrics=on_metrics,
            name=origin.name,
        )
        await executor._resume(origin, needs, seconds, on_progress)
        return executor

    # Running code

    async def execute(
        self,
        code: str,
        *,
        timeout: Timeout = DEFAULT,
        filename: str | None = None,
        retry: Retry | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_output: OnOutput | None = None,
        on_input: OnInput | None = None,
    ) -> ExecutionResult:
        """Run one cell to its end. Never raises for what the code did: that is in the result.

        Cancelling the waiting task interrupts the cell; the kernel and its state stay.

        Args:
            code: the cell, sent as it is.
            timeout: seconds that it may run; None for no bound; the executor's own when not given.
            filename: where in the work directory the code is kept, such as "analysis.py"; what it raises points into
                that file (with kernels of other launchers the file is kept, and no more).
            retry: when a cell that failed is run again; None for never.
            metadata: of the cell in the recording, such as `{"tags": ["parameters"]}`.
            on_output: called with each output as it arrives: an nbformat output, or a change to earlier ones
                (see `stream`). When it raises, the cell is interrupted and the exception comes out here.
            on_input: called with prompt and password flag when the code calls `input()`; returns the line, or
                an awaitable of it. Without it, `input()` is an error in the code, at once.

        Raises:
            ExecutorClosed: the executor is closed, or of another process.
            KernelStartError: a fresh kernel was needed and could not be started.
            RecordingError: the notebook cannot be begun.
            TransferError: the code cannot be kept under its name; it was not run.
            InvalidArgument, WrongType: an argument cannot work.
        """
        check_callbacks(on_output, on_input)
        execution = self._conductor.submit(
            code, timeout, metadata, on_input, filename=filename, retry=retry, watched=on_output is not None
        )
        async with Stream(execution) as stream:
            return await stream.fold(on_output)

    async def submit(
        self,
        code: str,
        *,
        timeout: Timeout = DEFAULT,
        filename: str | None = None,
        retry: Retry | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
    ) -> Execution:
        """Run a cell in the background; return at once. Arguments and errors as for `execute`."""
        check_callbacks(None, on_input)
        return self._conductor.submit(code, timeout, metadata, on_input, filename=filename, retry=retry)

    def stream(
        self,
        code: str,
        *,
        timeout: Timeout = DEFAULT,
        filename: str | None = None,
        retry: Retry | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
    ) -> Stream:
        """Run a cell and iterate over its outputs as they arrive; the last item is the ExecutionResult.

        Items are nbformat outputs; text comes in pieces. A change to what was shown before is a dictionary whose
        `output_type` is "update_display_data" (`data`, `metadata`, `transient`) or "clear_output" (`wait`).
        Closing the iterator early interrupts the cell. Arguments and errors as for `execute`.
        """
        check_callbacks(None, on_input)
        return Stream(
            self._conductor.submit(code, timeout, metadata, on_input, filename=filename, retry=retry, watched=True)
        )

    async def interrupt(self) -> None:
        """Interrupt the running cell, as the stop button of a notebook does; nothing happens when none runs."""
        await self._conductor.interrupt()

    async def restart(self) -> ExecutionResult:
        """End the kernel and start a fresh one: all variables are lost, and the result and the recording say so.

        The running cell is interrupted, and calls in the queue are cancelled.

        Raises:
            ExecutorClosed: the executor is closed.
            KernelStartError: no fresh kernel could be started.
        """
        return await self._conductor.restart()

    async def annotate(
        self,
        text: str,
        *,
        cell_type: CellType = "markdown",
        metadata: Mapping[str, Any] | None = None,
        attachments: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Write a cell that is not run into the recording, below the cells so far; without one nothing happens.

        Args:
            text: its source.
            cell_type: "markdown"; "raw", whose text is for nbconvert alone; or "code", which is not run.
            metadata: of the cell.
            attachments: its inline images: file name -> MIME type -> base64.

        Raises:
            ExecutorClosed, KernelStartError: as for `execute`.
            RecordingError: it could not be written; it is kept, and the next cell tries again.
            InvalidArgument, WrongType: an argument cannot work.
        """
        cell = unrun_cell(
            cell_type, checked_text("text", text), checked_json("metadata", metadata), checked_attachments(attachments)
        )
        if metadata or attachments:
            checked_cell(cell)
        if trouble := await self._conductor.write(cell):
            raise RecordingError(trouble)

    # State

    async def variables(self, *, timeout: float | None = ANSWER_TIMEOUT) -> list[Variable]:
        """Return the names that user code has set, in the order of definition, also while a cell runs.

        Modules and names that begin with an underscore are left out. Reading leaves no trace in the kernel.

        Args:
            timeout: seconds that the answer may take; None for no bound.

        Raises:
            ExecutorClosed, KernelStartError, RecordingError: as for `execute`.
            Unsupported: this kind of kernel cannot tell.
            RequestTimeout, RequestFailed: it did not answer in time, or what it answered is no answer.
            KernelDiedError: it is dead.
        """
        found = await self._beside.ask(lambda questions: questions.variables(), timeout)
        return [self._conductor.veil.fields(variable) for variable in found]

    async def get(self, name: str, *, timeout: float | None = TRANSFER_TIMEOUT) -> Any:
        """Return the value of a variable of the kernel, also while a cell runs.

        What comes out is what is there, or an error: JSON-able builtins, bytes, numpy arrays and scalars, pandas data
        frames, series and indexes, Arrow tables and record batches. Nothing is pickled, and reading leaves no trace.

        Args:
            name: the name of the variable.
            timeout: seconds that it may take; None for no bound.

        Raises:
            UnknownVariable: there is none of that name.
            ValueRefused: it would come out as another value; the message says why, and what to do.
            ExecutorClosed, KernelStartError, Unsupported, RequestTimeout, RequestFailed, KernelDiedError: as for
                `variables`.
        """
        key = checked_key(name)
        value = await self._beside.ask(lambda questions: questions.get(key), timeout)
        self._conductor.check_usable()
        return await self._conductor.worker.run(unpacked, value)

    async def put(self, name: str, value: Any, *, timeout: float | None = TRANSFER_TIMEOUT) -> None:
        """Set a variable of the kernel, also while a cell runs, and record that.

        The recording gets a cell that sets the same value when it is run in the same directory: a literal, or code that
        reads a file which is written beside the recording's pictures. Once the kernel has been asked, that is done
        also when the waiting task is cancelled.

        What is put while a cell runs is recorded below that cell, and says so: the cell may have seen it or not, or
        have set the name itself later, and a replay cannot know. Put what a cell needs before it runs.

        Args:
            name: a Python identifier.
            value: of a kind that `get` returns.
            timeout: seconds that it may take; None for no bound.

        Raises:
            InvalidArgument, WrongType: the name is no identifier, or IPython needs it.
            ValueRefused: it would be another value there; the message says why, and what to do.
            RecordingError: the variable is set, but a replay will lack it.
            ExecutorClosed, KernelStartError, Unsupported, RequestTimeout, RequestFailed, KernelDiedError: as for
                `variables`.
        """
        await self._beside.put(checked_name(name), value, timeout)

    async def complete(
        self, code: str, cursor: int | None = None, *, timeout: float | None = ANSWER_TIMEOUT
    ) -> Completions:
        """Return what the code could go on with, also while a cell runs.

        Args:
            code: one or more lines.
            cursor: index into the code; None for its end.
            timeout: seconds that the answer may take; None for no bound.

        Raises:
            KernelBusy: a cell runs, and this kind of kernel cannot answer beside it.
            InvalidArgument, WrongType: an argument cannot work.
            ExecutorClosed, KernelStartError, RequestTimeout, RequestFailed, KernelDiedError: as for `variables`.
        """
        found = await self._beside.ask(lambda questions: questions.complete(code, cursor), timeout)
        return self._conductor.veil.fields(found)

    async def inspect(
        self, code: str, cursor: int | None = None, detail: int = 0, *, timeout: float | None = ANSWER_TIMEOUT
    ) -> Inspection:
        """Return what the kernel knows of the object at the cursor; `detail` 1 asks for its source as well.

        Other arguments and errors as for `complete`.
        """
        found = await self._beside.ask(lambda questions: questions.inspect(code, cursor, detail), timeout)
        return self._conductor.veil.fields(found)

    # Files

    async def upload(self, source: PathLike | bytes, name: PathLike | None = None) -> str:
        """Bring a file, a directory or bytes into the work directory, and record that; also while a cell runs.

        What has the name before is replaced, in one step; a directory gets what is in the other one as well. None of
        it counts as an artifact.

        Args:
            source: a file or directory of the host, or the content of a file.
            name: what it is to be in the work directory; the source's own when not given.

        Returns:
            The name, relative to the work directory.

        Raises:
            TransferError: it cannot be read, or not be written there.
            InvalidArgument, WrongType: the name leads out of the work directory, or one of them is no path.
            ExecutorClosed, KernelStartError: as for `execute`.
            RecordingError: it is there, but the recording does not say so.
        """
        return await self._beside.upload(source, name)

    async def download(self, name: PathLike, target: PathLike) -> Path:
        """Bring a file or a directory out of the work directory; also while a cell runs.

        No link is followed there, and nothing but files and directories is read.

        Args:
            name: relative to the work directory, or the path of an artifact.
            target: the file or directory of the host to become it; where there is a directory, it goes into that.

        Returns:
            Where it is.

        Raises:
            TransferError: it is not there, is a link or another thing that is not read, has more bytes than
                `limits.artifact_bytes`, or cannot be written. Of a directory the rest has been brought out.
            InvalidArgument, WrongType: the name leads out of the work directory, or one of them is no path.
            ExecutorClosed, KernelStartError: as for `execute`.
        """
        return await self._beside.download(name, target)

    # Life

    async def start(self) -> Self:
        """Start the kernel and the recording; nothing happens when they are started.

        Raises:
            ExecutorClosed: the executor is closed.
            UnknownKernel, KernelStartError: the kernel cannot be started.
            RecordingError: the notebook cannot be written where it should be.
        """
        await self._conductor.start()
        return self

    async def close(self) -> None:
        """End the kernel, finish the recording, remove what is temporary; idempotent.

        A running cell is killed, and its result says so; calls in the queue end as "aborted".

        Raises:
            RecordingError: cells could not be written; the message says where they were saved instead.
        """
        await self._conductor.close()

    async def __aenter__(self) -> Self:
        try:
            return await self.start()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def notebook_path(self) -> Path | None:
        """The recording; None when nothing is recorded."""
        return self._conductor.scribe.path

    @property
    def workdir(self) -> Path:
        """The kernel's working directory."""
        return self._conductor.home.workdir

    @property
    def resumed(self) -> Resumption | None:
        """How the state was rebuilt from the recording; None when the session began with an empty one."""
        return self._resumed

    @property
    def artifacts(self) -> list[Artifact]:
        """The files of the work directory that cells have made or changed, as the last of them left them, by path."""
        return self._conductor.reporter.artifacts

    @property
    def metrics(self) -> Metrics:
        """What was counted since the executor was made."""
        return self._conductor.monitor.counters.snapshot()

    @property
    def is_alive(self) -> bool:
        """True when the kernel runs."""
        return self._conductor.is_alive

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conductor.name!r}, {self._conductor.state})"

    async def _resume(
        self, origin: Origin, needs: Collection[str] | None, timeout: float | None, on_progress: OnProgress | None
    ) -> None:
        from kernel_exec.rebuild import Hands, rebuild

        conductor = self._conductor
        conductor.resumes = True
        conductor.home.number_after(len(origin.program.cells))

        def submit(code: str, timeout: float | None, filename: str | None) -> Execution:
            return conductor.submit(code, timeout, filename=filename, recorded=False)

        async def names() -> Collection[str]:
            return [variable.name for variable in await self.variables()]

        try:
            await self.start()
            hands = Hands(submit, self.interrupt, conductor.fresh, names)
            self._resumed = await rebuild(hands, origin, needs, timeout, on_progress)
        except BaseException:
            await self.close()
            raise
        facts = {"kernel_exec": {"event": "resume", "cells": len(self._resumed.replayed)}}
        await conductor.scribe.keep(unrun_cell("markdown", f"**Resumed: {self._resumed}.**", facts))
