"""The executor: one live kernel, a queue of calls in front of it, and the notebook of what happened.

The way of a cell is `_perform`: wait for its turn, make sure of a kernel, run, judge, record, answer.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from kernel_exec import outcome
from kernel_exec.callbacks import MANY_QUESTIONS, ask, check_callbacks
from kernel_exec.errors import ExecutorClosed, KernelDiedError, KernelStartError, RecordingError, TransferError
from kernel_exec.execution import Execution, OnInput, OnOutput
from kernel_exec.home import Home
from kernel_exec.keepsakes import checked_key, checked_name, keep
from kernel_exec.kernels.kinds import KernelSettings, check_limits, checked_kernel
from kernel_exec.metrics import Counters, Metrics
from kernel_exec.player import CELL_TIMEOUT, OnProgress
from kernel_exec.questions import ANSWER_TIMEOUT, TRANSFER_TIMEOUT, Questions
from kernel_exec.recording import (
    CellType,
    checked_cell,
    checked_metadata,
    checked_notebook_metadata,
    environment_of,
    language_info,
    markdown_cell,
    unrun_cell,
)
from kernel_exec.report import Reporter, result_of
from kernel_exec.results import Artifact, Completions, ExecutionResult, Inspection, Resumption, Variable
from kernel_exec.scribe import RUNNING_INTERVAL, Entry, Scribe, with_facts
from kernel_exec.session import Ending, Session
from kernel_exec.settings import (
    DEFAULT,
    Limits,
    PathLike,
    Timeout,
    checked_attachments,
    checked_json,
    checked_limits,
    checked_seconds,
    checked_settings,
    checked_text,
    checked_timeout,
)
from kernel_exec.stream import Stream
from kernel_exec.succession import Succession
from kernel_exec.transfer import Transfer, checked_place, checked_source, checked_target, upload_cell
from kernel_exec.values import Packed, packed, unpacked
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.conversation import Changed, Event, InputWanted, Shown
from kernel_exec.wire.outputs import Outputs
from kernel_exec.wire.widgets import Widgets
from kernel_exec.worker import Worker

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
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._kernel = checked_kernel(kernel)
        self._limits = checked_limits(limits)
        check_limits(self._kernel, self._limits)
        self._settings = checked_settings(workdir, notebook, timeout, lifetime, name)
        self._home = Home(self._settings, self._limits.artifact_bytes)
        self._worker = Worker()
        self._scribe = Scribe(self._home, self._worker, self._clean_up_later)
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._widgets = Widgets()
        self._counters = Counters()
        self._kernels = Succession(
            partial(
                Session.start,
                self._kernel,
                limits=self._limits,
                home=self._home,
                widgets=self._widgets,
                on_event=self._happened,
                refuse=self._counters.refuse,
            ),
            self._counters,
        )
        self._reporter = Reporter(self._home, self._limits, self._scribe, self._worker, self._counters)
        self._given = checked_notebook_metadata(metadata)
        self._metadata: dict[str, Any] = {}
        self._opened = False
        self._resumes = False
        self._resumed: Resumption | None = None
        self._closing: asyncio.Task[None] | None = None
        self._closed_because = ""
        self._last: float | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._calls: dict[Execution, asyncio.Task[None]] = {}
        self._running: Execution | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._puts: set[asyncio.Task[None]] = set()

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
        origin = origin_of(notebook, kernel, workdir)
        executor = cls(
            origin.kernel,
            workdir=origin.workdir,
            notebook=origin.path,
            timeout=timeout,
            lifetime=lifetime,
            limits=limits,
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
        metadata: Mapping[str, Any] | None = None,
        on_output: OnOutput | None = None,
        on_input: OnInput | None = None,
    ) -> ExecutionResult:
        """Run one cell to its end. Never raises for what the code did: that is in the result.

        Cancelling the waiting task interrupts the cell; the kernel and its state stay.

        Args:
            code: the cell, sent as it is.
            timeout: seconds that it may run; None for no bound; the executor's own when not given.
            metadata: of the cell in the recording, such as `{"tags": ["parameters"]}`.
            on_output: called with each output as it arrives: an nbformat output, or a change to earlier ones
                (see `stream`). When it raises, the cell is interrupted and the exception comes out here.
            on_input: called with prompt and password flag when the code calls `input()`; returns the line, or
                an awaitable of it. Without it, `input()` is an error in the code, at once.

        Raises:
            ExecutorClosed: the executor is closed, or of another process.
            KernelStartError: a fresh kernel was needed and could not be started.
            RecordingError: the notebook cannot be begun.
            InvalidArgument, WrongType: an argument cannot work.
        """
        check_callbacks(on_output, on_input)
        execution = self._submit(code, timeout, metadata, on_input, watched=on_output is not None)
        async with Stream(execution) as stream:
            return await stream.fold(on_output)

    async def submit(
        self,
        code: str,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
    ) -> Execution:
        """Run a cell in the background; return at once. Arguments and errors as for `execute`."""
        check_callbacks(None, on_input)
        return self._submit(code, timeout, metadata, on_input)

    def stream(
        self,
        code: str,
        *,
        timeout: Timeout = DEFAULT,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
    ) -> Stream:
        """Run a cell and iterate over its outputs as they arrive; the last item is the ExecutionResult.

        Items are nbformat outputs; text comes in pieces. A change to what was shown before is a dictionary whose
        `output_type` is "update_display_data" (`data`, `metadata`, `transient`) or "clear_output" (`wait`).
        Closing the iterator early interrupts the cell. Arguments and errors as for `execute`.
        """
        check_callbacks(None, on_input)
        return Stream(self._submit(code, timeout, metadata, on_input, watched=True))

    async def interrupt(self) -> None:
        """Interrupt the running cell, as the stop button of a notebook does; nothing happens when none runs."""
        self._check_usable()
        if self._kernels.session is not None:
            await self._kernels.session.interrupt()

    async def restart(self) -> ExecutionResult:
        """End the kernel and start a fresh one: all variables are lost, and the result and the recording say so.

        The running cell is interrupted, and calls in the queue are cancelled.

        Raises:
            ExecutorClosed: the executor is closed.
            KernelStartError: no fresh kernel could be started.
        """
        self._check_usable()
        for execution in tuple(self._calls):
            execution.stop.request("cancel")
        async with self._turn:
            await self._open()
            return await self._restart()

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
        self._check_usable()
        cell = unrun_cell(
            cell_type, checked_text("text", text), checked_json("metadata", metadata), checked_attachments(attachments)
        )
        if metadata or attachments:
            checked_cell(cell)
        async with self._turn:
            await self._open()
            if trouble := await self._scribe.write_cell(cell):
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
        return await self._ask(lambda questions: questions.variables(), timeout)

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
        value = await self._ask(lambda questions: questions.get(key), timeout)
        self._check_usable()
        return await self._worker.run(unpacked, value)

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
        self._check_usable()
        key = checked_name(name)
        kept = await self._worker.run(packed, value)
        sent = asyncio.Event()
        setting = asyncio.ensure_future(self._set(key, value, kept, timeout, sent))
        self._puts.add(setting)
        setting.add_done_callback(self._set_at_last)
        try:
            await asyncio.shield(setting)
        except asyncio.CancelledError:
            if not sent.is_set():
                setting.cancel()
            raise

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
        return await self._ask(lambda questions: questions.complete(code, cursor), timeout)

    async def inspect(
        self, code: str, cursor: int | None = None, detail: int = 0, *, timeout: float | None = ANSWER_TIMEOUT
    ) -> Inspection:
        """Return what the kernel knows of the object at the cursor; `detail` 1 asks for its source as well.

        Other arguments and errors as for `complete`.
        """
        return await self._ask(lambda questions: questions.inspect(code, cursor, detail), timeout)

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
        self._check_usable()
        content = checked_source(source)
        place = checked_place(name, self.workdir, content)
        await self._open()
        sent = await self._transfer(lambda transfer: transfer.send(content, place))
        if unseen := await self._bring_in(await self._live()):
            await self._transfer(lambda transfer: transfer.take_back(sent))  # or no later kernel could see the rest
            raise TransferError(f"{'/'.join(place)!r} was taken out of the work directory again: {unseen[0]}")
        await self._worker.run(self._home.artifacts.accept, sent.files)
        inside = "/".join(place)
        if trouble := await self._scribe.write_below(upload_cell(inside, sent)):
            raise RecordingError(trouble)
        return inside

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
        self._check_usable()
        place = checked_place(name, self.workdir)
        out = checked_target(target)
        await self._open()
        await (await self._live()).kernel.bring_home()
        return await self._transfer(lambda transfer: transfer.fetch(place, out, self._limits.artifact_bytes))

    # Life

    async def start(self) -> Self:
        """Start the kernel and the recording; nothing happens when they are started.

        Raises:
            ExecutorClosed: the executor is closed.
            UnknownKernel, KernelStartError: the kernel cannot be started.
            RecordingError: the notebook cannot be written where it should be.
        """
        self._check_usable()
        async with self._turn:
            await self._open()
        return self

    async def close(self) -> None:
        """End the kernel, finish the recording, remove what is temporary; idempotent.

        A running cell is killed, and its result says so; calls in the queue end as "aborted".

        Raises:
            RecordingError: cells could not be written; the message says where they were saved instead.
        """
        if self._pid != os.getpid():
            return
        if self._closing is None:
            self._closed_because = self._closed_because or "it was closed"
            self._closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            # Whoever is interrupted while closing goes on at once and ends its loop: nothing may be left half closed.
            await asyncio.wait((self._closing,))
            raise

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
        return self._scribe.path

    @property
    def workdir(self) -> Path:
        """The kernel's working directory."""
        return self._home.workdir

    @property
    def resumed(self) -> Resumption | None:
        """How the state was rebuilt from the recording; None when the session began with an empty one."""
        return self._resumed

    @property
    def artifacts(self) -> list[Artifact]:
        """The files of the work directory that cells have made or changed, as the last of them left them, by path."""
        return self._reporter.artifacts

    @property
    def metrics(self) -> Metrics:
        """What was counted since the executor was made."""
        return self._counters.snapshot()

    @property
    def is_alive(self) -> bool:
        """True when the kernel runs."""
        session = self._kernels.session
        return self._closing is None and session is not None and not session.died.done()

    def __repr__(self) -> str:
        state = "closed" if self._closing else "alive" if self.is_alive else "open" if self._opened else "not started"
        return f"{type(self).__name__}({self._settings.name or self._kernel.kernel_name!r}, {state})"

    # The way of a cell

    def _submit(
        self,
        code: str,
        timeout: Timeout,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
        *,
        watched: bool = False,
        recorded: bool = True,
    ) -> Execution:
        self._check_usable()
        execution = Execution(
            checked_text("code", code),
            checked_timeout(timeout, self._settings.timeout),
            metadata=checked_metadata(metadata),
            on_input=on_input,
            watched=watched,
            recorded=recorded,
        )
        task = asyncio.ensure_future(self._perform(execution))
        self._calls[execution] = task
        task.add_done_callback(lambda _: self._calls.pop(execution, None))
        return execution

    async def _perform(self, execution: Execution) -> None:
        try:
            async with self._turn:
                result = await self._answer(execution)
                self._counters.cells[result.status] += 1
                execution.finish(result)
        except BaseException as error:
            execution.fail(error)
            if not isinstance(error, Exception):
                raise

    async def _answer(self, execution: Execution) -> ExecutionResult:
        """Run one cell in the kernel that is there; the result is in the recording when this returns."""
        session = await self._session_for(execution)
        if session is None:
            return result_of(outcome.never_ran(execution.stop), attempts=0)
        spill = self._home.spill()
        outputs = Outputs(self._limits, spill)
        cell_id = uuid.uuid4().hex[:8]
        start = time.monotonic()
        not_seen = await self._bring_in(session)
        if session.died.done():
            execution.cell = Cell(cell_id, execution.code, "", outputs)
            ending = Ending((), await session.bury(), None, None)
        else:
            ending = await self._run(session, execution, cell_id, outputs)
        duration = time.monotonic() - start
        assert execution.cell is not None
        not_seen += tuple(await session.kernel.bring_home())
        if spill.is_in_kernel and session.kernel.directory is not None:
            await self._worker.run(spill.adopt, session.kernel.directory)
        verdict = outcome.verdict_of(execution.cell, ending, execution.stop, interrupted=session.interrupted)
        if not verdict.state_preserved and not self._closed_because:
            self._kernels.replace(session)
        await self._record_widgets()
        return await self._reporter.report(execution, spill, verdict, ending, duration, not_seen)

    async def _bring_in(self, session: Session) -> tuple[str, ...]:
        """Let the kernel see the work directory as it is now; return why it does not, if so."""
        try:
            await session.kernel.bring_in()
        except KernelStartError as error:
            return (str(error),)
        return ()

    async def _session_for(self, execution: Execution) -> Session | None:
        """Return the session to run a cell in; None when the cell is not wanted any more."""
        wanted = execution.stop.wanted
        if wanted.done():
            return None
        try:
            await self._open()
            session = await self._live()
        except ExecutorClosed:
            if wanted.done():
                return None
            raise
        return None if wanted.done() else session

    async def _run(self, session: Session, execution: Execution, cell_id: str, outputs: Outputs) -> Ending:
        self._running = execution
        try:
            return await session.run(execution, cell_id, outputs, last=self._last, began=self._began)
        finally:
            self._running = None

    def _began(self, cell: Cell) -> None:
        if self._running is not None and self._running.recorded:
            self._scribe.begin(Entry(cell, {"status": "running"}, self._running.metadata))

    def _happened(self, event: Event) -> None:
        """The kernel's reader tells of an event; it must never wait."""
        running = self._running
        if isinstance(event, Shown) and running is not None and event.cell is running.cell:
            running.show(event.item)
            self._scribe.changed(event.cell, RUNNING_INTERVAL)
        elif isinstance(event, Changed):
            self._scribe.changed(event.cell)
        elif isinstance(event, InputWanted) and running is not None and self._kernels.session is not None:
            if running.questions < MANY_QUESTIONS:
                running.questions += 1
                self._background(ask(running, event, self._kernels.session.answer))
            else:
                self._counters.refuse("it asks for more input before it has taken what it asked for")

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The kernel

    async def _open(self) -> None:
        """Start what is not started."""
        self._check_usable()
        async with self._opening:
            if self._opened:
                return
            loop = asyncio.get_running_loop()
            session = await self._live()
            record = self._scribe.resume if self._resumes else self._scribe.open
            await record(self._describe(session))
            await self._reporter.start()  # after it: an earlier recording that gets another name is no cell's
            self._opened = True
            if self._settings.lifetime is not None:
                self._last = loop.time() + self._settings.lifetime
                self._expiry = loop.call_at(self._last, self._expire)

    async def _live(self) -> Session:
        """Return the session, waiting for one that is being started."""
        session = await self._kernels.settled()
        self._check_usable()  # `close` may have come in between
        assert session is not None
        return session

    async def _ask(self, ask: Callable[[Questions], Awaitable[T]], timeout: float | None) -> T:
        """Ask the kernel about its state: beside the cells, so without the turn."""
        seconds = checked_seconds("timeout", timeout)
        await self._open()
        try:
            return await ask(Questions(await self._live(), seconds))
        except KernelDiedError:
            self._check_usable()  # when it died because of `close`, that is what is to be said
            raise

    async def _set(self, name: str, value: Any, kept: Packed, timeout: float | None, sent: asyncio.Event) -> None:
        """Set a variable and record it."""
        before = self._running
        await self._ask(lambda questions: questions.put(name, kept, sent), timeout)
        if self._scribe.path is not None:
            running = before or self._running
            cell = await self._worker.run(keep, name, value, kept, self._home, running and running.cell)
            if trouble := await self._scribe.write_below(cell):
                raise RecordingError(trouble)

    async def _transfer(self, work: Callable[[Transfer], T]) -> T:
        """Have files copied, in a thread of its own: cells are written meanwhile."""
        transfer, worker = Transfer(self.workdir), Worker()
        try:
            return await worker.run(work, transfer)
        finally:
            transfer.stop()
            worker.close()

    def _set_at_last(self, setting: asyncio.Task[None]) -> None:
        self._puts.discard(setting)
        if not setting.cancelled():
            setting.exception()  # whoever has waited was told

    async def _resume(
        self, origin: Origin, needs: Collection[str] | None, timeout: float | None, on_progress: OnProgress | None
    ) -> None:
        from kernel_exec.rebuild import Hands, rebuild

        self._resumes = True
        self._home.number_after(len(origin.program.cells))

        def submit(code: str, timeout: float | None) -> Execution:
            return self._submit(code, timeout, recorded=False)

        async def names() -> Collection[str]:
            return [variable.name for variable in await self.variables()]

        try:
            await self.start()
            hands = Hands(submit, self.interrupt, self._fresh, names)
            self._resumed = await rebuild(hands, origin, needs, timeout, on_progress)
        except BaseException:
            await self.close()
            raise
        facts = {"kernel_exec": {"event": "resume", "cells": len(self._resumed.replayed)}}
        await self._scribe.keep(unrun_cell("markdown", f"**Resumed: {self._resumed}.**", facts))

    async def _fresh(self) -> bool:
        """Take a fresh kernel; return whether there was one before."""
        already_lost = self._kernels.session is None
        session = await self._live()
        if not already_lost:
            self._kernels.replace(session)
        return not already_lost

    async def _restart(self) -> ExecutionResult:
        already_lost = not await self._fresh()
        session = await self._live()
        await self._scribe.set_metadata(self._describe(session))
        text = "Kernel restarted: all variables are lost."
        facts = {"kernel_exec": {"event": "restart", "state_preserved": already_lost}}
        cell_id = uuid.uuid4().hex[:8]
        trouble = await self._scribe.write_cell(markdown_cell(cell_id, f"**{text}**", facts))
        notes = (trouble,) if trouble else ()
        return ExecutionResult("ok", text=text, state_preserved=already_lost, notes=notes, cell_id=cell_id)

    def _describe(self, session: Session) -> dict[str, Any]:
        """Return the notebook's metadata."""
        facts = {
            "environment": {**environment_of(session.info), **session.kernel.environment},
            "workdir": self._home.workdir_from_notebook,
            **({"name": self._settings.name} if self._settings.name else {}),
        }
        self._metadata = {
            **with_facts(self._given, facts),
            "kernelspec": session.kernel.kernelspec,
            "language_info": language_info(session.info.get("language_info"), session.kernel.kernelspec["language"]),
        }
        return self._metadata

    async def _record_widgets(self) -> None:
        if self._widgets.changed:
            self._widgets.changed = False
            await self._scribe.set_metadata({**self._metadata, "widgets": self._widgets.as_metadata()})

    def _clean_up_later(self, path: Path) -> None:
        self._home.cleanup.append(path)
        self._home.artifacts.ignore(path)
        self._kernels.add_cleanup(path)

    # The end

    def _check_usable(self) -> None:
        if self._pid != os.getpid():
            raise ExecutorClosed(
                "this executor was made before a fork and belongs to the parent process: make one in this process"
            )
        if self._closed_because:
            raise ExecutorClosed(f"this executor is closed, because {self._closed_because}: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is not loop and self._loop is not None:
            raise ExecutorClosed("this executor belongs to another event loop: make one in this loop, or use Executor")
        self._loop = loop

    def _expire(self) -> None:
        """The lifetime is over: a running cell is being stopped by its own clock; then everything is."""
        self._closed_because = self._closed_because or f"its lifetime of {self._settings.lifetime:g} s is over"
        for execution in self._calls:
            if execution is not self._running:
                execution.stop.request("close")
        self._background(self._close_after_cell())

    async def _close_after_cell(self) -> None:
        async with self._turn:
            pass
        await self.close()

    async def _close(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        for execution in tuple(self._calls):
            execution.stop.request("close", kill=True)
        self._kernels.abandon()
        if self._calls:
            await asyncio.wait(tuple(self._calls.values()))
        for task in tuple(self._tasks):
            task.cancel()
        try:
            await self._kernels.stop()
            if self._puts:
                await asyncio.wait(tuple(self._puts))
        finally:
            try:
                await self._record_widgets()
                await self._scribe.close()
            finally:
                await self._worker.run(self._home.artifacts.close)
                await self._worker.run(self._home.remove)
                self._worker.close()
                await self._kernels.release()
