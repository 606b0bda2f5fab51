"""The same executor for synchronous code: every call goes through one portal thread into the asynchronous core."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict

from kernel_exec import execution as core
from kernel_exec.callbacks import check_callbacks
from kernel_exec.errors import KernelExecError
from kernel_exec.execution import OnInput, OnOutput
from kernel_exec.executor import AsyncExecutor
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.kernels.modes import Mode
from kernel_exec.metrics import Metrics, MetricsEvent, OnMetrics
from kernel_exec.player import CELL_TIMEOUT, OnProgress
from kernel_exec.policy import Policy
from kernel_exec.portal import Portal
from kernel_exec.questions import ANSWER_TIMEOUT, TRANSFER_TIMEOUT
from kernel_exec.recording import CellType
from kernel_exec.results import Artifact, Completions, ExecutionResult, Inspection, Output, Resumption, Variable
from kernel_exec.retry import Retry
from kernel_exec.scenarios import Scenario, scenario_named
from kernel_exec.secrets import Secrets
from kernel_exec.settings import DEFAULT, Limits, PathLike, Timeout, checked_seconds
from kernel_exec.stream import Stream as AsyncStream


class _Options(TypedDict):
    timeout: Timeout
    filename: str | None
    retry: Retry | None
    metadata: Mapping[str, Any] | None
    on_input: OnInput | None


class Execution:
    """A cell that was submitted. Made by `Executor.submit`; see `kernel_exec.AsyncExecutor.submit`."""

    def __init__(self, executor: Executor, execution: core.Execution) -> None:
        self._executor = executor  # kept: an executor that nobody refers to is closed
        self._core = execution

    @property
    def done(self) -> bool:
        """True when it has ended."""
        return self._core.done

    def result(self, timeout: float | None = None) -> ExecutionResult:
        """Wait for the end and return the result; after `timeout` seconds raise ResultNotReady."""
        if timeout != 0:
            checked_seconds("timeout", timeout)
        if self._core.done:
            return self._core.ended_result()
        return self._executor._portal.call(lambda: self._core.result(timeout))

    def outputs(self) -> list[Output]:
        """Return the outputs so far, as nbformat dictionaries."""

        async def outputs() -> list[Output]:
            return self._core.outputs()

        return list(self._core.ended_result().outputs) if self._core.done else self._executor._portal.call(outputs)

    def cancel(self) -> ExecutionResult:
        """Interrupt the cell, or take it out of the queue; kill its kernel when it does not obey. Wait for the end."""

        async def cancel() -> ExecutionResult:
            return await self._core.cancel()

        return self._core.ended_result() if self._core.done else self._executor._portal.call(cancel)

    def extend(self, seconds: float) -> None:
        """Give the cell `seconds` more, at once."""

        async def extend() -> None:
            await self._core.extend(seconds)

        self._executor._portal.call(extend)


class Stream:
    """Iterator over the outputs of one cell; its last item is the ExecutionResult.

    Leaving it early, by `close`, by `with`, by Ctrl-C, or by forgetting it, interrupts the cell.
    """

    def __init__(self, executor: Executor, stream: AsyncStream) -> None:
        self._executor = executor  # kept: an executor that nobody refers to is closed
        self._core = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Output | ExecutionResult:
        async def advance() -> Output | ExecutionResult | None:
            return await anext(self._core, None)

        try:
            item = self._executor._portal.call(advance)
        except BaseException:
            self.close()
            raise
        if item is None:
            raise StopIteration
        return item

    def outputs(self) -> list[Output]:
        """Return the outputs so far, as nbformat dictionaries."""

        async def outputs() -> list[Output]:
            return self._core.outputs()

        return self._executor._portal.call(outputs)

    def cancel(self, *, kill: bool = False) -> None:
        """Have the cell interrupted, and its kernel killed when it does not obey, or (`kill`) at once.

        From another thread than the one that iterates. What the cell still puts out, and its result, come out of the
        iterator as ever.
        """
        self._executor._portal.call(lambda: self._core.cancel(kill=kill))

    def close(self) -> None:
        """Interrupt the cell if it has not ended, and wait for its end; idempotent."""
        if not self._core.over:
            self._executor._portal.call(self._core.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lent(function: OnMetrics | None) -> OnMetrics | None:
    """Return a function that calls another one as long as that is there: it may refer to the executor that it is for.

    Who forgets such an executor would keep it for ever, as what closes a forgotten one holds its core.
    """
    if not callable(function):
        return function
    try:
        known = weakref.ref(function)
    except TypeError:
        return function

    def lent(event: MetricsEvent) -> object:
        there = known()
        return None if there is None else there(event)

    return lent


class Executor:
    """Runs code in one live kernel, keeps its state across calls, and writes the session down as a notebook.

    The synchronous form of `AsyncExecutor`, which documents arguments and errors. It may be called from any thread,
    also while an event loop runs there (which it then blocks); calls go through one queue, in the order in which
    they were made. Ctrl-C interrupts the cell that is waited for, and not the session.
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
        core = AsyncExecutor(
            kernel,
            workdir=workdir,
            notebook=notebook,
            timeout=timeout,
            lifetime=lifetime,
            limits=limits,
            mode=mode,
            policy=policy,
            secrets=secrets,
            monitoring_interval=monitoring_interval,
            on_metrics=_lent(on_metrics),
            name=name,
            metadata=metadata,
        )
        self._on_metrics = on_metrics  # kept here alone
        self._begin(core, Portal())

    def _begin(self, core: AsyncExecutor, portal: Portal) -> None:
        self._core, self._portal = core, portal
        self._abandoned = weakref.finalize(self, _abandon, self._core, self._portal, os.getpid())
        self._abandoned.atexit = False
        _left_open.add(self)

    @classmethod
    def for_scenario(cls, scenario: str | Scenario, **overrides: Any) -> Self:
        """Return an executor for a purpose: "development", "production", "testing", "sandbox", or one of your own."""
        return cls(**scenario_named(scenario).with_overrides(overrides))

    @classmethod
    def resume(
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
        """Rebuild the state of a recorded session by running its cells again, and go on in the same notebook."""
        portal = Portal()
        try:
            core = portal.call(
                lambda: AsyncExecutor.resume(
                    notebook,
                    kernel=kernel,
                    workdir=workdir,
                    timeout=timeout,
                    lifetime=lifetime,
                    limits=limits,
                    mode=mode,
                    policy=policy,
                    secrets=secrets,
                    monitoring_interval=monitoring_interval,
                    on_metrics=_lent(on_metrics),
                    needed_for=needed_for,
                    cell_timeout=cell_timeout,
                    on_progress=on_progress,
                )
            )
        except BaseException:
            portal.stop()
            raise
        executor = cls.__new__(cls)
        executor._on_metrics = on_metrics
        executor._begin(core, portal)
        return executor

    def execute(
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
        """Run one cell to its end; never raises for what the code did. `on_output` is called in this thread."""
        options = _Options(timeout=timeout, filename=filename, retry=retry, metadata=metadata, on_input=on_input)
        if on_output is None:
            return self._portal.call(lambda: self._core.execute(code, **options))
        check_callbacks(on_output, on_input)
        with self.stream(code, **options) as stream:
            for item in stream:
                if isinstance(item, ExecutionResult):
                    return item
                on_output(item)
        raise KernelExecError("the stream of outputs ended without a result")

    def submit(
        self,
        code: str,
        *,
        timeout: Timeout = DEFAULT,
        filename: str | None = None,
        retry: Retry | None = None,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
    ) -> Execution:
        """Run a cell in the background; return at once."""
        options = _Options(timeout=timeout, filename=filename, retry=retry, metadata=metadata, on_input=on_input)
        execution = self._portal.call(lambda: self._core.submit(code, **options))
        return Execution(self, execution)

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
        """Run a cell and iterate over its outputs as they arrive; the last item is the ExecutionResult."""
        options = _Options(timeout=timeout, filename=filename, retry=retry, metadata=metadata, on_input=on_input)
        made: list[AsyncStream] = []

        async def stream() -> AsyncStream:
            made.append(self._core.stream(code, **options))
            return made[0]

        try:
            return Stream(self, self._portal.call(stream))
        except BaseException:
            if made:  # a Ctrl-C came between the start of the cell and here
                self._portal.call(made[0].aclose)
            raise

    def interrupt(self) -> None:
        """Interrupt the running cell, as the stop button of a notebook does; nothing happens when none runs."""
        self._portal.call(self._core.interrupt)

    def restart(self) -> ExecutionResult:
        """End the kernel and start a fresh one: all variables are lost, and the result and the recording say so."""
        return self._portal.call(self._core.restart)

    def annotate(
        self,
        text: str,
        *,
        cell_type: CellType = "markdown",
        metadata: Mapping[str, Any] | None = None,
        attachments: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Write a cell that is not run into the recording, below the cells so far; without one nothing happens."""
        self._portal.call(
            lambda: self._core.annotate(text, cell_type=cell_type, metadata=metadata, attachments=attachments)
        )

    def variables(self, *, timeout: float | None = ANSWER_TIMEOUT) -> list[Variable]:
        """Return the names that user code has set, in the order of definition, also while a cell runs."""
        return self._portal.call(lambda: self._core.variables(timeout=timeout))

    def get(self, name: str, *, timeout: float | None = TRANSFER_TIMEOUT) -> Any:
        """Return the value of a variable of the kernel, also while a cell runs."""
        return self._portal.call(lambda: self._core.get(name, timeout=timeout))

    def put(self, name: str, value: Any, *, timeout: float | None = TRANSFER_TIMEOUT) -> None:
        """Set a variable of the kernel, also while a cell runs, and record that."""
        self._portal.call(lambda: self._core.put(name, value, timeout=timeout))

    def complete(self, code: str, cursor: int | None = None, *, timeout: float | None = ANSWER_TIMEOUT) -> Completions:
        """Return what the code could go on with at the cursor (None for its end), also while a cell runs."""
        return self._portal.call(lambda: self._core.complete(code, cursor, timeout=timeout))

    def inspect(
        self, code: str, cursor: int | None = None, detail: int = 0, *, timeout: float | None = ANSWER_TIMEOUT
    ) -> Inspection:
        """Return what the kernel knows of the object at the cursor, also while a cell runs."""
        return self._portal.call(lambda: self._core.inspect(code, cursor, detail, timeout=timeout))

    def upload(self, source: PathLike | bytes, name: PathLike | None = None) -> str:
        """Bring a file, a directory or bytes into the work directory; return its name there."""
        return self._portal.call(lambda: self._core.upload(source, name))

    def download(self, name: PathLike, target: PathLike) -> Path:
        """Bring a file or a directory out of the work directory; return where it is."""
        return self._portal.call(lambda: self._core.download(name, target))

    def start(self) -> Self:
        """Start the kernel and the recording; nothing happens when they are started."""
        self._portal.call(self._core.start)
        return self

    def close(self) -> None:
        """End the kernel, finish the recording, remove what is temporary; idempotent."""
        self._abandoned.detach()
        _left_open.discard(self)
        try:
            if not self._portal.stopped:
                self._portal.call(self._core.close)
        finally:
            self._portal.stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def notebook_path(self) -> Path | None:
        """The recording; None when nothing is recorded."""
        return self._core.notebook_path

    @property
    def workdir(self) -> Path:
        """The kernel's working directory."""
        return self._core.workdir

    @property
    def resumed(self) -> Resumption | None:
        """How the state was rebuilt from the recording; None when the session began with an empty one."""
        return self._core.resumed

    @property
    def artifacts(self) -> list[Artifact]:
        """The files of the work directory that cells have made or changed, by path."""
        return self._core.artifacts

    @property
    def metrics(self) -> Metrics:
        """What was counted since the executor was made."""
        return self._core.metrics

    @property
    def is_alive(self) -> bool:
        """True when the kernel runs."""
        return self._core.is_alive

    def __repr__(self) -> str:
        return repr(self._core).removeprefix("Async")


_left_open: weakref.WeakSet[Executor] = weakref.WeakSet()


@atexit.register
def _close_left_open() -> None:
    """Close what was never closed, so that recordings are finished and nothing is left behind."""
    for executor in tuple(_left_open):
        if not executor._portal.stopped:
            executor.close()


def _abandon(executor: AsyncExecutor, portal: Portal, pid: int) -> None:
    """An executor was forgotten: close it in the background. Runs on whatever thread collects it, and never blocks."""
    if pid == os.getpid():
        portal.spawn(lambda: _close(executor, portal))


async def _close(executor: AsyncExecutor, portal: Portal) -> None:
    try:
        await executor.close()
    finally:
        portal.stop()
