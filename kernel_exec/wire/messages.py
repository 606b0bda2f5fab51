"""Messages of the Jupyter protocol: frames in, frames out, nothing believed that is not signed and well formed.

Wire format: https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from kernel_exec.wire.long_text import LONG, lift, put_back

DELIMITER = b"<IDS|MSG>"
PROTOCOL_VERSION = "5.4"

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN = frozenset({"stream", "display_data", "execute_result", "update_display_data"})
_LONG_NAME = 256
"""Characters of an id, a type or a date: what names something is kept, and must not be of any size."""
_LONG_HEADER = 64 * 1024
_LONG_ANSWER = 64 * 2**20
"""Bytes of the content of an answer; values come beside it."""
_DEEP = 100
"""Levels of nesting: what is deeper could be read, but not everywhere written again."""
_FEW_FRAMES = 10_000

Frame = bytes | memoryview


class BadMessage(Exception):
    """Frames that are no valid message of this session; the text says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One received message.

    Attributes:
        channel: "shell", "iopub", "stdin" or "control".
        msg_type: type from its header, such as "stream".
        msg_id: its own id.
        parent_id: id of the request that it belongs to; "" when it names none.
        content: its content. Of a message that shows something, very long text is a LongText.
        metadata: its metadata.
        date: when it was made by its sender's clock, ISO-8601; "" when the header has none.
        buffers: binary buffers.
    """

    channel: str
    msg_type: str
    msg_id: str
    parent_id: str
    content: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    buffers: tuple[Frame, ...] = ()


def utc_now() -> str:
    """The time now as the protocol writes it: ISO-8601, UTC, microseconds."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Codec:
    """Signs, builds and parses the messages of one client session.

    Args:
        key: the kernel's secret; empty when it signs nothing.
        signature_scheme: such as "hmac-sha256".
        username: named in the headers.
    """

    def __init__(self, key: bytes, signature_scheme: str = "hmac-sha256", username: str = "kernel_exec") -> None:
        self._mac = hmac.new(key, digestmod=getattr(hashlib, signature_scheme.removeprefix("hmac-"))) if key else None
        self.session = uuid.uuid4().hex
        self._mark = uuid.uuid4().hex
        self._username = username
        self._count = 0

    def build(
        self,
        msg_type: str,
        content: dict[str, Any],
        *,
        metadata: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        more_header: dict[str, Any] | None = None,
    ) -> tuple[str, list[bytes]]:
        """Return the id of a new message and its frames."""
        self._count += 1
        msg_id = f"{self.session}_{self._count}"
        header = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "username": self._username,
            "session": self.session,
            "date": utc_now(),
            "version": PROTOCOL_VERSION,
            **(more_header or {}),
        }
        parts = [_pack(part) for part in (header, parent or {}, metadata or {}, content)]
        return msg_id, [DELIMITER, self._sign(parts), *parts]

    def parse(self, channel: str, frames: Sequence[Frame]) -> Message:
        """Return the message in `frames` (identities, delimiter, signature, four JSON parts, buffers).

        Raises:
            BadMessage: a part is missing, unsigned, not JSON, too large, or of the wrong type.
        """
        try:
            start = frames.index(DELIMITER)
        except ValueError:
            raise BadMessage("it has no delimiter") from None
        if not start + 6 <= len(frames) <= _FEW_FRAMES:
            raise BadMessage("it has too few frames, or too many")
        parts = frames[start + 2 : start + 6]
        if not hmac.compare_digest(frames[start + 1], self._sign(parts)):
            raise BadMessage("its signature is wrong")
        if max(map(len, parts[:2])) > _LONG_HEADER:
            raise BadMessage("its header is too large")
        header, parent, metadata = (_unpack(bytes(part)) for part in parts[:3])
        msg_type = _text(header, "msg_type")
        return Message(
            channel,
            msg_type,
            _text(header, "msg_id"),
            _text(parent, "msg_id", required=False),
            self._content(channel, msg_type, parts[3]),
            metadata,
            _text(header, "date", required=False),
            tuple(frames[start + 6 :]),
        )

    def _content(self, channel: str, msg_type: str, part: Frame) -> dict[str, Any]:
        if len(part) < LONG:
            return _unpack(bytes(part))
        if channel == "control" and len(part) > _LONG_ANSWER:
            raise BadMessage("its content is too large")
        short, longs = lift(part, self._mark, _string)
        content = _unpack(short)
        if not longs:
            return content
        content = put_back(content, longs, shown=msg_type in _SHOWN)
        if msg_type == "error":
            content["kernel_exec_left_out"] = sum(map(len, longs.values()))
        return content

    def _sign(self, parts: Sequence[Frame]) -> bytes:
        if self._mac is None:
            return b""
        mac = self._mac.copy()
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode("ascii")


def _pack(part: dict[str, Any]) -> bytes:
    # A lone surrogate is legal in a Python string and in JSON's escapes, but not in UTF-8.
    try:
        return json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(part, separators=(",", ":")).encode("ascii")


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_decoder = json.JSONDecoder(parse_constant=_no_json)


def _decoded(part: bytes) -> Any:
    try:
        # Names of files that are no UTF-8 come as the bytes that they are.
        value = _decoder.decode(part.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a part is not JSON ({type(error).__name__})") from None
    return _without_surrogates(value) if b"\\u" in part and _SURROGATE.search(part) else value


def _unpack(part: bytes) -> dict[str, Any]:
    value = _decoded(part)
    if not isinstance(value, dict):
        raise BadMessage("a part is not a JSON object")
    if part.count(b"{") + part.count(b"[") > _DEEP and depth_beyond(value, _DEEP):
        raise BadMessage("a part is nested too deeply")
    return value


def _string(raw: bytes) -> str:
    """Return the string whose JSON form, without quotes, is `raw`."""
    return str(_decoded(b'"%b"' % raw))


def depth_beyond(value: Any, levels: int) -> bool:
    """Return whether a value is nested more deeply than that."""
    level = [value]
    for _ in range(levels):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _without_surrogates(value: Any) -> Any:
    """Replace lone surrogates: JSON can carry them, UTF-8 and so every file cannot."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _text(header: dict[str, Any], key: str, *, required: bool = True) -> str:
    value = header.get(key, "")
    if not isinstance(value, str) or (required and not value) or len(value) > _LONG_NAME:
        raise BadMessage(f"its header has no valid {key!r}")
    return value
