"""What is left out of a cell's outputs, and who keeps the whole of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

from kernel_exec.wire.long_text import LongText

_NAME = re.compile(r"display-[1-9]\d{0,5}")
_MANY_PARTS = 100
_LONG_DESCRIPTION = 10_000
_LARGE = 2**53
"""More of anything is a lie; Python does not even write integers of more than 4300 digits."""


class Sink(Protocol):
    """Keeps the whole of what is cut, under names: "stdout", "stderr", "display-1", ..."""

    def write(self, name: str, text: str) -> None:
        """Append text of the stream `name`; the first call brings all of it so far."""

    def take_over(self, name: str) -> None:
        """The kernel keeps the whole of `name` itself."""

    def is_taken_over(self, name: str) -> bool:
        """Whether the kernel does."""

    def keep_part(self, mime: str, name: str, text: str | LongText | None) -> str:
        """Keep a part of a display, which the kernel has as `name` when `text` is None.

        Return where people find it; "" when nobody keeps it.
        """

    def place(self, name: str) -> str:
        """Return where people find it."""


class NoSink:
    """Keeps nothing."""

    def __init__(self) -> None:
        self._taken_over: set[str] = set()

    def write(self, name: str, text: str) -> None:
        """Forget it."""

    def take_over(self, name: str) -> None:
        """Remember that the kernel has it."""
        self._taken_over.add(name)

    def is_taken_over(self, name: str) -> bool:
        """Whether the kernel has it."""
        return name in self._taken_over

    def keep_part(self, mime: str, name: str, text: str | LongText | None) -> str:
        """Forget it."""
        return ""

    def place(self, name: str) -> str:
        """Return that it is lost."""
        return "no file"


@dataclass(slots=True)
class Cuts:
    """What was left out of the outputs of one cell.

    Attributes:
        text: bytes left out, by name of the stream.
        displays: how many displays and errors were left out whole.
        parts: the parts of displays that were left out, in words; the first hundred.
    """

    text: dict[str, int] = field(default_factory=dict)
    displays: int = 0
    parts: list[str] = field(default_factory=list)
    more_parts: int = 0

    @property
    def left_out(self) -> int:
        """How many displays, and parts of displays, were left out."""
        return self.displays + len(self.parts) + self.more_parts

    def add_text(self, name: str, size: int) -> None:
        """Count text of a stream."""
        self.text[name] = self.text.get(name, 0) + size

    def add_part(self, mime: str, size: int) -> None:
        """Count a part of a display."""
        if len(self.parts) < _MANY_PARTS:
            self.parts.append(f"{mime} of {size:,} bytes")
        else:
            self.more_parts += 1

    def __bool__(self) -> bool:
        return bool(self.text or self.displays or self.parts)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a display that does not fit; `text` is None when the kernel has it under `name`."""

    mime: str
    size: int
    name: str = ""
    text: str | LongText | None = None


def split_bundle(
    bundle: dict[str, Any], room: int, image_room: int, printed: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any], list[Part]]:
    """Return data and metadata of a display as far as they fit, and the parts that do not.

    Args:
        bundle: with "data" and "metadata".
        room: bytes for all but pictures.
        image_room: bytes for pictures.
        printed: what `printed_of` returns for it.
    """
    data = dict(bundle["data"])
    metadata = {name: value for name, value in bundle["metadata"].items() if name != "kernel_exec"}
    if text := description_of(bundle):
        metadata["kernel_exec"] = {"text": text[:_LONG_DESCRIPTION]}
    parts = _told(bundle["metadata"])
    measured = {mime: value_size(mime, printed.get(mime, value)) for mime, value in data.items()}
    images = sum(one for mime, one in measured.items() if mime.startswith("image/"))
    size = sum(measured.values()) + sum(map(len, data)) - images
    for mime in sorted(data, key=measured.__getitem__, reverse=True):
        is_image, one = mime.startswith("image/"), measured[mime]
        if (images > image_room) if is_image else (size > room):
            value = data.pop(mime)
            parts.append(Part(mime, one, text=printed.get(mime, value)))
            size -= len(mime)
            images, size = (images - one, size) if is_image else (images, size - one)
    if metadata and (size >= room or metadata_size(metadata) > room - size):
        metadata = {}
    return {mime: str(value) if isinstance(value, LongText) else value for mime, value in data.items()}, metadata, parts


def description_of(bundle: dict[str, Any]) -> str:
    """Return what our kernel says of a display for those who cannot see it; "" when it says nothing."""
    ours = bundle["metadata"].get("kernel_exec")
    text = ours.get("text") if isinstance(ours, dict) else None
    return text if isinstance(text, str) else ""


def printed_of(bundle: dict[str, Any]) -> dict[str, str]:
    """Return what is JSON of a display as text, by its types: made once, however many places it is to be put in."""
    return {mime: repr(value) for mime, value in bundle["data"].items() if not isinstance(value, str | LongText)}


def sizes_of(bundle: dict[str, Any]) -> tuple[int, int]:
    """Return the sizes of the pictures of a display, and of all else: other data, its types, and metadata."""
    data = bundle["data"]
    images = sum(value_size(mime, value) for mime, value in data.items() if mime.startswith("image/"))
    rest = sum(len(mime) + value_size(mime, value) for mime, value in data.items()) - images
    return images, rest + metadata_size(bundle["metadata"])


def metadata_size(metadata: dict[str, Any]) -> int:
    """Return about how many bytes the metadata of a display takes."""
    return len(repr(metadata)) if metadata else 0


def value_size(mime: str, value: Any) -> int:
    """Return about how many bytes a MIME value takes; a picture in base64 counts as the file that it is."""
    # JSON is measured by its printed form: exact enough for a bound, and it needs no second walk.
    if not isinstance(value, str | LongText):
        return len(repr(value))
    return len(value) * 3 // 4 if mime.startswith("image/") and mime != "image/svg+xml" else len(value)


def _told(metadata: dict[str, Any]) -> list[Part]:
    """The parts that our kernel has left out itself, as far as what it tells makes sense."""
    ours = metadata.get("kernel_exec")
    told = ours.get("cut") if isinstance(ours, dict) else None
    parts = []
    for item in told[:_MANY_PARTS] if isinstance(told, list) else ():
        name, mime, size = (item.get(key) for key in ("name", "mime", "size")) if isinstance(item, dict) else [None] * 3
        if (
            isinstance(name, str)
            and (not name or _NAME.fullmatch(name))
            and isinstance(mime, str)
            and type(size) is int
        ):
            parts.append(Part(mime[:100], min(max(0, size), _LARGE), name))
    return parts


def is_count(value: Any) -> TypeGuard[int]:
    """Return whether what a kernel says can be a number of things."""
    return type(value) is int and 0 <= value <= _LARGE


def shortened(text: str, limit: int) -> str:
    """Return a text with its middle left out, when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
