"""One call on its way: when it must stop, what it has shown so far, and its result."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Literal

from kernel_exec.errors import InvalidArgument, ResultNotReady
from kernel_exec.results import ExecutionResult, Output
from kernel_exec.retry import Retry
from kernel_exec.settings import checked_seconds
from kernel_exec.wire.cell import Cell

StopReason = Literal["timeout", "lifetime", "cancel", "close"]
SOON = 0.001
"""Seconds that a cell has whose time is over before it has begun."""
MANY_ITEMS = 100
"""Outputs that wait for a slow consumer, beyond which those that are void are left out."""

OnOutput = Callable[[Output], object]
OnInput = Callable[[str, bool], "str | Awaitable[str]"]


class Stop:
    """The deadline of a cell, and everybody else's wish that it should end.

    Args:
        timeout: seconds from `arm`; None for no deadline.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.reason: StopReason | None = None
        self.kill = False
        self._loop = asyncio.get_running_loop()
        self._deadline: float | None = None
        self._last = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._wanted: asyncio.Future[None] = self._loop.create_future()
        self._kill_wanted: asyncio.Future[None] = self._loop.create_future()

    @property
    def wanted(self) -> asyncio.Future[None]:
        """Done when the cell should end; `reason` says why."""
        return self._wanted

    @property
    def kill_wanted(self) -> asyncio.Future[None]:
        """Done when there is no more time for an interrupt."""
        return self._kill_wanted

    def arm(self, last: float | None) -> None:
        """Start the clock. `last` is the end of the session, in the loop's time, which nothing extends."""
        self._last = float("inf") if last is None else last
        if self.timeout is not None:
            self._deadline = self._loop.time() + self.timeout
        self._set_timer()

    def end_by(self, when: float) -> None:
        """Bound the timeout so that the cell ends by then, in the loop's time, if it begins now."""
        rest = max(when - self._loop.time(), SOON)
        if rest < math.inf and (self.timeout is None or rest < self.timeout):
            self.timeout = rest

    def disarm(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def extend(self, seconds: float) -> None:
        """Move the deadline away by `seconds`; nothing happens where there is none, or when it has passed."""
        if self.timeout is not None:
            self.timeout += seconds
        if self._deadline is not None:
            self._deadline += seconds
            self._set_timer()

    def request(self, reason: StopReason, *, kill: bool = False) -> None:
        """Ask for the end of the cell; the first reason stays, a later `kill` hurries it."""
        self.kill = self.kill or kill
        if kill and not self._kill_wanted.done():
            self._kill_wanted.set_result(None)
        if not self._wanted.done():
            self.reason = reason
            self._wanted.set_result(None)

    def _set_timer(self) -> None:
        self.disarm()
        deadline = float("inf") if self._deadline is None else self._deadline
        reason: StopReason = "timeout" if deadline <= self._last else "lifetime"
        at = min(deadline, self._last)
        if at < float("inf"):
            self._timer = self._loop.call_at(at, self.request, reason)


class Execution:
    """A cell that was submitted: waiting in the queue, running, or ended.

    Made by `AsyncExecutor.submit`.
    """

    def __init__(
        self,
        code: str,
        timeout: float | None,
        *,
        metadata: Mapping[str, Any] | None = None,
        on_input: OnInput | None = None,
        filename: str | None = None,
        retry: Retry | None = None,
        watched: bool = False,
        recorded: bool = True,
    ) -> None:
        self.code = code
        self.metadata = metadata or {}
        """Of the recorded cell, as its caller gave it."""
        self.filename = filename
        """Where its code is kept, from the work directory on."""
        self.recorded = recorded
        self.judged: Mapping[str, Any] = {}
        """What was asked and decided before it ran, for the recording."""
        self.on_input = on_input
        self.retry = retry
        self.interrupted = False
        """Whether the caller has interrupted it."""
        self.pausing = False
        """Whether no code of it runs, because somebody is asked about it or another attempt is to come."""
        self.until = math.inf
        """When all its attempts must have ended, in the loop's time."""
        self.attempt = 1
        """The number of the attempt that runs, or is waited for."""
        self.number = 0
        """Which call of its executor it is, from 1."""
        self.had_turn = False
        self.queued = self.started = 0.0
        """When it was called, and when its last attempt began, in seconds since 1970; 0 for not yet."""
        self.context = contextvars.Context()
        """The context variables of its caller, where somebody wants to know them."""
        self.stop = Stop(timeout)
        self.cell: Cell | None = None
        self.questions = 0
        """Lines of input that the caller is being asked for."""
        self.trouble: BaseException | None = None
        """What a callback of the caller's raised; the call ends with it."""
        self._ended: asyncio.Future[ExecutionResult] = asyncio.get_running_loop().create_future()
        # An executor that is closed abruptly leaves exceptions here that nobody may ever ask for.
        self._ended.add_done_callback(_retrieve)
        self._feed = Feed() if watched else None

    @property
    def done(self) -> bool:
        """True when it has ended."""
        return self._ended.done()

    async def result(self, timeout: float | None = None) -> ExecutionResult:
        """Wait for the end and return the result.

        Cancelling the wait does not cancel the cell.

        Args:
            timeout: seconds to wait; None to wait as long as it takes.

        Raises:
            ResultNotReady: it did not end in that time; it goes on.
        """
        seconds = checked_seconds("timeout", timeout) if timeout != 0 else 0.0
        done, _ = await asyncio.wait((self._ended,), timeout=seconds)
        if not done:
            raise ResultNotReady(f"the cell did not end within {timeout} s; it goes on: wait again, or cancel() it")
        return self._ended.result()

    def outputs(self) -> list[Output]:
        """Return the outputs so far, as nbformat dictionaries."""
        if self._ended.done() and not self._ended.exception():
            return list(self._ended.result().outputs)
        return self.cell.outputs.snapshot() if self.cell else []

    def cancel(self) -> asyncio.Future[ExecutionResult]:
        """Interrupt the cell, or take it out of the queue; kill its kernel when it does not obey.

        Returns:
            An awaitable for the result; the cancelling goes on whether it is awaited or not.
        """
        self.stop.request("cancel")
        ended = asyncio.shield(self._ended)
        ended.add_done_callback(_retrieve)
        return ended

    def extend(self, seconds: float) -> asyncio.Future[None]:
        """Give the cell more time: `seconds` are added to its deadline, at once.

        Raises:
            InvalidArgument: seconds is not a number above zero, or the deadline has passed already.
        """
        more = checked_seconds("seconds", seconds)
        if more is None:
            raise InvalidArgument("seconds must be a finite number: a deadline cannot be taken away, only moved")
        if self.done or self.stop.wanted.done():
            raise InvalidArgument("the cell has ended, or is being stopped: there is nothing left to extend")
        self.stop.extend(more)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    # What follows is for the executor that runs it.

    def ended_result(self) -> ExecutionResult:
        """Return the result of an execution that is done, or raise what it ended with."""
        return self._ended.result()

    @property
    def unwanted(self) -> bool:
        """Whether the caller wants no other attempt, and whoever closes the executor none."""
        return self.interrupted or self.trouble is not None or self.stop.reason not in (None, "timeout")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No code of it runs in here: it can be cancelled, and not be interrupted."""
        self.pausing = True
        try:
            yield
        finally:
            self.pausing = False

    def begin_again(self, timeout: float | None) -> None:
        """Get ready for another attempt, of `timeout` seconds; it can be cancelled, and be given more time, at once."""
        self.attempt += 1
        self.started = 0.0
        self.questions = 0
        self.stop = Stop(timeout)

    @property
    def feed(self) -> Feed:
        """The outputs as they arrive; only for an execution that is watched."""
        if self._feed is None:
            raise RuntimeError("this execution is not watched")
        return self._feed

    async def settled(self) -> None:
        """Wait for the end without asking how it went."""
        await asyncio.wait((self._ended,))

    def show(self, item: Output) -> None:
        """Pass an output on to whoever watches."""
        if self._feed is not None:
            self._feed.put(item)

    def finish(self, result: ExecutionResult) -> None:
        """Set the result; where a callback of the caller's raised, its exception takes the place of the result."""
        if self.trouble is not None:
            self.fail(self.trouble)
            return
        if not self._ended.done():
            self._ended.set_result(result)
        self._close()

    def fail(self, error: BaseException) -> None:
        """End with an exception: there is no result, or a callback of the caller's raised."""
        if not self._ended.done():
            self._ended.set_exception(error)
        self._close()

    def _close(self) -> None:
        self.stop.disarm()
        if self._feed is not None:
            self._feed.close()


def _retrieve(ended: asyncio.Future[ExecutionResult]) -> None:
    """Mark the exception as seen: whoever asks for the result gets it, and nobody has to."""
    if not ended.cancelled():
        ended.exception()


class Feed:
    """Outputs between the kernel's reader, which never waits, and a consumer, which may be slow.

    What it holds is bounded: a cell's outputs are bounded before they come here, and while nobody takes them, pieces
    of one stream are joined, an update replaces the update before it, and where many outputs wait, those that a
    `clear_output` has made void are left out.
    """

    def __init__(self) -> None:
        self._items: deque[dict[str, Any]] = deque()
        self._text: list[str] = []
        self._name = ""
        self._updates: dict[str, Output] = {}  # updates not yet taken, by display id
        self._more = asyncio.Event()
        self._closed = False

    def put(self, item: Output) -> None:
        """Add an output."""
        kind, display_id = item["output_type"], item.get("transient", {}).get("display_id", "")
        if kind == "update_display_data":
            if pending := self._updates.get(display_id):
                pending.update(item)
                return
            self._updates[display_id] = item = dict(item)
        elif kind == "clear_output":
            self._updates.clear()
        else:  # an update that comes later must not overtake this display
            self._updates.pop(display_id, None)
        if kind != "stream" or item["name"] != self._name:
            self._flush()
        if kind == "stream":
            self._name = item["name"]
            self._text.append(item["text"])
        else:
            self._items.append(item)
        if kind == "clear_output" and len(self._items) > MANY_ITEMS:
            self._leave_out_void()
        self._more.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._more.set()

    async def get(self) -> Output | None:
        """Return the next output, or None when all have been taken and no more will come."""
        while not self._items:
            self._flush()
            if self._items:
                break
            if self._closed:
                return None
            self._more.clear()
            await self._more.wait()
        item = self._items.popleft()
        if item["output_type"] == "update_display_data":
            display_id = item["transient"]["display_id"]
            if self._updates.get(display_id) is item:
                del self._updates[display_id]
        return item

    def _leave_out_void(self) -> None:
        """Drop what comes before the last clearing that is in force: at once, or since an output came after it."""
        in_force = False
        for index in range(len(self._items) - 1, -1, -1):
            item = self._items[index]
            if item["output_type"] != "clear_output":
                in_force = True
            elif in_force or not item["wait"]:
                for _ in range(index):
                    self._items.popleft()
                return

    def _flush(self) -> None:
        if self._text:
            self._items.append({"output_type": "stream", "name": self._name, "text": "".join(self._text)})
            self._text.clear()
        self._name = ""
