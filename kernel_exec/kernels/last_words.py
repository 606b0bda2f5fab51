"""What a dead kernel had put out: read from the files that it left, see `inkernel/spool.py` for their format."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kernel_exec.kernels.files import ends_of, read_untrusted
from kernel_exec.wire.messages import BadMessage, Codec, Message, utc_now

SPOOL = "spool.0"

_HEADER = struct.Struct("<BQQI")
_LENGTH = struct.Struct("<I")
_PIECE = struct.Struct("<QHI")
_STATE = struct.Struct("<Q")
_REQUEST = 255
_HALF = 256 * 1024
_FILE_LIMIT = 16 * 1024 * 1024
_DIGITS = 18
_STREAMS = {1: "stdout", 2: "stderr"}


class Record(NamedTuple):
    """A message of the spool, or the id of the request that ran."""

    stream: int
    number: int
    covers: int
    payload: bytes


class Piece(NamedTuple):
    """Text that no message holds."""

    stream: int
    number: int
    parent: str
    text: str


@dataclass(frozen=True, slots=True)
class Spooled:
    """What was found in the directory of a dead kernel.

    Attributes:
        records: the messages.
        pieces: the text of the streams, of which messages may hold a part.
        ends: for each stream the end of a text that was too long to be sent, and how many bytes before it are left
            out.
        displays: how many displays were left out.
    """

    records: Sequence[Record]
    pieces: Sequence[Piece]
    ends: Sequence[tuple[str, int]] = ()
    displays: int = 0

    def messages(self, connection: Mapping[str, Any], rest: Sequence[str]) -> list[Message]:
        """Return all output in its order.

        Args:
            connection: the connection info of the kernel, for the signatures.
            rest: what its descriptors 1 and 2 still held, which comes last.
        """
        covered = dict.fromkeys(_STREAMS, 0)
        request = ""
        output: list[tuple[int, Message]] = []
        codec = Codec(_key(connection), connection.get("signature_scheme") or "hmac-sha256")
        for record in self.records:
            if record.stream == _REQUEST:
                request = record.payload.decode("utf-8", "replace")
                continue
            if record.stream in covered:
                covered[record.stream] = max(covered[record.stream], record.covers)
            with contextlib.suppress(BadMessage):  # the kernel's code may write to these files as well
                output.append((record.number, codec.parse("iopub", list(_frames(record.payload)))))
        output += [
            (piece.number, _stream_message(piece.stream, piece.parent, piece.text, piece.number))
            for piece in self.pieces
            if piece.number > covered[piece.stream]
        ]
        output.sort(key=lambda item: item[0])
        found = [message for _, message in output]
        for name, (text, left_out) in zip(_STREAMS.values(), self.ends, strict=False):
            found += _end_messages(name, request, text, left_out)
        found += _end_messages("displays", request, "", self.displays)
        return found + [_stream_message(stream, request, text, 0) for stream, text in enumerate(rest, 1) if text]


def read_spool(directory: Path, output_bytes: int) -> Spooled:
    """Read the files of a kernel that has ended; what is missing or damaged is left out.

    Args:
        directory: the runtime directory of the kernel.
        output_bytes: what its cells may put out.
    """
    records = [record for index in (0, 1) for record in _records(_read(directory / f"spool.{index}"))]
    pieces = [piece for stream in _STREAMS for piece in _pieces(stream, _read(directory / f"pending.{stream}"))]
    half = output_bytes // 2
    ends = [ends_of(directory / f"cut.{name}", half, half) for name in _STREAMS.values()]
    return Spooled(records, pieces, ends, _number(read_untrusted(directory / "cut.displays", _DIGITS)))


def _records(data: bytes) -> Iterator[Record]:
    start = 0
    while start + _HEADER.size <= len(data):
        stream, number, covers, length = _HEADER.unpack_from(data, start)
        start += _HEADER.size
        if start + length > len(data):
            return
        yield Record(stream, number, covers, data[start : start + length])
        start += length


def _frames(payload: bytes) -> Iterator[bytes]:
    start = 0
    while start + _LENGTH.size <= len(payload):
        (length,) = _LENGTH.unpack_from(payload, start)
        start += _LENGTH.size
        yield payload[start : start + length]
        start += length


def _pieces(stream: int, data: bytes) -> Iterator[Piece]:
    if len(data) != _STATE.size + 2 * _HALF:
        return
    (state,) = _STATE.unpack_from(data)
    half = _STATE.size + (state >> 63) * _HALF
    start = half + (state >> 32 & 0x7FFFFFFF)
    end = min(half + (state & 0xFFFFFFFF), half + _HALF)
    while start + _PIECE.size <= end:
        number, named, length = _PIECE.unpack_from(data, start)
        start += _PIECE.size
        if start + named + length > end:
            return
        parent, text = data[start : start + named], data[start + named : start + named + length]
        yield Piece(stream, number, parent.decode("utf-8", "replace"), text.decode("utf-8", "replace"))
        start += named + length


def _stream_message(stream: int, parent: str, text: str, number: int) -> Message:
    content = {"name": _STREAMS[stream], "text": text}
    return Message("iopub", "stream", f"last-words-{stream}-{number}", parent, content, {}, utc_now())


def _end_messages(name: str, parent: str, text: str, left_out: int) -> Iterator[Message]:
    if left_out:
        content = {"name": name, "left_out": left_out}
        yield Message("iopub", "kernel_exec_cut", f"last-words-cut-{name}", parent, content, {}, utc_now())
    if text:
        content = {"name": name, "text": text}
        yield Message("iopub", "stream", f"last-words-end-{name}", parent, content, {}, utc_now())


def _number(digits: bytes) -> int:
    return int(digits) if digits.isdigit() else 0


def _read(path: Path) -> bytes:
    return read_untrusted(path, _FILE_LIMIT)  # a kernel without our launcher has none


def _key(connection: Mapping[str, Any]) -> bytes:
    key = connection.get("key", b"")
    return key if isinstance(key, bytes) else str(key).encode("utf-8")
