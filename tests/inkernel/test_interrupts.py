"""SIGINT at every stage of a request: it ends the cell or nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from kernel_exec.inkernel.interrupts import Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = signal.getsignal(signal.SIGINT)
    interrupts = Interrupts()
    interrupts.hear()
    yield interrupts
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


async def test_between_cells_it_is_nothing(interrupts: Interrupts) -> None:
    interrupt()
    interrupts.expect()
    with interrupts.request():
        assert interrupts.busy
    interrupt()
    assert not interrupts.busy


async def test_what_a_callback_swallows_before_the_code_runs_is_not_lost(interrupts: Interrupts) -> None:
    """IPython takes it for an error of the callback."""
    interrupts.expect()
    with interrupts.request():
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        with pytest.raises(KeyboardInterrupt), interrupts.code():
            raise AssertionError("the code ran")
        with interrupts.code():
            pass  # once is enough


async def test_before_the_code_runs_it_is_not_lost(interrupts: Interrupts) -> None:
    interrupts.expect()
    interrupt()
    with pytest.raises(KeyboardInterrupt), interrupts.request():
        raise AssertionError("the code ran")
    interrupts.expect()
    with interrupts.request():
        pass


async def test_the_telling_of_an_interrupt_is_not_interrupted(interrupts: Interrupts) -> None:
    with interrupts.request():
        with interrupts.telling(KeyboardInterrupt()):
            interrupt()
        with interrupts.telling(ValueError()), pytest.raises(KeyboardInterrupt):
            interrupt()


async def test_code_that_computes(interrupts: Interrupts) -> None:
    with interrupts.request(), interrupts.code(), pytest.raises(KeyboardInterrupt):
        interrupt()
    with interrupts.request(), pytest.raises(KeyboardInterrupt):
        interrupt()  # in what belongs to the cell, beside its code


async def test_code_that_awaits(interrupts: Interrupts) -> None:
    """In a task of its own, with ipykernel's handler in the place of ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    computed = False

    async def cell() -> None:
        nonlocal computed
        with interrupts.code():
            with pytest.raises(KeyboardInterrupt):
                interrupt()
            computed = True
            asyncio.get_running_loop().call_soon(interrupt)
            await asyncio.sleep(60)

    with interrupts.request():
        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(cell())
        assert computed
        with pytest.raises(KeyboardInterrupt):
            interrupt()


async def test_code_that_runs_code(interrupts: Interrupts) -> None:
    with interrupts.request(), interrupts.code():
        with interrupts.code():
            pass
        with pytest.raises(KeyboardInterrupt):
            interrupt()
