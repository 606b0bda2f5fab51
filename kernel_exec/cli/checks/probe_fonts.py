"""Looks for fonts, in a process of its own. Run as `python -P probe_fonts.py CHARACTER...`; prints a JSON object.

It has, for each character, the name of the first font of matplotlib's that can draw it, or None.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from matplotlib.font_manager import FontEntry, fontManager
from matplotlib.ft2font import FT2Font

LAST_RESORT = "Last Resort"
"""A font that comes with matplotlib: it has a box for every character."""


def find(entries: Iterable[FontEntry], characters: Sequence[str]) -> dict[str, str | None]:
    """Return the name of the first font for each character."""
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


if __name__ == "__main__":
    print(json.dumps(find(fontManager.ttflist, sys.argv[1:])))
