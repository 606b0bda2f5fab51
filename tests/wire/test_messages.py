"""Frames to messages and back; jupyter_client's Session is the referee."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session

from kernel_exec.wire.messages import DELIMITER, BadMessage, Codec, utc_now

KEY = b"secret"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_jupyter_client_reads_what_we_build(content: dict[str, Any]) -> None:
    session = Session(key=KEY)
    _, frames = Codec(KEY).build("execute_request", content, metadata={"cellId": "x"})
    _, parts = session.feed_identities(frames)
    read = session.deserialize(parts)
    assert read["content"] == content
    assert read["metadata"] == {"cellId": "x"}
    assert read["msg_type"] == "execute_request"


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_we_read_what_jupyter_client_builds(content: dict[str, Any]) -> None:
    session = Session(key=KEY)
    parent = session.msg("execute_request")
    built = session.msg("stream", content, parent=parent, metadata={"a": 1})
    frames = [b"topic", *session.serialize(built), b"buffer"]
    read = Codec(KEY).parse("iopub", [bytes(frame) for frame in frames])
    assert (read.channel, read.msg_type, read.msg_id) == ("iopub", "stream", built["header"]["msg_id"])
    assert (read.parent_id, read.content, read.metadata) == (parent["header"]["msg_id"], content, {"a": 1})
    assert read.buffers == (b"buffer",)
    assert read.date.startswith("20")


def test_ids_differ_and_the_session_is_one() -> None:
    codec = Codec(KEY)
    first, second = codec.build("a", {})[0], codec.build("a", {})[0]
    assert first != second
    assert first.startswith(codec.session)


def test_the_header_is_what_the_protocol_says() -> None:
    codec = Codec(KEY, username="ada")
    ids = [codec.build("a", {"x": "\u00e9"})[0] for _ in range(2)]
    assert ids == [f"{codec.session}_1", f"{codec.session}_2"]
    _, frames = codec.build("execute_request", {"x": "\u00e9"}, parent={"msg_id": "p"})
    header = json.loads(frames[2])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", header.pop("date"))
    assert header == {
        "msg_id": f"{codec.session}_3",
        "msg_type": "execute_request",
        "username": "ada",
        "session": codec.session,
        "version": "5.4",
    }
    assert frames[0] == DELIMITER
    assert frames[3:] == [b'{"msg_id":"p"}', b"{}", '{"x":"\u00e9"}'.encode()]
    assert Codec(KEY)._username == "kernel_exec"


def test_the_time_is_utc() -> None:
    now = datetime.now(UTC)
    assert abs(datetime.fromisoformat(utc_now()) - now) < timedelta(minutes=1)


def test_a_lone_surrogate_is_sent_as_an_escape() -> None:
    _, frames = Codec(KEY).build("a", {"x": "\ud800", "y": 1})
    assert frames[5] == b'{"x":"\\ud800","y":1}'


def test_without_a_key_nothing_is_signed() -> None:
    _, frames = Codec(b"").build("a", {"x": 1})
    assert frames[1] == b""
    assert Codec(b"").parse("shell", frames).content == {"x": 1}


def test_a_header_may_have_no_date() -> None:
    frames = frames_of(b'{"msg_id":"m","msg_type":"status"}', b"{}", b"{}", b"{}")
    assert Codec(KEY).parse("iopub", frames).date == ""


def test_another_signature_scheme() -> None:
    _, frames = Codec(KEY, "hmac-sha512").build("a", {"x": 1})
    assert Codec(KEY, "hmac-sha512").parse("shell", frames).content == {"x": 1}
    with pytest.raises(BadMessage, match="signature"):
        Codec(KEY).parse("shell", frames)


def frames_of(*parts: bytes, key: bytes = KEY) -> list[bytes]:
    codec = Codec(key)
    return [DELIMITER, codec._sign(parts), *parts]


HEADER = b'{"msg_id": "1", "msg_type": "stream", "date": "d"}'


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([b"a", b"b"], "it has no delimiter"),
        ([], "it has no delimiter"),
        ([DELIMITER, b"x"], "it has too few frames, or too many"),
        ([DELIMITER, b"", HEADER, *[b"{}"] * 20_000], "it has too few frames, or too many"),
        ([DELIMITER, b"", HEADER, b"{}", b"{}"], "it has too few frames, or too many"),
        ([DELIMITER, b"wrong", HEADER, b"{}", b"{}", b"{}"], "its signature is wrong"),
        (frames_of(HEADER, b"{}", b"{}", b"{}", key=b"other"), "its signature is wrong"),
        (frames_of(HEADER, b"{}", b"{}", b"{"), r"a part is not JSON \(JSONDecodeError\)"),
        (frames_of(HEADER, b"{}", b"{}", b"\xff"), r"a part is not JSON \(JSONDecodeError\)"),
        (frames_of(HEADER, b"{}", b"{}", b'{"x": NaN}'), r"a part is not JSON \(ValueError\)"),
        (frames_of(HEADER, b"{}", b"{}", b'{"x": -Infinity}'), r"a part is not JSON \(ValueError\)"),
        (frames_of(HEADER, b"{}", b"{}", b'{"x": 1%b}' % (b"0" * 5000)), r"a part is not JSON \(ValueError\)"),
        (frames_of(HEADER, b"{}", b"{}", b'{"x": %b%b}' % (b"[" * 150, b"]" * 150)), "a part is nested too deeply"),
        (frames_of(HEADER, b'{"msg_id": "%b"}' % (b"x" * 70_000), b"{}", b"{}"), "its header is too large"),
        (frames_of(HEADER, b'{"msg_id": "%b"}' % (b"x" * 300), b"{}", b"{}"), "its header has no valid 'msg_id'"),
        (frames_of(HEADER, b"{}", b"{}", b"[" * 100_000), r"a part is not JSON \(RecursionError\)"),
        (frames_of(HEADER, b"{}", b"[]", b"{}"), "a part is not a JSON object"),
        (frames_of(b'{"msg_id": "1"}', b"{}", b"{}", b"{}"), "its header has no valid 'msg_type'"),
        (frames_of(b'{"msg_id": 1, "msg_type": "a"}', b"{}", b"{}", b"{}"), "its header has no valid 'msg_id'"),
        (frames_of(HEADER, b'{"msg_id": []}', b"{}", b"{}"), "its header has no valid 'msg_id'"),
        (
            frames_of(b'{"msg_id": "1", "msg_type": "a", "date": 3}', b"{}", b"{}", b"{}"),
            "its header has no valid 'date'",
        ),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(frames: list[bytes], why: str) -> None:
    with pytest.raises(BadMessage, match=f"^{why}$"):
        Codec(KEY).parse("iopub", frames)


@given(st.lists(st.binary(max_size=20), max_size=9))
def test_arbitrary_frames_are_refused_and_never_crash(frames: list[bytes]) -> None:
    with pytest.raises(BadMessage):
        Codec(KEY).parse("iopub", [DELIMITER, *frames])


def test_lone_surrogates_become_replacement_characters() -> None:
    frames = frames_of(HEADER, b"{}", b"{}", b'{"text": "a\\ud800b", "pair": "\\ud83d\\ude00"}')
    content = Codec(KEY).parse("iopub", frames).content
    deep = frames_of(HEADER, b"{}", b"{}", b'{"a": [{"\\udfff": ["\\ud800", 1, null]}]}')
    assert Codec(KEY).parse("iopub", deep).content == {"a": [{"\ufffd": ["\ufffd", 1, None]}]}
    assert content["text"].encode("utf-8") == "a�b".encode()
    assert content["pair"] == "😀"
