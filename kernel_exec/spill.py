"""Files beside the recording that hold the whole of what was cut out of a cell's outputs."""

from __future__ import annotations

import contextlib
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kernel_exec.folder import Folder, Made
from kernel_exec.kernels.files import copy_untrusted
from kernel_exec.secrets import Veil
from kernel_exec.wire.long_text import LongText
from kernel_exec.wire.terminal import head_of

MANY_PARTS = 100
"""Parts of displays that are kept for one cell; of more it is only told that they were left out."""
_CHUNK = 2**20


class Spill:
    """What was cut out of one cell, as files `STEM-stdout.txt`, `STEM-display-1.html` and so on.

    What passed through this process is written here as it comes, on the event loop: a kernel that prints faster than
    the disk takes it must wait for it, and nothing may queue up in between. What a kernel has kept itself is copied
    by `adopt`, which waits for the disk and belongs in a thread.

    Args:
        folder: where the files go; made when the first is.
        stem: how their names begin.
        limit: bytes that the file of a stream may hold, and those of all parts of displays together.
    """

    def __init__(self, folder: Folder, stem: str, limit: int) -> None:
        self.stem = stem
        self._folder, self._limit = folder, limit
        self._made: dict[str, Made] = {}
        self._in_kernel: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._parts: dict[str, None] = {}
        self._trouble: dict[str, None] = {}  # sentences, each once

    @property
    def paths(self) -> dict[str, Path]:
        """The files, by what they hold."""
        return {name: made.path for name, made in self._made.items()}

    def write(self, name: str, text: str) -> None:
        """Append text of a stream."""
        for start in range(0, len(text), _CHUNK):
            self._append(name, text[start : start + _CHUNK])

    def take_over(self, name: str) -> None:
        """The kernel has the whole of a stream itself."""
        self._in_kernel.add(name)

    def is_taken_over(self, name: str) -> bool:
        """Whether the kernel has it."""
        return name in self._in_kernel

    def keep_part(self, mime: str, name: str, text: str | LongText | None) -> str:
        """Keep a part of a display; return where it is, "" when it is not kept."""
        ours = text is not None
        if len(self._parts) >= MANY_PARTS or not (ours or name) or len(text or "") > self._room_for_parts():
            return ""
        name = f"part-{len(self._parts) + 1}" if ours else name
        self._parts[name] = None
        self._path(name, mime)
        if text is None:
            self._in_kernel.add(name)
        for piece in [] if text is None else [text] if isinstance(text, str) else text.pieces():
            self.write(name, piece)
        return self.place(name)

    def keep_text(self, text: str) -> None:
        """Keep a text in a file of its own."""
        self.write("text", text)

    def place(self, name: str) -> str:
        """Return the path of a file, or why there is none."""
        path = self._path(name)
        return str(path) if path else f"no file ({', '.join(self._trouble)})"

    def adopt(self, directory: Path, veil: Veil) -> None:
        """Copy what a kernel has kept in its runtime directory, masked by `veil`; blocks."""
        for name in sorted(self._in_kernel.intersection(self._made)):
            kept = [directory / f"{prefix}.{name}" for prefix in ("sent", "cut")]
            limit = self._room_for_parts() if name in self._parts else self._limit
            with self._told(name), self._opened(name, os.O_WRONLY) as file:
                source = kept[0] if kept[0].exists() else kept[1]
                self._sizes[name] = copy_untrusted(source, file.fileno(), limit, veil.pieces if veil else None)

    @property
    def is_in_kernel(self) -> bool:
        """Whether there is anything to adopt."""
        return bool(self._in_kernel)

    def notes(self) -> tuple[str, ...]:
        """What went wrong, a sentence each."""
        full = [self._made[name].path.name for name, size in self._sizes.items() if size >= self._limit]
        beyond = [f"{name} holds only the first {self._limit:,} bytes (limits.artifact_bytes)" for name in full]
        return (*beyond, *self._trouble)

    def _room_for_parts(self) -> int:
        return self._limit - sum(self._sizes.get(name, 0) for name in self._parts)

    def _append(self, name: str, text: str) -> None:
        room = self._limit - self._sizes.get(name, 0)
        if self._path(name) is None or room <= 0:
            return
        data = text.encode("utf-8", "replace")
        data = data if len(data) <= room else head_of(text, room).encode("utf-8", "replace")
        self._sizes[name] = self._sizes.get(name, 0) + len(data) if data else self._limit
        with self._told(name), self._opened(name, os.O_WRONLY | os.O_APPEND) as file:
            file.write(data)

    def _opened(self, name: str, flags: int) -> BinaryIO:
        return open(self._folder.reopen(self._made[name], flags), "wb")

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """What goes wrong with a file is told."""
        try:
            yield
        except OSError as error:
            self._trouble[f"{self._made[name].path.name} is not whole: {error.strerror}"] = None

    def _path(self, name: str, mime: str = "text/plain") -> Path | None:
        if name not in self._made:
            try:
                self._made[name] = self._folder.make(f"{self.stem}-{name}", _suffix(mime))
            except OSError as error:
                self._trouble[f"{self._folder.path}: {error.strerror}"] = None
                return None
        return self._made[name].path


def _suffix(mime: str) -> str:
    return ".json" if mime.endswith("+json") else mimetypes.guess_extension(mime) or ".txt"
