"""Work in the sessions' loop, for which the notebook's thread waits: it shows what comes, answers, is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from kernel_exec.errors import ExecutorClosed
from kernel_exec.portal import Portal

T = TypeVar("T")

MANY = 100
"""Items on their way to the notebook's thread; more wait where they are bounded, and are joined there."""


class _Question:
    """The code asks for a line of input."""

    def __init__(self, prompt: str, *, password: bool) -> None:
        self.prompt, self.password = prompt, password
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()


class Errand(Generic[T]):
    """One piece of work, a coroutine that runs in a portal's loop.

    An interrupt does not end the wait: it has the work stopped, and what that still shows is shown, as is its end.

    Args:
        portal: of the loop; it has been used before.
        show: takes, in the thread that waits, what the work gives.
        idle: called there when nothing more is there to be shown for now.
    """

    def __init__(self, portal: Portal, show: Callable[[Any], None], idle: Callable[[], None]) -> None:
        self._portal, self._show, self._idle = portal, show, idle
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._room = asyncio.Semaphore(MANY)
        self._task: asyncio.Task[Any] | None = None
        self._end: tuple[T | None, BaseException | None] | None = None
        self._presses = 0
        self._unwanted = False
        self.stopper: Callable[[bool], object] | None = None
        """Called in the loop with whether to kill, to stop the work; None for cancelling it."""

    @property
    def pressed(self) -> bool:
        """Whether somebody has interrupted it."""
        return self._presses > 0

    def run(self, work: Callable[[Errand[T]], Coroutine[Any, Any, T]]) -> T:
        """Do it; return what it returns, or raise what it raises.

        Raises:
            ExecutorClosed: the loop has ended.
        """
        if self._portal.stopped:
            raise ExecutorClosed("the sessions of this notebook are closed: load the extension again")
        try:
            self._portal.spawn(lambda: self._work(work))
            with _on_interrupt(self._press):
                return self._attend()
        except BaseException:
            if self._end is None:
                self._portal.leave_word(lambda: self._stop(kill=False))
            raise

    # In the loop

    async def give(self, item: object) -> None:
        """Have something shown; waits while much is on its way."""
        await self._room.acquire()
        self._queue.put(item)

    async def ask(self, prompt: str, password: bool) -> str:  # noqa: FBT001 - as OnInput has it
        """Have a line of input asked for, and return it."""
        question = _Question(prompt, password=password)
        self._queue.put(question)
        return await question.answer

    async def _work(self, work: Callable[[Errand[T]], Coroutine[Any, Any, T]]) -> None:
        self._task = asyncio.current_task()
        try:
            if self._unwanted:
                raise asyncio.CancelledError
            self._end = (await work(self), None)
        except BaseException as error:
            self._end = (None, error)
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        finally:
            self._queue.put(None)

    def _stop(self, *, kill: bool) -> None:
        if self.stopper is not None:
            self.stopper(kill)
        elif self._task is not None:
            self._task.cancel()
        self._unwanted = True

    # In the thread that waits

    def _attend(self) -> T:
        while self._end is None or not self._queue.empty():
            item = self._queue.get()
            if isinstance(item, _Question):
                self._answer(item)
            elif item is not None:
                self._show(item)
                self._portal.leave_word(self._room.release)
            if self._queue.empty():
                self._idle()
        value, error = self._end
        if isinstance(error, asyncio.CancelledError):
            raise KeyboardInterrupt if self.pressed else ExecutorClosed("the session was closed meanwhile")
        if error is not None:
            raise error
        return value  # type: ignore[return-value] # there is an error, or what the work returned

    def _answer(self, question: _Question) -> None:
        """Ask whoever looks at the notebook; what comes of it is the code's, also an error."""
        self._idle()
        answer = question.answer
        try:
            with _on_interrupt(signal.default_int_handler):
                line = getpass.getpass(question.prompt) if question.password else input(question.prompt)
        except KeyboardInterrupt:  # a cell that is interrupted gets no answer
            self._portal.leave_word(lambda: _settle(answer, None, None))
            self._press()
        except BaseException as error:  # whoever asked cannot go on
            failed = error
            self._portal.leave_word(lambda: _settle(answer, None, failed))
        else:
            self._portal.leave_word(lambda: _settle(answer, line, None))

    def _press(self, *_: object) -> None:
        """Have the work stopped; also as the handler of a signal, so that nothing is broken off in the middle."""
        self._presses += 1
        kill = self._presses > 1
        self._portal.leave_word(lambda: self._stop(kill=kill))


@contextlib.contextmanager
def _on_interrupt(handler: Callable[..., object]) -> Iterator[None]:
    """Have SIGINT handled otherwise for a while, where it comes to this thread and is not ignored.

    A KeyboardInterrupt that comes up while the notebook's own streams are flushed leaves a lock that is not held, and
    with it a RuntimeError.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _settle(answer: asyncio.Future[str], line: str | None, error: BaseException | None) -> None:
    if answer.done():
        return
    if line is not None:
        answer.set_result(line)
    elif error is not None:
        answer.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
    else:
        answer.cancel()
