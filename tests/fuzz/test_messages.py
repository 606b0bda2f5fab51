"""Lies by the thousand: each is taken or refused in words, and whatever was taken makes a notebook that is valid."""

from __future__ import annotations

import ctypes
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.fuzz.listener import Listener, resident
from tests.fuzz.mutations import Liar, Truth, signed

KEY = b"the key of the session"
CELL = 60
"""Messages of a cell."""
GROWTH = 32 * 2**20
SLOW = 5.0
"""Seconds of a processor that no message of a few mebibytes takes, nor the report of a cell that puts out as much as it
may."""


async def test_the_truth_is_taken(truths: list[Truth], tmp_path: Path) -> None:
    listener = Listener(KEY, tmp_path)
    kinds = {truth.header["msg_type"] for truth in truths}
    assert kinds >= {"stream", "display_data", "update_display_data", "execute_result", "error", "clear_output"}
    assert kinds >= {"execute_reply", "input_request", "comm_open", "comm_msg", "complete_reply", "kernel_info_reply"}
    for truth in truths:
        if truth.parent and truth.header["msg_type"] != "status":
            ours = replace(truth, parent={**truth.parent, "msg_id": listener.cell.msg_id})
            listener.hear(ours.channel, signed(KEY, ours))
    assert listener.taken > 50
    assert {"stream", "display_data", "update_display_data", "execute_result", "error"} <= set(listener.shown)
    listener.report()


@pytest.mark.parametrize("seed", range(3))
async def test_lies(truths: list[Truth], tmp_path: Path, seed: int) -> None:
    attack(truths, tmp_path, seed, 1_500)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_very_many_lies(truths: list[Truth], tmp_path: Path) -> None:
    attack(truths, tmp_path, 100, 20_000, growth=GROWTH)


def attack(truths: list[Truth], folder: Path, seed: int, count: int, growth: int | None = None) -> None:
    liar, listener = Liar(seed, truths, KEY), Listener(KEY, folder / "cut")
    before, start = 0, time.perf_counter()
    for number in range(count):
        if number % CELL == 0:
            if liar.chance.random() < 0.9:
                step(listener.report, folder, seed, number, None)
            listener.begin()
            liar.parents.extend((f"a{number // CELL}", listener.cell.msg_id))
        if number == count // 2:
            before = settled()
        lie = liar.lie()
        step(partial(listener.hear, *lie), folder, seed, number, lie)
    print(
        f"seed {seed}: {listener.taken} taken, refused {listener.refused}, shown {listener.shown}, "
        f"slowest {listener.slowest:.2f} s, all {time.perf_counter() - start:.0f} s, "
        f"growth {(settled() - before) >> 10} KiB"
    )
    assert listener.taken > count // 4
    assert sum(listener.refused.values()) > count // 10
    assert len(listener.refused) < 100  # as many reasons as are told apart
    if growth is not None:
        assert settled() - before < growth


def step(do: Callable[[], object], folder: Path, seed: int, number: int, lie: object) -> None:
    start = time.thread_time()  # not what a busy machine gives to others
    try:
        do()
        took = time.thread_time() - start
        assert took < SLOW, f"it took {took:.1f} s"
    except BaseException as error:
        (folder / "lie").write_bytes(pickle.dumps(lie))
        error.add_note(f"seed {seed}, message {number}: {str(lie)[:3000]}; all of it is in {folder / 'lie'}")
        raise


def settled() -> int:
    """Return the memory of this process when what is free was given back."""
    ctypes.CDLL(None).malloc_trim(0)
    return resident()
