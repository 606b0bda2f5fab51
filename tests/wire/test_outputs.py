"""Merging of output messages into nbformat outputs."""

from typing import Any

import nbformat.v4 as v4
import pytest

from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.outputs import Outputs, display_id_of
from tests.wire.talk import display, message, stream


def outputs(*messages: Message) -> Outputs:
    made = Outputs()
    for one in messages:
        made.add(one)
    return made


def test_text_of_one_stream_is_joined_until_something_else_comes() -> None:
    made = outputs(stream("a"), stream("b\n"), stream("e", "stderr"), stream("c"), display("x"), stream("d"))
    assert [output.get("text") for output in made.snapshot()] == ["ab\n", "e", "c", None, "d"]
    assert (made.stream("stdout"), made.stream("stderr")) == ("ab\ncd", "e")


def test_progress_in_pieces_is_folded() -> None:
    assert outputs(stream("10%\r"), stream("20%\r"), stream("done\n")).snapshot()[0]["text"] == "done\n"


def test_clear_now_and_with_the_next_output() -> None:
    made = outputs(stream("a"))
    made.clear(wait=False)
    assert made.snapshot() == []
    made.add(stream("b"))
    made.clear(wait=True)
    assert made.stream("stdout") == "b"
    made.add(display("c"))
    assert [output["output_type"] for output in made.snapshot()] == ["display_data"]
    made.add(stream("d"))
    assert made.stream("stdout") == "d"


def test_every_kind_is_valid_nbformat() -> None:
    error = message("error", ename="E", evalue="v", traceback=["\x1b[31mt"])
    result = message("execute_result", data={"text/plain": "1", "application/json": {"a": [1]}}, execution_count=3)
    made = outputs(stream("a"), error, result, display("x", "d1"))
    cell = v4.new_code_cell(outputs=[v4.output_from_msg(_as_nbformat(one)) for one in (error, result)])
    assert made.snapshot()[1] == cell.outputs[0]
    assert made.snapshot()[2] == cell.outputs[1]
    assert made.snapshot()[3] == {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}


def _as_nbformat(one: Message) -> Any:
    return {"header": {"msg_type": one.msg_type}, "content": {"metadata": {}, **one.content}}


def test_json_stays_json_and_lines_of_text_are_joined() -> None:
    bundle = {"application/vnd.x+json": [1], "application/json": "s", "text/html": ["<p>", "</p>"]}
    made = outputs(message("display_data", data=bundle))
    assert made.snapshot()[0]["data"] == bundle | {"text/html": "<p></p>"}


NO_TEXT = "a stream message has no valid name and text"
NO_DATA = "a display message has no valid data and metadata"
NO_VALUE = "a display message has a value that is no text"
NO_TRACE = "an error message has no valid traceback"
NO_NAME = "an error message has no valid name and value"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (message("stream", name="stdout"), NO_TEXT),
        (message("stream", name="stdlog", text="x"), NO_TEXT),
        (message("stream", name="stdout", text=3), NO_TEXT),
        (message("display_data", data=["x"]), NO_DATA),
        (message("display_data", data={"text/plain": 3}), NO_VALUE),
        (message("display_data", data={"text/plain": ["a", 3]}), NO_VALUE),
        (Message("iopub", "display_data", "m", "r1", {"data": {}, "metadata": "x"}), NO_DATA),
        (message("error", ename="E", evalue="v", traceback="text"), NO_TRACE),
        (message("error", ename="E", evalue="v", traceback=[3]), NO_TRACE),
        (message("error", ename="E", evalue=3, traceback=[]), NO_NAME),
        (message("error", evalue="v", traceback=[]), NO_NAME),
    ],
)
def test_malformed_content_is_refused_and_changes_nothing(bad: Message, why: str) -> None:
    made = outputs(stream("a"))
    made.clear(wait=True)
    with pytest.raises(BadMessage) as raised:
        made.add(bad)
    assert str(raised.value) == why
    assert made.snapshot() == [{"output_type": "stream", "name": "stdout", "text": "a"}]


def test_after_clearing_everything_stays() -> None:
    made = outputs(stream("a"), display("b"))
    assert not made.cuts
    made.clear(wait=False)
    made.add(display("c"))
    made.add(stream("d"))
    assert [output["output_type"] for output in made.snapshot()] == ["display_data", "stream"]


def test_execution_count_zero_is_a_count() -> None:
    assert outputs(message("execute_result", data={}, execution_count=0)).snapshot()[0]["execution_count"] == 0


def test_a_snapshot_does_not_change_later() -> None:
    made = Outputs()
    shown = made.add(display("old", "d"))
    made.add(stream("a"))
    before = made.snapshot()
    assert made.update("d", {"data": {"text/plain": "new"}, "metadata": {}})
    assert not made.update("e", {"data": {"text/plain": "new"}, "metadata": {}})
    assert shown == before[0]
    made.add(stream("b"))
    assert before[0]["data"] == {"text/plain": "old"}
    assert before[1]["text"] == "a"
    assert made.snapshot()[0]["data"] == {"text/plain": "new"}


@pytest.mark.parametrize(
    ("transient", "display_id"),
    [({"display_id": "a"}, "a"), ({}, ""), (None, ""), ("x", ""), ({"display_id": None}, "")],
)
def test_display_ids(transient: Any, display_id: str) -> None:
    assert display_id_of(message("display_data", data={}, transient=transient)) == display_id


@pytest.mark.parametrize("count", [-1, True, "1", None, 10**4299])
def test_an_impossible_execution_count_becomes_none(count: Any) -> None:
    made = outputs(message("execute_result", data={}, execution_count=count))
    assert made.snapshot()[0]["execution_count"] is None
