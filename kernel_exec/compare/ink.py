"""How much is drawn around each place of two pictures, wherever exactly: a line from one twice as wide.

Each pixel of a wider line, and of a square where a round marker was, may be next to one of its colour in the other
picture. Means over a few pixels tell them apart. Those change with half a pixel of another position, too, but then
one small move of the other picture gives all means around a place again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Mask = NDArray[np.bool_]

ROOM = 10
"""Pixels on each side of a place that matter to it."""


def other_ink(old: Pixels, new: Pixels, levels: int) -> Mask | None:
    """Return around which places two pictures of one size differ in how much is drawn; None when they do not.

    Args:
        old: the picture then, (colour, height, width).
        new: the picture now.
        levels: by which the means may differ when the new picture is moved by up to a pixel.
    """
    import numpy as np

    ours, theirs = _means(old), _means(new)
    least = _apart(ours, theirs)
    if least.max() <= levels:  # as they lie
        return None
    for down in _moved(theirs, -2):
        for across in _moved(down, -1):
            np.minimum(least, _apart(ours, across), out=least)
    mask: Mask = _near(least > levels)
    return mask if mask.any() else None


def around(pixels: Any, choose: Callable[..., Any]) -> Any:
    """Return the lowest (or highest) level of each pixel and the eight around it."""
    for axis in (-2, -1):
        before, after = _along(axis, None, -1), _along(axis, 1, None)
        chosen = pixels.copy()
        choose(chosen[before], pixels[after], out=chosen[before])
        choose(chosen[after], pixels[before], out=chosen[after])
        pixels = chosen
    return pixels


def _means(pixels: Pixels) -> Pixels:
    """Return the mean around each pixel, with a standard deviation of one."""
    import numpy as np

    sums = np.pad(pixels.astype(np.uint16), ((0, 0), (2, 2), (2, 2)), "edge")
    for axis in (-2, -1):
        for _ in range(4):  # weights of 1, 4, 6, 4, 1, which is nearly Gaussian
            sums = sums[_along(axis, None, -1)] + sums[_along(axis, 1, None)]
    return (sums >> 8).astype(np.uint8)


def _apart(old: Pixels, new: Pixels) -> Any:
    """Return by how much any two means differ that are at most four pixels from each place."""
    import numpy as np

    return _near((np.maximum(old, new) - np.minimum(old, new)).max(axis=0))


def _near(levels: Any) -> Any:
    """Return the highest level that is at most four pixels from each place."""
    import numpy as np

    for _ in range(4):
        levels = around(levels, np.maximum)
    return levels


def _moved(pixels: Pixels, axis: int) -> tuple[Pixels, ...]:
    """Return the picture as it lies, and moved by half a pixel and by one, to either side."""
    import numpy as np

    padded = np.pad(pixels, [(int(other == axis),) * 2 for other in (-3, -2, -1)], "edge")
    before, after = padded[_along(axis, None, -1)], padded[_along(axis, 1, None)]
    between = before // 2 + after // 2
    return (
        padded[_along(axis, None, -2)],
        between[_along(axis, None, -1)],
        pixels,
        between[_along(axis, 1, None)],
        padded[_along(axis, 2, None)],
    )


def _along(axis: int, start: int | None, stop: int | None) -> Any:
    return (..., slice(start, stop), *[slice(None)] * (-1 - axis))
