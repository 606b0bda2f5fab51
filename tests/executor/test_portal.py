"""Calls from a thread into the loop of another."""

import asyncio
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
