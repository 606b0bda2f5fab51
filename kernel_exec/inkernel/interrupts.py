"""SIGINT: it ends the cell, whatever the cell does, and nothing else.

A stock ipykernel lets KeyboardInterrupt come up anywhere while a request is served: one that comes between the end of
the code and the reply takes the reply with it. And in a cell that awaits it only asks the loop to cancel the cell,
which a loop that sleeps does not hear, and code that computes between two awaits never.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

KICKS = (0.005, 0.02, 0.1, 0.4)
"""Seconds before each kick after an interrupt."""


class Interrupts:
    """Turns SIGINT into the end of the running cell."""

    def __init__(self) -> None:
        self._request: asyncio.Task[Any] | None = None
        self._cell: asyncio.Task[Any] | None = None
        self._early = False
        self._telling = False
        self._tell: int | None = None

    @property
    def busy(self) -> bool:
        """Whether a cell runs."""
        return self._request is not None

    def hear(self) -> None:
        """Install the handler: user code, and ipykernel for a cell that awaits, put others in its place."""
        # In another thread, a subshell's, it is not possible and not needed.
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, self._interrupted)
            self._be_told()

    def insist(self) -> None:
        """Have interrupts heard that come the moment before the code waits in a call of the system.

        Python calls a handler between two steps of Python code, and such a call may last for ever: one in thirty of the
        interrupts that followed at once on the beginning of `time.sleep(600)` was lost on a busy machine. Each is
        followed by kicks: a signal that means nothing, but ends the call, so that Python looks.
        """
        told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        signal.signal(signal.SIGURG, _ignored)
        threading.Thread(target=_kick, args=(told, threading.get_ident()), name="interrupts", daemon=True).start()
        self._be_told()

    def forget(self) -> None:
        """In a forked child: signals are its own."""
        self._tell = None
        signal.set_wakeup_fd(-1)

    def _be_told(self) -> None:
        """Be told of signals as they come, unless a loop of the user's is, which takes that away at its end."""
        if self._tell is not None:
            before = signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
            if before not in (-1, self._tell):
                signal.set_wakeup_fd(before)

    def expect(self) -> None:
        """A request was taken up: an interrupt from now on, before its code runs, is for it."""
        self._early = False

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """While this lasts, the running task serves the request of a cell."""
        self._request = asyncio.current_task()
        try:
            if self._early:
                raise KeyboardInterrupt
            yield
        finally:
            self._request = None

    @contextlib.contextmanager
    def code(self) -> Iterator[None]:
        """While this lasts, the running task runs the code of the cell; its own task when the code awaits."""
        before, self._cell = self._cell, asyncio.current_task()
        if self._cell is not self._request:
            self.hear()
        try:
            if self._early:
                self._early = False
                raise KeyboardInterrupt
            yield
        finally:
            self._cell = before

    @contextlib.contextmanager
    def telling(self, error: BaseException | None) -> Iterator[None]:
        """While this lasts, the error of a cell is told: where it was interrupted, once more would take that away."""
        before, self._telling = self._telling, isinstance(error, KeyboardInterrupt)
        try:
            yield
        finally:
            self._telling = before

    def hide(self, trace: TracebackType | None) -> None:
        """Cut the handler off the end of a traceback: it is no code of the user's."""
        while trace is not None:
            after = trace.tb_next
            if after is not None and after.tb_frame.f_code is Interrupts._interrupted.__code__:
                trace.tb_next = after = None
            trace = after

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._telling:
            return
        if self._request is None:
            self._early = True
            return
        # Before the code runs, IPython takes it for an error of one of its callbacks, and goes on.
        self._early = self._cell is None
        task = asyncio.current_task(self._request.get_loop())
        if task is self._request or task is self._cell:
            raise KeyboardInterrupt
        if self._cell is not None:
            # From the handler of a signal nothing else wakes a loop that waits.
            self._cell.get_loop().call_soon_threadsafe(self._cell.cancel)


def _ignored(number: int, frame: FrameType | None) -> None:
    """What has no handler of Python's interrupts no call."""


def _kick(told: int, thread: int) -> None:
    while numbers := os.read(told, 1 << 10):
        if signal.SIGINT not in numbers:
            continue
        for pause in KICKS:
            time.sleep(pause)
            if signal.getsignal(signal.SIGURG) is _ignored:  # the user's own is for what is the user's
                signal.pthread_kill(thread, signal.SIGURG)
