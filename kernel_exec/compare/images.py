"""Two pictures: by their bytes, their size, and what they show."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from typing import TYPE_CHECKING, Any

from kernel_exec.compare.difference import Difference
from kernel_exec.compare.pixels import Seen, Undecodable, decoded, is_lossy, visible, without_notes
from kernel_exec.compare.terms import Terms

if TYPE_CHECKING:
    from kernel_exec.compare.pixels import Pixels

MAX_BYTES = 32 * 2**20
_PIXELS_PER_CHARACTER = 100
"""Levels of pixels that take as long as a character of text."""
_FEW = 3
_PANEL = (800, 800)
_RED = (220, 0, 40)


def encoded_differences(old: str, new: str, terms: Terms) -> list[Difference]:
    """Return how two pictures differ that are in base64, as outputs hold them.

    Args:
        old: the picture then.
        new: the picture now.
        terms: how much may differ.
    """
    if old == new:
        return []
    try:
        return picture_differences(_bytes(old), _bytes(new), terms)
    except Undecodable as error:
        return [Difference("image", f"cannot be compared: {error}")]


def picture_differences(old: bytes, new: bytes, terms: Terms) -> list[Difference]:
    """Return how two pictures differ: nothing, or one difference with a picture of it.

    Args:
        old: the picture then.
        new: the picture now.
        terms: how much may differ.
    """
    if old == new or without_notes(old) == without_notes(new):
        return []
    if terms.effort.left <= 0:
        return [Difference("image", "other bytes; not looked at, as there is too much in this cell")]
    try:
        ours, theirs = decoded(old), decoded(new)
    except Undecodable as error:
        return [Difference("image", f"cannot be compared: {error}")]
    terms.effort.spend((ours.size + theirs.size) // _PIXELS_PER_CHARACTER)
    before, after = _size(ours), _size(theirs)
    if ours.shape != theirs.shape:
        message = f"size in pixels: {before} -> {after}"
        return [Difference("image", message, before, after, picture=_panels(ours, theirs, None))]
    total = ours.shape[0] * ours.shape[1]
    few = _allowed(terms.rules.image, total)
    seen = visible(ours, theirs, lossy=is_lossy(old) or is_lossy(new), few=few)
    if seen is None or seen.count <= few:
        return []
    left, top, right, bottom = seen.box
    message = f"{seen.count:,} of {total:,} pixels differ, from ({left}, {top}) to ({right}, {bottom})"
    return [Difference("image", message, before, after, picture=_panels(ours, theirs, seen))]


def _allowed(share: float, total: int) -> float:
    """Return how many pixels may differ: of a small picture a few, too, as smoothing knows no size."""
    return max(_FEW, share * total) if share else 0


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def _bytes(text: str) -> bytes:
    if len(text) > MAX_BYTES:
        raise Undecodable(f"{len(text):,} bytes are more than {MAX_BYTES:,}")
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise Undecodable(f"no base64: {error}") from error


def _panels(old: Pixels, new: Pixels, seen: Seen | None) -> bytes:
    """Return a PNG: old, new, and the new one pale with what differs in red."""
    from PIL import Image

    images = [Image.fromarray(pixels) for pixels in (old, new)]
    if seen is not None:
        images.append(Image.fromarray(_marked(new, seen)))
    for image in images:
        image.thumbnail(_PANEL)
    width, height = sum(image.width for image in images) + 8 * (len(images) - 1), max(image.height for image in images)
    sheet = Image.new("RGB", (width, height), "gray")
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + 8
    file = BytesIO()
    sheet.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _marked(pixels: Pixels, seen: Seen) -> Any:
    import numpy as np

    pale = np.repeat((255 - (255 - pixels.min(axis=2, keepdims=True)) // 4), 3, axis=2)
    rows, columns = seen.mask.shape
    pale[seen.top : seen.top + rows, seen.left : seen.left + columns][seen.mask] = _RED
    return pale
