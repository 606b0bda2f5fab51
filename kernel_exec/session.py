"""One kernel from its start to its end, and the cells that run in it.

The way of a cell, DESIGN.md section 2: `run` sends it, waits for its end, and ends it when it must. Every step is
bounded: interrupt, a short grace, kill.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kernel_exec.errors import KernelDiedError, KernelStartError, RequestTimeout
from kernel_exec.execution import Execution
from kernel_exec.home import Home
from kernel_exec.kernels.death import Death, Usage, megabytes
from kernel_exec.kernels.kernel import Kernel
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.kernels.modes import Mode
from kernel_exec.monitor import Monitor
from kernel_exec.results import Sample
from kernel_exec.sampling import Sampling
from kernel_exec.secrets import Veil
from kernel_exec.settings import Limits
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.channels import Buffer, Channel, Channels
from kernel_exec.wire.conversation import Conversation, Event, Finished, InputWanted, Refused
from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.outputs import Outputs
from kernel_exec.wire.veiled import Veiled
from kernel_exec.wire.widgets import Widgets

START_TIMEOUT = 60.0
POLICY_VARIABLE = "KERNEL_EXEC_POLICY"
_UNGUARDED = (
    "this kernel cannot be held to policy.blocked_imports, allowed_imports and shell: it is none of Python's, or its "
    "ipykernel is too old; leave them to policy.rules, or choose another kernel"
)
GRACE = 2.0
"""Seconds that an interrupted cell has to end."""
REPEAT = 1.0
"""Seconds after which the interrupt is repeated: one that meets `os.system` at the wrong moment is lost."""
QUESTIONS = 4
"""Questions that a kernel is asked at a time; further ones wait."""
EXIT_TIMEOUT = 3.0
"""Seconds that a kernel has to end after the code asked for it, or after it has closed a channel."""
KEPT_REQUESTS = 1000
"""Requests whose replies are no surprise, also when they come too late."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a cell came to its end.

    Attributes:
        steps: what was needed: "interrupt", "kill".
        death: how the kernel died, when it did.
        usage: what the kernel has used for it, when known.
        memory: the limit on its memory and that of its processes, in bytes; None for none.
        held: the most bytes of it that were seen; 0 without a limit.
    """

    steps: tuple[str, ...]
    death: Death | None
    usage: Usage | None
    memory: int | None = None
    samples: tuple[Sample, ...] = ()
    held: int = 0

    def resources(self) -> tuple[float | None, int | None]:
        """CPU seconds of the cell and its peak of memory in bytes, as far as they are known."""
        cpu = self.samples[-1].cpu_seconds if self.samples else None
        held = [sample.memory for sample in self.samples]
        if self.usage is not None:
            # A child that was waited for brings all of its life with it; samples leave out what was before the cell.
            cpu = self.usage.cpu_seconds if cpu is None else cpu
            held.append(self.usage.peak_memory)
        elif self.held:
            held.append(self.held)
        return cpu, max(held, default=None)


class Session:
    """A running kernel and the conversation with it. Made by `Session.start`."""

    def __init__(
        self,
        kernel: Kernel,
        limits: Limits,
        widgets: Widgets,
        veil: Veil,
        on_event: Callable[[Event], None],
        monitor: Monitor,
    ) -> None:
        self.kernel = kernel
        self._limits = limits
        self._monitor = monitor
        self.info: dict[str, Any] = {}
        self.interrupted = False
        self._refuse = refuse = monitor.counters.refuse
        self._on_event = on_event
        self._conversation = Conversation(widgets)
        self._veil, self._veiled = veil, Veiled(veil)
        self._channels = Channels(kernel.connection, self._receive, refuse, self._disconnected)
        self._running: Cell | None = None
        self._finished: asyncio.Future[None] | None = None
        self._replies: dict[tuple[Channel, str, str], asyncio.Future[Message]] = {}
        """Replies that are waited for: by channel, type and id of the request."""
        self._asked: deque[str] = deque(maxlen=KEPT_REQUESTS)
        self._cut_off: asyncio.Task[None] | None = None
        self.asking = asyncio.Semaphore(QUESTIONS)
        """Held by each question that the kernel is asked beside its cells."""
        self._unheard = False
        self._once_more: asyncio.TimerHandle | None = None
        self._interrupting: asyncio.Task[None] | None = None
        self.subshell: str | None = None
        """Where this kernel is asked while it runs a cell, once it was."""

    @classmethod
    async def start(
        cls,
        settings: KernelSettings,
        *,
        limits: Limits,
        mode: Mode,
        guard: str,
        secrets: Mapping[str, str],
        veil: Veil,
        home: Home,
        widgets: Widgets,
        on_event: Callable[[Event], None],
        monitor: Monitor,
    ) -> Session:
        """Start a kernel and wait until it answers.

        Args:
            settings: what kind of kernel, and how.
            limits: what it may use.
            mode: how it is set up.
            guard: what of the policy it is to watch itself, as JSON; "" for nothing.
            secrets: variables that it gets, whatever others it has.
            veil: masks what comes from it.
            home: its working directory, made when it is missing, and what is to be removed if this process ends
                without stopping the kernel.
            widgets: follows the widgets of the kernel.
            on_event: told of what happens, on the loop; must not wait.
            monitor: told of messages that are refused, and of what cells use.

        Raises:
            UnknownKernel, KernelStartError: there is no such kernel; it died, or did not answer in time.
        """
        kernel = await Kernel.start(
            settings,
            cwd=home.workdir,
            limits=limits,
            mode=mode,
            extra_env={**secrets, **({POLICY_VARIABLE: guard} if guard else {})},
            cleanup=home.cleanup,
            prepare=home.make,
            timeout=START_TIMEOUT,
            lifetime=home.lifetime,
            own=home.own,
        )
        try:
            session = cls(kernel, limits, widgets, veil, on_event, monitor)
            await session._ready(guarded=bool(guard))
        except BaseException:
            await kernel.stop(grace=0)
            raise
        return session

    @property
    def died(self) -> asyncio.Future[Death]:
        """Done when the kernel's process has ended."""
        return self.kernel.died

    async def run(
        self,
        execution: Execution,
        cell_id: str,
        outputs: Outputs,
        *,
        last: float | None,
        began: Callable[[Cell], None],
    ) -> Ending:
        """Run a cell to its end, whatever it takes.

        Args:
            execution: the call.
            cell_id: id of its cell in the recording.
            outputs: takes what it puts out.
            last: the end of the session, in the loop's time.
            began: called with the cell when its request is about to be sent.
        """
        self.interrupted = self._unheard = False
        self._finished = asyncio.get_running_loop().create_future()
        await self.kernel.settle_signals()
        self.kernel.begin_cell()
        if self._monitor.interval is not None:
            self.kernel.mark()  # before the code can make any child
        self._channels.execute(
            execution.code,
            cell_id,
            filename=execution.filename,
            allow_stdin=execution.on_input is not None,
            begin=lambda msg_id: self._begin(execution, Cell(cell_id, execution.code, msg_id, outputs), began),
        )
        execution.stop.arm(last)
        sampling = self._sampling(execution)
        try:
            steps = await self._within_memory(execution, self._finished)
            steps = await self._end(execution, self._finished, steps)
        finally:
            execution.stop.disarm()
            self._hear_no_more()
            samples = () if sampling is None else await sampling.end()
        usage = await self.kernel.cell_usage()
        death = await self.bury() if self._lost(execution.cell) else None
        self._running = self._finished = None
        return Ending(steps, death, usage, self._limits.memory_bytes, samples, self.kernel.seen_peak)

    async def interrupt(self) -> None:
        """Interrupt the running cell; nothing happens when there is none.

        A kernel that has not taken the cell up yet hears nothing: it is interrupted once more when it has.
        """
        if self._finished is None or self._finished.done():
            return
        self.interrupted = True
        self._unheard = self._running is None or not self._running.started
        if self._running is None:
            return
        if self.kernel.interrupt_mode == "message":
            self._send("control", "interrupt_request", {})
            return
        await self.kernel.interrupt()
        if not self.kernel.ours and not self.died.done():
            # A stock ipykernel that awaits something only notices the signal when its loop wakes up.
            self._send("shell", "kernel_info_request", {})

    @property
    def busy(self) -> bool:
        """Whether a cell runs."""
        return self._running is not None and not self._running.finished

    async def request(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        *,
        deadline: float | None,
        more_header: dict[str, Any] | None = None,
        buffers: Sequence[Buffer] = (),
    ) -> Message:
        """Send a request that is no cell, and wait for its reply, also while a cell runs.

        Args:
            channel: the channel to ask on.
            msg_type: ends in "_request"; that of the reply ends in "_reply".
            content: of the request.
            deadline: until when to wait, in the loop's time; None for no bound.
            more_header: further fields of its header.
            buffers: its binary buffers.

        Raises:
            RequestTimeout: there was no reply in time.
            KernelDiedError: the kernel is dead, or died meanwhile.
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Message] = loop.create_future()
        if not self.died.done():
            msg_id = self._send(channel, msg_type, content, more_header=more_header, buffers=buffers)
            awaited = (channel, msg_type.removesuffix("_request") + "_reply", msg_id)
            self._replies[awaited] = reply
            timeout = None if deadline is None else max(0.0, deadline - loop.time())
            try:
                await asyncio.wait((reply, self.died), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                del self._replies[awaited]
        if reply.done():
            return reply.result()
        if self.died.done():
            reason = self.died.result().reason
            raise KernelDiedError(f"the kernel is dead ({reason}): the next cell runs in a fresh one")
        raise RequestTimeout("the kernel did not answer in time: ask again, or give it more time")

    def answer(self, line: str) -> None:
        """Answer the request for input."""
        if not self.died.done():
            self._channels.send("stdin", "input_reply", {"status": "ok", "value": line})

    async def stop(self, *, release: bool = True) -> None:
        """End the kernel and leave nothing of it behind; idempotent.

        Args:
            release: whether nothing is left to clean up if this process ends; otherwise `kernel.release` is still due.
        """
        self._channels.close()
        await self.kernel.stop(release=release)
        if self._cut_off is not None:
            await asyncio.wait((self._cut_off,))

    def _send(self, channel: Channel, msg_type: str, content: dict[str, Any], **more: Any) -> str:
        """Send a request that is no cell; what comes of it beside its reply belongs to the latest cell."""
        msg_id = self._channels.send(channel, msg_type, content, **more)
        self._asked.append(msg_id)
        if channel == "shell":
            self._conversation.alias(msg_id)
        return msg_id

    def _hear(self) -> None:
        """The kernel has told of the cell: an interrupt that came before may have met nothing."""
        if self._unheard and self._running is not None and self._running.started and self._once_more is None:
            self._unheard = False
            self._once_more = asyncio.get_running_loop().call_later(REPEAT, self._interrupt_once_more)

    def _interrupt_once_more(self) -> None:
        self._interrupting = asyncio.ensure_future(self.interrupt())

    def _hear_no_more(self) -> None:
        self._unheard = False
        if self._once_more is not None:
            self._once_more.cancel()
            self._once_more = None

    def _disconnected(self, reason: str) -> None:
        if self._cut_off is None and not self.died.done():
            self._cut_off = asyncio.ensure_future(self._end_cut_off(reason))

    async def _end_cut_off(self, reason: str) -> None:
        """A channel is of no more use: either the kernel ends, or nobody can work with it any more."""
        await asyncio.wait((self.died,), timeout=EXIT_TIMEOUT)
        if not self.died.done():
            await self.kernel.kill(reason)

    async def _ready(self, *, guarded: bool) -> None:
        ready = asyncio.ensure_future(self._channels.ready())
        try:
            timeout = self.kernel.deadline - asyncio.get_running_loop().time()
            await asyncio.wait((ready, self.died), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if self.died.done():
                raise KernelStartError(self._start_failure(self.died.result().reason))
            if ready.done() and self._limits.memory_bytes is not None:
                await self.kernel.look_at_memory()
            if self.kernel.over_memory.done():
                raise KernelStartError(
                    self._start_failure(f"it held {megabytes(self.kernel.seen_peak)} before any cell")
                )
            if not ready.done():
                raise KernelStartError(
                    f"the kernel did not answer within {START_TIMEOUT:.0f} s: start it by hand to see what it says"
                )
            self.info = ready.result()
            if not self.kernel.ours:
                if guarded:
                    raise KernelStartError(_UNGUARDED)
                self._channels.expect_much()
        except BaseException:
            ready.cancel()
            self._channels.close()
            raise

    def _start_failure(self, reason: str) -> str:
        words = self.kernel.last_words()
        said = "".join(
            str(message.content.get("text", "")) for message in words if message.msg_type == "stream"
        ).strip()
        tail = f"; it said:\n{said}" if said else "; run `python -m ipykernel` in its environment to see why"
        limit = self._limits.memory_bytes
        allowed = (
            "" if limit is None else f"; limits.memory is {megabytes(limit)} ({limit} bytes): perhaps it needs more"
        )
        return self._veil.text(f"the kernel could not be started: {reason}{allowed}{tail}")

    def _sampling(self, execution: Execution) -> Sampling | None:
        if self._monitor.interval is None:
            return None
        return Sampling(self.kernel, self._monitor.interval, partial(self._monitor.sampled, execution))

    def _begin(self, execution: Execution, cell: Cell, began: Callable[[Cell], None]) -> None:
        self._running = execution.cell = cell
        self._conversation.begin(cell)
        began(cell)

    async def _within_memory(self, execution: Execution, finished: asyncio.Future[None]) -> tuple[str, ...]:
        """Wait until the cell has ended or must end; interrupt it when too much memory is held. Return the steps.

        The kill is the supervisor's, which needs nobody for it. When too much is held at the end of the cell, the
        result waits for what comes of it.
        """
        steps: tuple[str, ...] = ()
        over = (finished, self.died, execution.stop.wanted)
        while True:
            await asyncio.wait((*over, self.kernel.over_memory), return_when=asyncio.FIRST_COMPLETED)
            if _any_done(over):
                break
            steps = ("interrupt",)
            await self._interrupt_and_wait((*over, self.kernel.under_memory), execution.stop.kill_wanted)
        if self.kernel.over_memory.done():
            settled = (self.kernel.under_memory, self.died, execution.stop.wanted)
            await asyncio.wait(settled, timeout=2 * GRACE, return_when=asyncio.FIRST_COMPLETED)
        return (*steps, "kill") if self.kernel.outgrown else steps

    async def _end(
        self, execution: Execution, finished: asyncio.Future[None], steps: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Bring about the end of the cell where it must end; return the steps taken with those before."""
        over = (finished, self.died)
        if not _any_done(over) and not execution.stop.kill:
            steps = ("interrupt",)
            await self._interrupt_and_wait(over, execution.stop.kill_wanted)
        if not _any_done(over):
            steps = (*steps, "kill")
            await self.kernel.kill()
        elif self._running is not None and self._running.asks_exit:
            await self._exit()
        return steps

    async def _interrupt_and_wait(self, over: tuple[asyncio.Future[Any], ...], hurry: asyncio.Future[None]) -> None:
        heard = False
        while not heard:
            heard = self._running is not None and self._running.started
            for seconds in (REPEAT, GRACE - REPEAT):
                await self.interrupt()
                done, _ = await asyncio.wait((*over, hurry), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    return
            # A kernel that stood still, and has taken the cell up meanwhile, has the time that others have.
            heard = heard or self._running is None or not self._running.started

    def _lost(self, cell: Cell | None) -> bool:
        """Whether the cell took the kernel with it."""
        if not self.died.done():
            return False
        # A kernel that dies right after a cell that ended well is found dead by the next call, like any other.
        ended_well = cell is not None and cell.finished and not cell.asks_exit
        return not ended_well or self.died.result().oom

    async def _exit(self) -> None:
        """The code asked the kernel to end: it has answered, and ends a moment later."""
        await asyncio.wait((self.died,), timeout=EXIT_TIMEOUT)
        if not self.died.done():
            await self.kernel.kill()

    async def bury(self) -> Death:
        """Wait for the end of a dying kernel, and take what it had put out and not yet delivered."""
        death = await self.died
        self._channels.drain()
        seen = set(self._channels.seen)
        self._channels.close()
        for message in self.kernel.last_words():
            if message.msg_id not in seen:
                self._receive_checked(message)
        for message in self._veiled.rest():
            self._take(message)
        return death

    def _receive_checked(self, message: Message) -> None:
        try:
            self._receive(message)
        except BadMessage as error:
            self._refuse(str(error))

    def _receive(self, message: Message) -> None:
        reply = self._replies.get((message.channel, message.msg_type, message.parent_id))  # type: ignore[arg-type]
        if reply is not None and not reply.done():
            reply.set_result(message)
            return
        if message.channel in ("shell", "control") and message.parent_id in self._asked:
            return  # too late
        for veiled in self._veiled.messages(message):
            self._take(veiled)

    def _take(self, message: Message) -> None:
        for event in self._conversation.receive(message):
            if isinstance(event, Refused):
                self._refuse(event.reason)
            elif isinstance(event, Finished):
                self._finish(event.cell)
            elif not isinstance(event, InputWanted) or event.cell is self._running:
                self._on_event(event)
        self._hear()

    def _finish(self, cell: Cell) -> None:
        if cell is self._running and self._finished is not None and not self._finished.done():
            self._finished.set_result(None)


def _any_done(futures: Sequence[asyncio.Future[Any]]) -> bool:
    return any(future.done() for future in futures)
