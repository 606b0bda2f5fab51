"""Pictures in a terminal, with textual-image where it is installed."""

from __future__ import annotations

import io
import os
import sys
import termios
import warnings
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Protocol = Literal["kitty", "sixel", "blocks", "none"]

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
"""What may be shown: formats whose readers start no other program. The bytes come from the kernel."""
MAX_PIXELS = 50_000_000
CELL = (10, 20)
"""Width and height of a character in pixels, as good as any guess."""
SEEN = 0.75
"""The part of a column, and of a row, below which a picture cannot be drawn."""


def protocol() -> Protocol | None:
    """Return how this terminal can show pictures, "none" without a terminal; None when textual-image is not there.

    The first call asks the terminal, which takes up to 0.3 seconds.
    """
    try:
        if not _may_ask():
            import textual_image  # noqa: F401 - only whether it is there

            return "none"
        from textual_image import renderable
    except ImportError:
        return None
    except termios.error:
        return "none"
    found: dict[type, Protocol] = {renderable.TGPImage: "kitty", renderable.SixelImage: "sixel"}
    return found.get(renderable.Image, "blocks")


def show(data: bytes, mime: str, *, out: TextIO) -> bool:
    """Draw a picture on this process's terminal; return whether that was possible.

    Args:
        data: the bytes of its file.
        mime: its type; one that is not in `FORMATS` is never drawn.
        out: standard output.
    """
    if mime not in FORMATS or protocol() in (None, "none"):
        return False
    from rich.console import Console
    from textual_image.renderable import Image

    console = Console(file=out)
    picture = _decoded(data, mime) if console.color_system else None
    width = width_for(*picture.size, columns=console.width, rows=console.height) if picture else None
    if picture is None or width is None:
        return False
    console.print(Image(picture, width=width, height="auto"))
    return True


def width_for(width: int, height: int, *, columns: int, rows: int) -> int | None:
    """Return how many columns a picture takes: its own size, or what leaves room for a prompt below it.

    None for a picture that is so wide, or so tall, that nothing of it can be seen.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        columns: of the terminal.
        rows: of the terminal.
    """
    wide, tall = width / CELL[0], height / CELL[1]
    scale = min(1.0, columns / wide, max(1, rows - 4) / tall)
    return max(1, int(wide * scale)) if wide * scale >= SEEN and tall * scale >= SEEN else None


def _may_ask() -> bool:
    """Whether the terminal can be asked: a process in the background that tried would be stopped."""
    streams = (sys.__stdin__, sys.__stdout__)
    if not all(stream is not None and stream.isatty() for stream in streams):
        return False
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _decoded(data: bytes, mime: str) -> Picture | None:
    """Return the picture; None for one that is broken or too large to unpack."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
            picture = Image.open(io.BytesIO(data), formats=[FORMATS[mime]])
            if picture.width * picture.height > MAX_PIXELS:
                return None
            return picture.convert("RGBA")
    # What the readers of PIL raise for broken files is not told anywhere; these are what they are known to raise.
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
