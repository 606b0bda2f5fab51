"""An interrupt meets its cell, and no other, also where a process stands still in between."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from kernel_exec import Executor
from tests.executor.looks import wait_until


@pytest.fixture
def ex(fresh: Callable[..., Executor]) -> Executor:
    """An executor whose kernel runs."""
    executor = fresh()
    executor.execute("import os, time\nkept = 7").raise_for_error()
    return executor


def link_of(ex: Executor) -> Any:
    """The channel to the kernel's supervisor."""
    session = ex._core._conductor.kernels.session
    assert session is not None
    return session.kernel._provisioner.link


def test_before_the_kernel_has_taken_the_cell_up(ex: Executor) -> None:
    """What comes before that is for no cell in the kernel, so that no late one meets the next; it is sent once more."""
    pid = int(ex.execute("os.getpid()").text)
    os.kill(pid, signal.SIGSTOP)
    running = ex.submit("while True: time.sleep(0.01)")
    assert wait_until(lambda: ex._core._conductor.kernels.session.busy)  # type: ignore[union-attr]
    ex.interrupt()
    os.kill(pid, signal.SIGCONT)
    result = running.result(60)
    assert (result.status, result.state_preserved) == ("interrupted", True)
    assert ex.execute("kept").text == "7"


@pytest.mark.parametrize(("repeat", "grace"), [(0.2, 30.0), pytest.param(4.0, 8.0, marks=pytest.mark.long)])
def test_a_kernel_that_stood_still_at_its_deadline_keeps_its_state(
    ex: Executor, monkeypatch: pytest.MonkeyPatch, repeat: float, grace: float
) -> None:
    """Interrupted twice before it takes the cell up, it has heard of neither: its grace begins anew."""
    monkeypatch.setattr("kernel_exec.session.REPEAT", repeat)
    monkeypatch.setattr("kernel_exec.session.GRACE", grace)
    kernel, sent = ex._core._conductor.kernels.session.kernel, []  # type: ignore[union-attr]
    interrupt = kernel.interrupt

    async def counted() -> None:
        await interrupt()
        sent.append(True)

    monkeypatch.setattr(kernel, "interrupt", counted)
    pid = int(ex.execute("os.getpid()").text)
    os.kill(pid, signal.SIGSTOP)
    running = ex.submit("while True: time.sleep(0.01)", timeout=0.3)
    assert wait_until(lambda: len(sent) == 2)
    os.kill(pid, signal.SIGCONT)
    result = running.result(60)
    assert (result.status, result.state_preserved) == ("timeout", True)


@pytest.mark.usefixtures("patient")
def test_one_that_another_thread_gets_ends_the_call_of_the_first(ex: Executor) -> None:
    """As it must where it comes just before the call: Python's handler runs between two steps of the first thread."""
    code = """
import signal, threading
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
try:
    open('on', 'w').close()
    time.sleep(600)
finally:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
"""
    running = ex.submit(code)
    assert wait_until((ex.workdir / "on").exists)
    ex.interrupt()
    result = running.result(60)
    assert (result.status, result.state_preserved) == ("interrupted", True)


@pytest.mark.usefixtures("patient")
def test_signals_of_the_users_own_loop_are_theirs(ex: Executor) -> None:
    code = """
import asyncio, signal
got, loop = [], asyncio.get_running_loop()
loop.add_signal_handler(signal.SIGUSR1, got.append, 1)
"""
    send = "os.kill(os.getpid(), signal.SIGUSR1); await asyncio.sleep(0.2)\nprint(got)"
    ex.execute(code).raise_for_error()
    assert ex.execute(send).raise_for_error().stdout == "[1]\n"
    ex.execute("loop.remove_signal_handler(signal.SIGUSR1)").raise_for_error()
    test_one_that_another_thread_gets_ends_the_call_of_the_first(ex)


def test_one_that_is_held_up_does_not_meet_the_next_cell(ex: Executor) -> None:
    link = link_of(ex)
    running = ex.submit("while not os.path.exists('go'): time.sleep(0.01)\n'done'")
    assert wait_until(lambda: ex._core._conductor.kernels.session.busy)  # type: ignore[union-attr]
    os.kill(link._supervisor, signal.SIGSTOP)
    try:
        ex.interrupt()  # comes back after a while, and nothing was sent
        (ex.workdir / "go").touch()
        assert running.result(60).text.startswith("'done'")
        waiting = ex.submit("open('begun', 'w').close()\nkept")
        time.sleep(0.5)
        assert not (ex.workdir / "begun").exists()
    finally:
        os.kill(link._supervisor, signal.SIGCONT)
    result = waiting.result(60)
    assert result.ok
    assert result.text.startswith("7\n")
