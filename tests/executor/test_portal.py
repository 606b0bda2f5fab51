"""Calls from a thread into the loop of another."""

import asyncio
import contextlib
import os
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

    for _ in range(50):
        portal = Portal()
        others = set(threading.enumerate())
        watcher = threading.Thread(target=interrupt_once_it_runs, args=("kernel-exec-portal", others))
        with contextlib.suppress(KeyboardInterrupt):
            watcher.start()
            portal.call(answer)
            watcher.join()
        watcher.join()
        assert portal.call(answer) == 42
        portal.stop()


def interrupt_once_it_runs(name: str, others: set[threading.Thread]) -> None:
    """Send this process a Ctrl-C as soon as a thread of that name has begun that is none of the others."""
    while not any(thread.name == name and thread.ident for thread in set(threading.enumerate()) - others):
        pass
    os.kill(os.getpid(), signal.SIGINT)
