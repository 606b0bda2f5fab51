"""Very long strings are taken in pieces, and come to the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_exec.settings import Limits
from kernel_exec.wire import long_text as module
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.conversation import Conversation, Shown
from kernel_exec.wire.long_text import LONG, LongText, lift, put_back
from kernel_exec.wire.messages import BadMessage, Codec, Message
from kernel_exec.wire.outputs import Outputs
from tests.growth import MIB, growth

KEY = b"secret"


def parsed(content: Any, msg_type: str = "stream", channel: str = "iopub") -> Message:
    codec = Codec(KEY)
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    header = json.dumps({"msg_id": "m", "msg_type": msg_type}).encode()
    parts = [header, b'{"msg_id": "r1"}', b"{}", raw]
    return codec.parse(channel, [b"<IDS|MSG>", codec._sign(parts), *parts])


def long(pattern: str, size: int = LONG + 1000) -> str:
    return (pattern * (size // len(pattern) + 1))[:size]


PATTERNS = ["x", "line\n", '"', "\\", "\u4e2d", "\U0001f600", "a\U0001f600\\\n", "\t\u00e9\u20ac", "\\u0041"]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_pieces_are_the_text(pattern: str, ascii_only: bool) -> None:
    text = long(pattern)
    raw = json.dumps({"name": "stdout", "text": text}, ensure_ascii=ascii_only).encode()
    lifted = parsed(raw).content["text"]
    assert isinstance(lifted, LongText)
    assert "".join(lifted.pieces()) == str(lifted) == text
    assert max(map(len, lifted.pieces())) < 300_000


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=30), st.booleans())
def test_any_text(text: str, ascii_only: bool) -> None:
    whole = text * (LONG // len(text.encode()) + 1)
    raw = json.dumps({"a": text, "text": whole, "b": [text]}, ensure_ascii=ascii_only).encode()
    content = parsed(raw).content
    assert (content["a"], str(content["text"]), content["b"]) == (text, whole, [text])


def test_what_is_put_out_is_the_same_as_in_one_piece() -> None:
    text = long("some line\r\n", 3 * LONG)
    limits = Limits(output_bytes=100_000)
    cell, talk = Cell("c", "", "r1", Outputs(limits)), Conversation()
    talk.begin(cell)
    events = talk.receive(parsed({"name": "stdout", "text": text}))
    whole = Outputs(limits)
    whole.add(Message("iopub", "stream", "m", "r1", {"name": "stdout", "text": text}))
    ends = [outputs.stream("stdout") for outputs in (cell.outputs, whole)]
    assert ends[0][:40_000] == ends[1][:40_000]
    assert ends[0][-10_000:] == ends[1][-10_000:]
    shown = sum(len(event.item["text"]) for event in events if isinstance(event, Shown))
    assert shown < 400_000


def test_a_display_that_fits_is_whole_and_one_that_does_not_is_told() -> None:
    text = long("x")
    display = {"data": {"text/html": text, "application/json": {"a": text}}, "metadata": {}}
    for limit, kept in ((10 * MIB, text), (MIB, None)):
        cell, talk = Cell("c", "", "r1", Outputs(Limits(output_bytes=limit))), Conversation()
        talk.begin(cell)
        talk.receive(parsed(display, "display_data"))
        (output,) = cell.outputs.snapshot()
        assert output["data"].get("text/html") == kept
        assert bool(cell.outputs.cuts) is (kept is None)


def test_elsewhere_the_ends_are_kept() -> None:
    error = parsed({"ename": "E", "evalue": long("abc"), "traceback": ["short", long("x")]}, "error").content
    assert error["evalue"].startswith("abcabc")
    assert "of which these are the ends" in error["evalue"]
    assert error["traceback"][0] == "short"
    assert len(error["traceback"][1]) < 3 * module.ENDS
    assert error["kernel_exec_left_out"] > 2 * LONG
    reply = parsed({"data": {"text/plain": long("x")}, "status": "ok"}, "inspect_reply", "shell").content
    assert len(reply["data"]["text/plain"]) < 3 * module.ENDS


@pytest.mark.parametrize("broken", [b"\\x41", b"\\u12", b"\n", b"\\ud83d"])
def test_a_broken_string_is_refused_before_it_is_taken(broken: bytes) -> None:
    raw = b'{"name": "stdout", "text": "' + b"y" * LONG + broken + b"z" * LONG + b'"}'
    if broken == b"\\ud83d":
        assert str(parsed(raw).content["text"]).count("\ufffd") == 1
        return
    with pytest.raises(BadMessage, match="not JSON"):
        parsed(raw)


@pytest.mark.parametrize("end", [b"", b'"', b'\\"}', b'"}}'])
def test_a_text_without_an_end_is_refused(end: bytes) -> None:
    with pytest.raises(BadMessage, match="not JSON"):
        parsed(b'{"name": "stdout", "text": "' + b"\\n" * LONG + end)


def test_many_short_strings_are_no_long_ones() -> None:
    values = ["abc\\n"] * 300_000
    assert parsed({"data": {"application/json": values}, "metadata": {}}, "display_data").content["data"] == {
        "application/json": values
    }


def test_a_mark_that_is_there_already_takes_nothing() -> None:
    content = json.dumps({"text": long("x"), "a": "mark-0"}).encode()
    short, longs = lift(content, "mark", str)
    assert list(longs) == ["mark-0"]
    assert put_back(json.loads(short), longs, shown=True)["text"] is longs["mark-0"]


@pytest.mark.long
@pytest.mark.parametrize("pattern", ["x", "line of text\n", "\u00e9"])
def test_many_megabytes_take_little_more_than_they_are(pattern: str) -> None:
    raw = b'{"name": "stdout", "text": "' + json.dumps(pattern)[1:-1].encode() * (20 * MIB // len(pattern)) + b'"}'
    codec = Codec(KEY)
    parts = [b'{"msg_id": "m", "msg_type": "stream"}', b'{"msg_id": "r1"}', b"{}", raw]
    frames = [b"<IDS|MSG>", codec._sign(parts), *map(memoryview, parts)]
    talk = Conversation()
    talk.begin(Cell("c", "", "r1", Outputs(Limits(output_bytes=MIB))))
    assert growth(lambda: talk.receive(codec.parse("iopub", frames))).bytes < 16 * MIB
