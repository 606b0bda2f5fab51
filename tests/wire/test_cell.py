"""One execution as its messages tell it."""

from typing import Any

import pytest

from kernel_exec.wire.cell import Cell
from kernel_exec.wire.messages import BadMessage, Message
from tests.wire.talk import execute_input, reply, status


def cell() -> Cell:
    return Cell("c1", "code", "r1")


def test_finished_needs_reply_and_idle_in_either_order() -> None:
    for takes in (("reply", "idle"), ("idle", "reply")):
        made = cell()
        for take in takes:
            assert not made.finished
            made.take_reply(reply()) if take == "reply" else made.take_status(status("idle"))
        assert made.finished


def test_busy_is_not_the_end() -> None:
    made = cell()
    assert not made.started
    made.take_status(status("busy"))
    made.take_reply(reply())
    assert made.started
    assert not made.finished


def test_the_five_stamps() -> None:
    made = cell()
    made.take_status(status("busy"))
    made.take_input(execute_input(count=7))
    assert made.execution_count == 7
    made.take_reply(reply(count=8))
    made.take_status(status("idle"))
    assert made.stamps == {
        "iopub.status.busy": "2026-01-02T03:04:05Z",
        "iopub.execute_input": "2026-01-02T03:04:05Z",
        "shell.execute_reply.started": "2026-01-02T03:04:04Z",
        "shell.execute_reply": "2026-01-02T03:04:06Z",
        "iopub.status.idle": "2026-01-02T03:04:05Z",
    }
    assert made.execution_count == 8


@pytest.mark.parametrize(
    ("said", "meant"),
    [("ok", "ok"), ("error", "error"), ("aborted", "aborted"), ("abort", "aborted"), ("?", "aborted")],
)
def test_reply_status(said: str, meant: str) -> None:
    made = cell()
    assert made.reply_status is None
    made.take_reply(reply(status=said))
    assert made.reply_status == meant


def test_an_aborted_reply_has_no_count() -> None:
    made = cell()
    made.take_reply(reply(status="aborted", count=3))
    assert made.execution_count is None


@pytest.mark.parametrize("count", [-1, True, "3", None, 2.5, 10**4299])
def test_an_impossible_count_is_ignored(count: Any) -> None:
    made = cell()
    made.take_reply(reply(count=count))
    assert made.execution_count is None


def test_count_zero_is_a_count() -> None:
    made = cell()
    made.take_input(execute_input(count=0))
    assert made.execution_count == 0


def test_a_reply_without_status_is_refused() -> None:
    made = cell()
    assert (made.cell_id, made.source, made.idle) == ("c1", "code", False)
    with pytest.raises(BadMessage, match=r"^an execute_reply has no status$"):
        made.take_reply(Message("shell", "execute_reply", "m", "r1", {}))
    assert made.reply is None


def test_a_reply_without_a_start_leaves_that_stamp_out() -> None:
    made = cell()
    made.take_reply(Message("shell", "execute_reply", "m", "r1", {"status": "ok"}, {"started": 3}, "d"))
    assert made.stamps == {"shell.execute_reply": "d"}


@pytest.mark.parametrize(
    ("payload", "asks"),
    [
        ([{"source": "ask_exit", "keepkernel": False}], True),
        ([{"source": "ask_exit"}], True),
        ([{"source": "page"}, {"source": "ask_exit"}], True),
        ([{"source": "ask_exit", "keepkernel": True}], False),
        ([{"source": "page"}], False),
        (["ask_exit"], False),
        ("ask_exit", False),
        ([], False),
        (None, False),
    ],
)
def test_asking_for_the_exit(payload: Any, asks: bool) -> None:
    made = cell()
    assert not made.asks_exit
    made.take_reply(reply(payload=payload))
    assert made.asks_exit is asks


@pytest.mark.parametrize("state", [3, None, []])
def test_a_status_without_a_state_is_refused(state: Any) -> None:
    made = cell()
    with pytest.raises(BadMessage, match="no state"):
        made.take_status(status(state))
    assert not made.started


@pytest.mark.parametrize("state", ["starting", "x"])
def test_other_states_mean_nothing(state: Any) -> None:
    made = cell()
    made.take_status(status(state))
    assert not made.started
    assert not made.idle


def test_what_is_kept_of_a_reply_is_bounded() -> None:
    many: list[Any] = [1] * 1_000_000
    made = cell()
    lies = {"ename": {"a": many}, "evalue": many, "traceback": many, "payload": [{"source": "x" * 10**6}] * 50}
    answer = reply(status="error", **lies)
    answer.metadata["started"] = "x" * 10**6
    made.take_reply(answer)
    assert made.reply == {"status": "error"}
    assert all(len(stamp) < 100 for stamp in made.stamps.values())


def test_the_reply_counts_as_kept() -> None:
    made = cell()
    made.take_reply(reply(status="error", ename="E", evalue="v" * 1_000, traceback=["t" * 1_000]))
    assert made.size > 2_000
