"""Looks for fonts, in a process of its own. Run as `python -P probe_fonts.py CHARACTER...`; prints a JSON object.

It has, for each character, the name of the first font of matplotlib's that can draw it, or None.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

_PR_SET_PDEATHSIG = 1
LAST_RESORT = "Last Resort"
"""A font that comes with matplotlib: it has a box for every character."""


def find(entries: Iterable[FontEntry], characters: Sequence[str]) -> dict[str, str | None]:
    """Return the name of the first font for each character."""
    from matplotlib.ft2font import FT2Font

    found: dict[str, str | None] = dict.fromkeys(characters)
    for entry in entries:
        if entry.name.startswith(LAST_RESORT):
            continue
        missing = [character for character in characters if found[character] is None]
        if not missing:
            break
        try:
            font = FT2Font(entry.fname)
        except (OSError, RuntimeError):  # gone since the list was made, or broken
            continue
        found.update({character: entry.name for character in missing if font.get_char_index(ord(character))})
    return found


def main() -> None:
    """Look for the characters of the command line; end with whoever wants to know."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    from matplotlib.font_manager import fontManager  # reads settings and fonts, wherever those are

    print(json.dumps(find(fontManager.ttflist, sys.argv[1:])))


if __name__ == "__main__":
    main()
