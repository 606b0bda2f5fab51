"""Whoever waits for a kernel may be cancelled: no kernel is forgotten for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kernel_exec.succession import Succession


class SlowSession:
    """Ends when it is allowed to."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.ended = False

    async def stop(self, *, release: bool = True) -> None:
        await self.may_end.wait()
        self.ended = True


async def test_the_end_of_an_old_kernel_is_waited_for_by_close_though_a_call_was_cancelled() -> None:
    started: list[Any] = []

    async def start() -> Any:
        started.append(SlowSession())
        return started[-1]

    succession = Succession(start, lambda: None)
    old = await succession.settled()
    assert old is started[0]
    succession.replace(old)
    waiting = asyncio.ensure_future(succession.settled())
    for _ in range(20):  # rounds of the loop, until it waits for nothing but the end of the old one
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    closing = asyncio.ensure_future(succession.stop())
    for session in started:
        await asyncio.sleep(0)
        assert not closing.done()
        session.may_end.set()
    await closing
    assert [session.ended for session in started] == [True, True]
    assert await succession.settled() is started[1]


async def test_a_start_that_is_cancelled_by_close_leaves_nothing() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def start() -> Any:
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    succession = Succession(start, lambda: None)
    waiting = asyncio.ensure_future(succession.settled())
    await begun.wait()
    await succession.stop()
    assert ended.is_set()
    assert await waiting is None
