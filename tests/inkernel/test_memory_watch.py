"""How long too much memory may be held, where the process that watches comes late."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from kernel_exec.inkernel import memory
from kernel_exec.inkernel.memory import GRACE, MemoryWatch


def held_for(late: float, monkeypatch: pytest.MonkeyPatch) -> float:
    """Return after how many seconds it is too long, when each look comes that late."""
    now = [100.0]
    monkeypatch.setattr(memory, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watch = MemoryWatch(os.getpid(), 1, soft=None, tell=lambda _: None)
    monkeypatch.setattr(watch, "_used", lambda: 2)
    for _ in range(1000):
        if watch.look():
            return now[0] - 100.0
        now[0] = watch.due + late
    raise AssertionError("it may be held for ever")


def test_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GRACE < held_for(0, monkeypatch) < 1.5 * GRACE


@pytest.mark.parametrize("late", [0.3, 0.9])
def test_what_is_late_is_given_back_once_and_no_more(late: float, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1.5 * GRACE < held_for(late, monkeypatch) <= 2 * GRACE + 2 * late + 0.1


def test_one_stop_of_two_seconds_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert held_for(GRACE + 0.1, monkeypatch) > GRACE + 0.2
