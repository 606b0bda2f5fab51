"""What a cell may put out, cut where it is made: what is beyond the limits never reaches the client.

Of text, head and tail are sent, and the whole is kept in a file of the runtime directory (`cut.stdout`, and
`sent.stdout` once its end has been sent), from where the client takes it. A display that does not fit loses its
largest MIME types to such files. How much was left out is told in messages of type `kernel_exec_cut`, and in the
metadata of a display. How many displays were left out whole stands in `cut.displays` until that has been told.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

CUT_TYPE = "kernel_exec_cut"
ITEM_COST = 128
"""Bytes that count for each display beyond its data: what it takes to hold it."""
MANY_PARTS = 100
"""Parts of displays that are kept for one cell; of more it is only told that they were left out."""
_BLOCK = 2**20
_DISPLAYS = frozenset({"display_data", "execute_result", "update_display_data"})


class Sizes(NamedTuple):
    """The limits of one cell, in bytes: text and displays, pictures, and each file that keeps what was cut."""

    output: int
    images: int
    file: int


def sizes_from(environment: Mapping[str, str]) -> Sizes | None:
    """Return the limits that the client has set; None when there are none."""
    try:
        return Sizes(*(int(part) for part in environment.get("KERNEL_EXEC_OUTPUT_LIMITS", "").split(",")))
    except (ValueError, TypeError):
        return None


class CutFile:
    """A file that keeps the whole of what was cut; it holds at most `limit` bytes."""

    def __init__(self, directory: str, name: str, limit: int) -> None:
        self._path = os.path.join(directory, "cut." + name)
        self._sent_path = os.path.join(directory, "sent." + name)
        self._room = limit
        self._descriptor: int | None = None
        self._made = False

    def write(self, text: str) -> None:
        """Append text. A full disk, or a descriptor that user code has closed, loses the file and no more."""
        for start in range(0, len(text), _BLOCK):
            data = text[start : start + _BLOCK].encode("utf-8", "replace")[: self._room]
            self._room -= len(data)
            with contextlib.suppress(OSError):
                while data:
                    data = data[os.write(self._opened(), data) :]

    def sent(self) -> None:
        """The end of its text has been sent: nobody needs to look for it here when the kernel dies."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.rename(self._path, self._sent_path)

    def remove(self) -> None:
        """Close and remove it; idempotent."""
        self.close()
        if self._made:
            self._made = False
            for path in (self._path, self._sent_path):
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def close(self) -> None:
        """Write no more; idempotent. User code has a use for every descriptor."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            self._descriptor = os.open(self._path, flags, 0o600)
            self._made = True
        return self._descriptor


class TextBudget:
    """Decides which text of one stream is sent at once, and keeps the end of the rest.

    Not locked: whoever uses it holds a lock.

    Args:
        name: of the stream.
        directory: the runtime directory.
        sizes: the limits.
    """

    def __init__(self, name: str, directory: str, sizes: Sizes) -> None:
        self._file = CutFile(directory, name, sizes.file)
        self._directory, self._name, self._sizes = directory, name, sizes
        self._half = sizes.output // 2
        self._sent = self._left_out = self._tail_size = 0
        self._over = False
        self._head: list[str] = []
        self._tail: deque[str] = deque()

    def take(self, text: str) -> str:
        """Return the part of the text that is to be sent now; the rest is kept."""
        size = byte_length(text)
        if not self._over and self._sent + size <= self._half:
            self._sent += size
            self._head.append(text)
            return text
        first, rest = ("", text) if self._over else split(text, self._half - self._sent)
        if not self._over:
            self._over = True
            for part in (*self._head, first):
                self._file.write(part)
            self._head.clear()
        self._keep(rest)
        return first

    def rest(self) -> tuple[str, int]:
        """Return the end of the text that was kept, and how many bytes before it were left out; forget both.

        What still comes is sent at once, as far as the limit has room for it.
        """
        text, left_out = "".join(self._tail), self._left_out
        if not left_out:
            self._sent += self._tail_size - self._half if self._over else 0
            self._over = False
        self._tail.clear()
        self._tail_size = self._left_out = 0
        return text, left_out

    def sent(self) -> None:
        """What `rest` returned is on its way."""
        self._file.sent()

    def begin(self) -> None:
        """A new cell: what was kept is not wanted any more."""
        self._file.remove()
        self._file = CutFile(self._directory, self._name, self._sizes.file)
        self._sent = self._left_out = self._tail_size = 0
        self._over = False
        self._head.clear()
        self._tail.clear()

    def _keep(self, text: str) -> None:
        self._file.write(text)
        self._tail.append(text)
        self._tail_size += byte_length(text)
        while self._tail_size > self._half:
            first = self._tail.popleft()
            excess, size = self._tail_size - self._half, byte_length(first)
            if size > excess:
                dropped, kept = split(first, excess, up=True)
                self._tail.appendleft(kept)
                size = byte_length(dropped)
            self._tail_size -= size
            self._left_out += size


class DisplayBudget:
    """Decides what of the displays of a cell is sent.

    Args:
        directory: the runtime directory.
        sizes: the limits.
    """

    def __init__(self, directory: str, sizes: Sizes) -> None:
        self._directory, self._sizes = directory, sizes
        self._lock = threading.Lock()
        self._files: list[CutFile] = []
        self._room = sizes.file
        self._output = self._images = self._left_out = 0
        self._count_path = os.path.join(directory, "cut.displays")

    def begin(self) -> None:
        """A new cell."""
        self.left_out()
        with self._lock:
            for file in self._files:
                file.remove()
            self._files.clear()
            self._room = self._sizes.file
            self._output = self._images = 0

    def left_out(self) -> int:
        """Return how many displays were left out; forget it."""
        count, self._left_out = self._left_out, 0
        if count:
            with contextlib.suppress(OSError):
                os.unlink(self._count_path)
        return count

    def fit(self, frames: list[bytes], sign: Callable[[list[bytes]], bytes]) -> list[bytes] | None:
        """Return the frames of a message as they are to be sent; None when it is left out.

        Args:
            frames: topic, delimiter, signature, header, parent header, metadata, content, buffers.
            sign: makes the signature of the four parts after it.
        """
        kind = _kind(frames)
        if kind == "clear_output":
            self._output = self._images = 0
        if kind == "error" and len(frames[6]) > self._sizes.output // 2:
            return self._signed(frames, _cut_error(json.loads(frames[6]), self._sizes.output // 2), sign)
        if kind not in _DISPLAYS:
            return frames
        content = json.loads(frames[6])
        with self._lock:
            fits = self._fit_display(content, sum(map(len, frames[7:])), counted=kind != "update_display_data")
        if fits is None:
            self._leave_out()
        return frames if fits is True else None if fits is None else self._signed(frames, content, sign)

    def _leave_out(self) -> None:
        """Count a display, also for the client that finds the kernel dead."""
        self._left_out += 1
        with contextlib.suppress(OSError):
            descriptor = os.open(self._count_path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, b"%d" % self._left_out)
            finally:
                os.close(descriptor)

    def _fit_display(self, content: dict[str, Any], buffers: int, *, counted: bool) -> bool | None:
        """Whether a display fits; where it does not, its largest parts are taken out; None: it is left out."""
        data = content.get("data") or {}
        sizes = {mime: _size(mime, value) for mime, value in data.items()}
        images = {mime for mime in sizes if mime.startswith("image/")}
        room = self._sizes.output - (self._output if counted else 0) - ITEM_COST - buffers
        cut = []
        if room < 0:
            return None
        for mime in sorted(sizes, key=sizes.__getitem__, reverse=True):
            group = images if mime in images else sizes.keys() - images
            limit = self._sizes.images - self._images if mime in images else room
            if sum(sizes[name] for name in group if name in data) > limit:
                cut.append(self._take_out(data, mime))
        if cut:
            content.setdefault("metadata", {})["kernel_exec"] = {"cut": cut}
        if counted:
            self._images += sum(sizes[mime] for mime in images if mime in data)
            self._output += ITEM_COST + buffers + sum(sizes[mime] for mime in sizes.keys() - images if mime in data)
        return not cut

    def _take_out(self, data: dict[str, Any], mime: str) -> dict[str, Any]:
        value = data.pop(mime)
        text = value if isinstance(value, str) else json.dumps(value)
        told = {"name": "", "mime": mime, "size": _size(mime, value)}
        if len(self._files) < MANY_PARTS and byte_length(text) <= self._room:
            told["name"] = name = f"display-{len(self._files) + 1}"
            self._files.append(file := CutFile(self._directory, name, self._sizes.file))
            self._room -= byte_length(text)
            file.write(text)
            file.close()
        return told

    @staticmethod
    def _signed(frames: list[bytes], content: dict[str, Any], sign: Callable[[list[bytes]], bytes]) -> list[bytes]:
        parts = [*frames[3:6], json.dumps(content).encode("ascii")]
        return [*frames[:2], sign(parts), *parts, *frames[7:]]


def cut_reply(reply: dict[str, Any], sizes: Sizes) -> dict[str, Any]:
    """Return an execute_reply whose error is no longer than a cell's output may be."""
    return _cut_error(reply, sizes.output // 2) if reply.get("status") == "error" else reply


def byte_length(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def split(text: str, size: int, *, up: bool = False) -> tuple[str, str]:
    """Split a text after `size` bytes; where that is inside a character, before it, or after it (`up`)."""
    if text.isascii():
        return text[:size], text[size:]
    data = text.encode("utf-8", "replace")
    step = 1 if up else -1
    while 0 < size < len(data) and data[size] & 0xC0 == 0x80:
        size += step
    return data[:size].decode("utf-8"), data[size:].decode("utf-8")


def _size(mime: str, value: Any) -> int:
    """Bytes of a MIME value; a picture in base64 counts as the file that it is."""
    if not isinstance(value, str):
        return len(repr(value))
    return len(value) * 3 // 4 if mime.startswith("image/") and mime != "image/svg+xml" else len(value)


def _kind(frames: list[bytes]) -> str:
    try:
        return str(json.loads(frames[3])["msg_type"])
    except (ValueError, IndexError, KeyError):
        return ""


def _cut_error(content: dict[str, Any], limit: int) -> dict[str, Any]:
    value, lines = str(content.get("evalue", "")), [str(line) for line in content.get("traceback") or ()]
    size = len(value) + sum(map(len, lines))
    if size <= limit:
        return content
    kept = [_shortened(line, limit // 2 // min(len(lines), 200)) for line in lines[:200]]
    short = _shortened(value, limit // 4)
    left_out = size - len(short) - sum(map(len, kept))
    return {**content, "evalue": short, "traceback": kept, "kernel_exec_left_out": left_out}


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:] if half else ''}"
