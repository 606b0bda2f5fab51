"""One live kernel, a queue of calls in front of it, and the notebook of what happened.

The way of a cell is `_perform`: wait for its turn, make sure of a kernel, run, judge, record, answer.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kernel_exec import outcome
from kernel_exec.attempts import tried
from kernel_exec.callbacks import MANY_QUESTIONS, ask
from kernel_exec.errors import ExecutorClosed, KernelStartError
from kernel_exec.execution import Execution, OnInput
from kernel_exec.home import Home
from kernel_exec.judge import permitted
from kernel_exec.kernels.kinds import KernelSettings, check_limits, checked_kernel
from kernel_exec.kernels.modes import Mode, checked_mode
from kernel_exec.metrics import OnMetrics
from kernel_exec.monitor import Monitor
from kernel_exec.policy import Policy, checked_policy
from kernel_exec.recording import (
    checked_metadata,
    checked_notebook_metadata,
    environment_of,
    language_info,
    markdown_cell,
)
from kernel_exec.report import Reporter
from kernel_exec.results import ExecutionResult
from kernel_exec.retry import Retry, checked_retry
from kernel_exec.scribe import RUNNING_INTERVAL, Entry, Scribe, with_facts
from kernel_exec.secrets import Secrets, Veil, checked_secrets
from kernel_exec.session import Ending, Session
from kernel_exec.settings import (
    Limits,
    SessionSettings,
    Timeout,
    checked_interval,
    checked_limits,
    checked_text,
    checked_timeout,
)
from kernel_exec.succession import Succession
from kernel_exec.transfer import Transfer, checked_filename
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.conversation import Changed, Event, InputWanted, Shown
from kernel_exec.wire.outputs import Outputs
from kernel_exec.wire.widgets import Widgets
from kernel_exec.worker import Worker


class Conductor:
    """Takes calls in their turn, makes sure of a kernel for each, and has it run, judged and recorded.

    Args:
        kernel: where and how the kernel runs; None for `HostKernel()`.
        settings: of the session.
        limits: how much its cells may take; None for `Limits()`.
        mode: how its kernels are set up.
        policy: what code may run; None for all.
        secrets: variables of its kernels that are masked in all that comes out; None for none.
        monitoring_interval: seconds between two samples of what a cell uses; None for none.
        on_metrics: called with what happens; None for nobody.
        metadata: of the recording.

    Attributes:
        limits: how much its cells may take.
        mode: how its kernels are set up.
        veil: masks secrets.
        home: where the session lives on disk.
        worker: the thread that waits for the disk.
        scribe: writes the recording.
        kernels: the kernels of the session, one after the other.
        monitor: counts what happens, and tells it.
        reporter: reports the cells.
        resumes: whether it goes on in a notebook that is there.
        puts: variables that are being set.

    Raises:
        InvalidArgument, WrongType: an argument cannot work.
    """

    def __init__(
        self,
        kernel: KernelSettings | None,
        settings: SessionSettings,
        limits: Limits | None,
        mode: str | Mode,
        policy: Policy | None,
        secrets: Mapping[str, str] | Secrets | None,
        monitoring_interval: float | None,
        on_metrics: OnMetrics | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        self._kernel = checked_kernel(kernel)
        self.limits = checked_limits(limits)
        check_limits(self._kernel, self.limits)
        self.mode = checked_mode(mode)
        self._policy = checked_policy(policy)
        self._settings = settings
        self.home = Home(self._settings, self.limits.artifact_bytes)
        self.worker = Worker()
        hidden = checked_secrets(secrets)
        self.veil = Veil(hidden)
        self.scribe = Scribe(self.home, self.worker, self.veil, self._clean_up_later)
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._widgets = Widgets()
        self.monitor = Monitor(self.veil.text(settings.name or ""), checked_interval(monitoring_interval), on_metrics)
        self.kernels = Succession(
            partial(
                Session.start,
                self._kernel,
                limits=self.limits,
                mode=self.mode,
                guard=self._policy.guard if self._policy else "",
                secrets=hidden.values,
                veil=self.veil,
                home=self.home,
                widgets=self._widgets,
                on_event=self._happened,
                monitor=self.monitor,
            ),
            self.monitor.kernel_started,
        )
        self.reporter = Reporter(
            self.home, self.limits, self.mode.name, self.scribe, self.worker, self.monitor.counters, self.veil
        )
        self._given = checked_notebook_metadata(metadata)
        self._metadata: dict[str, Any] = {}
        self._opened = False
        self.resumes = False
        self._closing: asyncio.Task[None] | None = None
        self._closed_because = ""
        self._last: float | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._calls: dict[Execution, asyncio.Task[None]] = {}
        self._running: Execution | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.puts: set[asyncio.Task[None]] = set()

    @property
    def is_alive(self) -> bool:
        """True when the kernel runs."""
        session = self.kernels.session
        return self._closing is None and session is not None and not session.died.done()

    @property
    def running(self) -> Execution | None:
        """The call whose cell runs."""
        return self._running

    @property
    def state(self) -> str:
        """What it is doing, for people."""
        return "closed" if self._closing else "alive" if self.is_alive else "open" if self._opened else "not started"

    @property
    def name(self) -> str:
        """What to call it."""
        return self._settings.name or self._kernel.kernel_name

    async def start(self) -> None:
        """Start what is not started, when it is its turn."""
        self.check_usable()
        async with self._turn:
            await self.open()

    async def interrupt(self) -> None:
        """Interrupt the running cell, if there is one; it is not run again, nor is one that waits for that."""
        self.check_usable()
        if self._running is not None:
            self._running.interrupted = True
        for execution in self._calls:
            if execution.pausing:
                execution.stop.request("cancel")
        if self.kernels.session is not None:
            await self.kernels.session.interrupt()

    async def restart(self) -> ExecutionResult:
        """Cancel what waits, and take a fresh kernel; the recording says so."""
        self.check_usable()
        for execution in tuple(self._calls):
            execution.stop.request("cancel")
        async with self._turn:
            await self.open()
            return await self._restart()

    async def write(self, cell: dict[str, Any]) -> str | None:
        """Write a cell that no kernel runs below those so far; return what went wrong, if anything."""
        self.check_usable()
        async with self._turn:
            await self.open()
            return await self.scribe.write_cell(cell)

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

    # The way of a cell

    def submit(
        self,
        code: str,
        timeout: Timeout,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
        *,
        filename: str | None = None,
        retry: Retry | None = None,
        watched: bool = False,
        recorded: bool = True,
    ) -> Execution:
        """Put a cell into the queue. Arguments and errors as for `AsyncExecutor.execute`.

        Args:
            code: the cell.
            timeout: seconds that it may run.
            metadata: of the recorded cell.
            on_input: answers `input()`.
            filename: where its code is kept, in the work directory.
            retry: when it is run again.
            watched: whether its outputs are to be had as they come.
            recorded: whether it is written down.
        """
        self.check_usable()
        execution = Execution(
            checked_text("code", code),
            checked_timeout(timeout, self._settings.timeout),
            metadata=checked_metadata(metadata),
            on_input=on_input,
            filename=checked_filename(filename, self.home.own, self.home.workdir),
            retry=checked_retry(retry),
            watched=watched,
            recorded=recorded,
        )
        self.monitor.queued(execution)
        task = asyncio.ensure_future(self._perform(execution))
        self._calls[execution] = task
        task.add_done_callback(lambda _: self._calls.pop(execution, None))
        return execution

    async def _perform(self, execution: Execution) -> None:
        try:
            async with self._turn:
                self.monitor.has_turn(execution)
                result = await tried(execution, self._answer, self._restart)
        except BaseException as error:
            try:
                self.monitor.ended(execution, self.reporter.raised(execution, error))
            finally:
                execution.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            self.monitor.ended(execution, result.metrics)
            execution.finish(result)

    async def _answer(self, execution: Execution) -> ExecutionResult:
        """Run one cell in the kernel that is there; the result is in the recording when this returns."""
        session = await self._session_for(execution)
        if session is None:
            return self.reporter.unrun(execution, outcome.never_ran(execution.stop))
        spill = self.home.spill()
        outputs = Outputs(self.limits, spill)
        cell_id = uuid.uuid4().hex[:8]
        if self._policy is not None and (verdict := await permitted(self._policy, execution)) is not None:
            execution.cell = Cell(cell_id, execution.code, "", outputs)
            return await self.reporter.report(execution, spill, verdict, Ending((), None, None), 0.0)
        self.monitor.started(execution)
        execution.stop.end_by(execution.until)  # who was asked about it has taken of that time
        start = time.monotonic()
        if execution.filename is not None:
            place = tuple(Path(execution.filename).parts)
            await self.worker.run(Transfer(self.home.workdir).send, execution.code.encode(), place)
        not_seen = await self.bring_in(session)
        if session.died.done():
            execution.cell = Cell(cell_id, execution.code, "", outputs)
            ending = Ending((), await session.bury(), None, None)
        else:
            ending = await self._run(session, execution, cell_id, outputs)
        duration = time.monotonic() - start
        assert execution.cell is not None
        not_seen += tuple(await session.kernel.bring_home())
        if spill.is_in_kernel and session.kernel.directory is not None:
            await self.worker.run(spill.adopt, session.kernel.directory, self.veil)
        verdict = outcome.verdict_of(execution.cell, ending, execution.stop, interrupted=session.interrupted)
        if not verdict.state_preserved and not self._closed_because:
            self.kernels.replace(session)
        await self._record_widgets()
        return await self.reporter.report(execution, spill, verdict, ending, duration, not_seen)

    async def bring_in(self, session: Session) -> tuple[str, ...]:
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
            await self.open()
            session = await self.live()
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
            self.scribe.begin(Entry(cell, {"status": "running"}, self._running.metadata))

    def _happened(self, event: Event) -> None:
        """The kernel's reader tells of an event; it must never wait."""
        running = self._running
        if isinstance(event, Shown) and running is not None and event.cell is running.cell:
            running.show(event.item)
            self.scribe.changed(event.cell, RUNNING_INTERVAL)
        elif isinstance(event, Changed):
            self.scribe.changed(event.cell)
        elif isinstance(event, InputWanted) and running is not None and self.kernels.session is not None:
            if running.questions < MANY_QUESTIONS:
                running.questions += 1
                self._background(ask(running, event, self.kernels.session.answer))
            else:
                self.monitor.counters.refuse("it asks for more input before it has taken what it asked for")

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The kernel

    async def open(self) -> None:
        """Start what is not started."""
        self.check_usable()
        async with self._opening:
            if self._opened:
                return
            loop = asyncio.get_running_loop()
            session = await self.live()
            record = self.scribe.resume if self.resumes else self.scribe.open
            await record(self._describe(session))
            await self.reporter.start()  # after it: an earlier recording that gets another name is no cell's
            self._opened = True
            self.monitor.opened()
            if self._settings.lifetime is not None:
                self._last = loop.time() + self._settings.lifetime
                self._expiry = loop.call_at(self._last, self._expire)

    async def live(self) -> Session:
        """Return the session, waiting for one that is being started."""
        session = await self.kernels.settled()
        self.check_usable()  # `close` may have come in between
        assert session is not None
        return session

    async def fresh(self) -> bool:
        """Take a fresh kernel; return whether there was one before."""
        already_lost = self.kernels.session is None
        session = await self.live()
        if not already_lost:
            self.kernels.replace(session)
        return not already_lost

    async def _restart(self) -> ExecutionResult:
        already_lost = not await self.fresh()
        session = await self.live()
        await self.scribe.set_metadata(self._describe(session))
        text = "Kernel restarted: all variables are lost."
        facts = {"kernel_exec": {"event": "restart", "state_preserved": already_lost}}
        cell_id = uuid.uuid4().hex[:8]
        trouble = await self.scribe.write_cell(markdown_cell(cell_id, f"**{text}**", facts))
        notes = (trouble,) if trouble else ()
        return ExecutionResult("ok", text=text, state_preserved=already_lost, notes=notes, cell_id=cell_id)

    def _describe(self, session: Session) -> dict[str, Any]:
        """Return the notebook's metadata."""
        facts = {
            "environment": {**environment_of(session.info), **session.kernel.environment},
            "mode": self.mode.name,
            "workdir": self.home.workdir_from_notebook,
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
            await self.scribe.set_metadata({**self._metadata, "widgets": self._widgets.as_metadata()})

    def _clean_up_later(self, path: Path) -> None:
        self.home.cleanup.append(path)
        self.home.artifacts.ignore(path)
        self.kernels.add_cleanup(path)

    # The end

    def check_usable(self) -> None:
        """Refuse what cannot be done any more, or not from here.

        Raises:
            ExecutorClosed: it is closed, or of another process or event loop.
        """
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
        self.kernels.abandon()
        if self._calls:
            await asyncio.wait(tuple(self._calls.values()))
        for task in tuple(self._tasks):
            task.cancel()
        try:
            await self.kernels.stop()
            if self.puts:
                await asyncio.wait(tuple(self.puts))
        finally:
            try:
                await self._record_widgets()
                await self.scribe.close()
            finally:
                await self.worker.run(self.home.artifacts.close)
                await self.worker.run(self.home.remove)
                self.worker.close()
                await self.kernels.release()
                await self.monitor.close()
