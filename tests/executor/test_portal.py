"""Calls from a thread into the loop of another."""

import asyncio
import contextlib
import signal
import threading
import weakref

from kernel_exec.portal import Portal


def test_the_task_of_a_call_goes_in_the_loops_own_thread() -> None:
    """In the caller's thread, a Ctrl-C could meet what asyncio runs when a task goes, and would be ignored there."""
    portal = Portal()
    gone: list[int] = []

    async def watched() -> int:
        task = asyncio.current_task()
        assert task is not None
        weakref.finalize(task, lambda: gone.append(threading.get_ident()))
        return threading.get_ident()

    threads = {portal.call(watched) for _ in range(500)}
    portal.stop()
    assert len(gone) == 500
    assert set(gone) == threads


def test_an_interrupt_while_the_thread_starts_does_not_break_the_next_call() -> None:
    async def answer() -> int:
        return 42

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in range(1, 400, 7):
            portal = Portal()
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, delay * 1e-5)
                portal.call(answer)
                signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert portal.call(answer) == 42
            portal.stop()
    finally:
        signal.signal(signal.SIGALRM, before)
