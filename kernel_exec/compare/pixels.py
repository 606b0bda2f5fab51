"""What two pictures show, pixel by pixel, with an eye for what people see and none for how it was rendered."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from kernel_exec.compare.ink import ROOM, around, other_ink

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Mask = NDArray[np.bool_]

MAX_PIXELS = 16_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_NOTES = frozenset({b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")


@dataclass(frozen=True, slots=True)
class _Eye:
    """What is too little to be seen.

    Attributes:
        edge: levels by which a pixel may leave the range of colours around the same place, as smoothing does at edges.
        flat: levels by which it may differ where both pictures are of one colour.
        ink: levels by which the mean around a place may differ: many markers, each rounded to another pixel, make up to
            61, round ones that become square 72, and a line twice as wide 78.
    """

    edge: int
    flat: int
    ink: int


_SHARP = _Eye(edge=16, flat=8, ink=66)
_LOSSY = _Eye(edge=48, flat=24, ink=80)
"""For JPEG, which leaves traces around edges and shifts colours a little."""


class Undecodable(Exception):
    """The bytes are no picture that can be compared; the message says why."""


def decoded(data: bytes) -> Pixels:
    """Return the pixels of a picture, (height, width, 3), on white.

    Raises:
        Undecodable: it is no picture, a broken one, or too large; its size is checked before it is decoded.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Undecodable(f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
            if getattr(image, "is_animated", False):
                raise Undecodable("it moves, and only its first picture could be looked at")
            image.load()
            if image.mode.startswith(("I", "F")):  # 16 bits a pixel, which "RGB" would cut off
                levels = (np.asarray(image, np.float64) / 257).clip(0, 255).astype(np.uint8)
                return np.repeat(levels[:, :, None], 3, axis=2)
            if image.mode == "RGB" or not image.has_transparency_data:
                return np.asarray(image.convert("RGB"))
            rgba = image.convert("RGBA")
            alpha = rgba.getchannel("A")
            if alpha.getextrema() == (255, 255):
                return np.asarray(rgba.convert("RGB"))
            paper = Image.new("RGB", image.size, "white")
            paper.paste(rgba, mask=alpha)
            return np.asarray(paper)
    except Undecodable:
        raise
    except Exception as error:  # a decoder raises what it likes about what it is given
        raise Undecodable(f"{type(error).__name__}: {error}") from error


def without_notes(data: bytes) -> bytes:
    """Return a PNG without what is written beside the picture (author, program, time); all else as it is."""
    if not data.startswith(_PNG):
        return data
    kept, at = [_PNG], len(_PNG)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] not in _NOTES:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def is_lossy(data: bytes) -> bool:
    """Whether a picture may be of a format that does not keep each pixel (JPEG, WebP)."""
    return data.startswith((b"\xff\xd8", b"RIFF"))


@dataclass(frozen=True, slots=True)
class Seen:
    """Where two pictures of one size differ visibly.

    Attributes:
        mask: the pixels that differ, in a part of the picture.
        top: the first row of that part.
        left: its first column.
    """

    mask: Mask
    top: int
    left: int

    @property
    def count(self) -> int:
        """How many pixels."""
        return int(self.mask.sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Where they are: left, top, right, bottom."""
        rows, columns = _extent(self.mask, 1), _extent(self.mask, 0)
        return self.left + columns[0], self.top + rows[0], self.left + columns[1], self.top + rows[1]


def visible(old: Pixels, new: Pixels, *, lossy: bool = False, few: float = 0) -> Seen | None:
    """Return where two pictures of one size differ visibly; None when they do not.

    A pixel differs when its colour is none of those around the same place in the other picture, so that a line drawn
    half a pixel beside is the same line; and, where both are of one colour, when that is another one. When only few do,
    those differ as well around which more is drawn, or less.

    Args:
        old: the picture then.
        new: the picture now.
        lossy: one of them was compressed so that not each pixel was kept.
        few: pixels that may differ.
    """
    import numpy as np

    if np.array_equal(old, new):
        return None
    # By colour, which is several times as fast; and only the part that differs at all, and what is around it.
    old, new = (np.ascontiguousarray(np.moveaxis(pixels, 2, 0)) for pixels in (old, new))
    raw = (old != new).any(axis=0)
    rows, columns = _extent(raw, 1), _extent(raw, 0)
    top, left = max(0, rows[0] - ROOM), max(0, columns[0] - ROOM)
    part = (slice(None), slice(top, rows[1] + ROOM + 1), slice(left, columns[1] + ROOM + 1))
    ours, theirs = old[part], new[part]
    low, high = around(ours, np.minimum), around(ours, np.maximum)
    new_low, new_high = around(theirs, np.minimum), around(theirs, np.maximum)
    eye = _LOSSY if lossy else _SHARP
    mask = (_outside(ours, new_low, new_high, eye.edge) | _outside(theirs, low, high, eye.edge)).any(axis=0)
    flat = ((high - low <= eye.flat) & (new_high - new_low <= eye.flat)).all(axis=0)
    other_colour = (np.maximum(ours, theirs) - np.minimum(ours, theirs) > eye.flat).any(axis=0)
    mask |= flat & other_colour
    if mask.sum() <= few and (places := other_ink(ours, theirs, eye.ink)) is not None:
        mask |= places & other_colour
    return Seen(mask, top, left) if mask.any() else None


def _extent(mask: Mask, axis: int) -> tuple[int, int]:
    """Return the first and the last row (axis 1) or column (axis 0) in which the mask is set."""
    import numpy as np

    places = np.flatnonzero(mask.any(axis=axis))
    return int(places[0]), int(places[-1])


def _outside(pixels: Pixels, low: Pixels, high: Pixels, edge: int) -> Mask:
    import numpy as np

    # Levels are bytes: they are kept from running over.
    lowest, highest = np.maximum(low, edge) - np.uint8(edge), np.minimum(high, 255 - edge) + np.uint8(edge)
    outside: Mask = (pixels < lowest) | (pixels > highest)
    return outside
