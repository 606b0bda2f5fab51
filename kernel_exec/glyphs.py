"""Characters that matplotlib could not draw: known by its warnings, told once, with what to do."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

PACKAGE = "fonts-noto-cjk"
REMEDY = f"install one, e.g. apt-get install {PACKAGE}; then delete ~/.cache/matplotlib, its list of fonts"
"""What to do where no font has Chinese, Japanese and Korean."""
SHOWN = 10
"""Characters that a sentence names."""

_SETTING = "plt.rcParams['font.family']"
_RANGES = (
    *((0x1100, 0x11FF), (0x2E80, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0xFE30, 0xFE4F)),
    *((0xFF00, 0xFFEF), (0x20000, 0x3FFFF)),
)
"""Where Han, kana and Hangul are, with their punctuation and full-width forms."""
_SIGNS = ("missing from", "does not have a glyph")
_LACK = r"Glyph (?P<number>\d{1,7}) \((?s:.{0,100}?)\) missing from (?:current font|font\(s\) (?P<fonts>[^\n]*))[^\n]*"
_LACK_IN_FORMULA = (
    r"^Font [^\n]{1,200} does not have a glyph for [^\n]{1,100} \[U\+(?P<code>[0-9a-f]{1,6})\][^\n]{0,100}"
)
_LACKING = re.compile(f"{_LACK}|{_LACK_IN_FORMULA}", re.MULTILINE)
_LINES = re.compile(
    rf"(?:^[^\n]{{1,1000}}:\d+: UserWarning: {_LACK}(?:\n  \S[^\n]*)?|{_LACK_IN_FORMULA})\n?", re.MULTILINE
)


class Glyphs:
    """Tells what the cells of one session could not draw, and what to do about each character once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def told(self, stderr: str) -> tuple[list[str], list[str]]:
        """Return what to tell of the characters that a cell could not draw.

        Returns:
            A sentence for each remedy, about those that no cell before it lacked; and one about the others.
        """
        characters, fonts = lacking(stderr)
        known = [character for character in characters if character in self._told]
        fresh = [character for character in characters if character not in self._told]
        self._told.update(fresh)
        ours = list(filter(_is_cjk, fresh))
        others = [character for character in fresh if not _is_cjk(character)]
        sentences = (_about(ours, fonts, install="CJK" not in fonts), _about(others, fonts, install=False))
        return [sentence for sentence in sentences if sentence], [f"{summary(known)}, as told before"] if known else []


def lacking(stderr: str) -> tuple[list[str], str]:
    """Return the characters that a cell could not draw, and the names of the fonts that lack the first, or ""."""
    if not any(sign in stderr for sign in _SIGNS):
        return [], ""
    found: dict[str, None] = {}
    fonts = ""
    for match in _LACKING.finditer(stderr):
        number = int(match["number"]) if match["number"] else int(match["code"], 16)
        if number <= sys.maxunicode:
            found[chr(number)] = None
            fonts = fonts or (match["fonts"] or "").rstrip(".")
    return list(found), "".join(filter(str.isprintable, fonts))[:200]


def without_warnings(text: str) -> str:
    """Return text without matplotlib's warnings, one for each character and drawing, with the lines that they quote."""
    return _LINES.sub("", text) if any(sign in text for sign in _SIGNS) else text


def summary(characters: Sequence[str]) -> str:
    """Return in words that characters could not be drawn."""
    shown = "".join(map(_shown, characters[:SHOWN])) + ("..." if len(characters) > SHOWN else "")
    return f"{len(characters):,} character{'s' * (len(characters) != 1)} could not be drawn ({shown})"


def _about(characters: Sequence[str], fonts: str, *, install: bool) -> str:
    if not characters:
        return ""
    named = f" ({fonts})" if fonts else ""
    why = (
        f"{summary(characters)}: no font that matplotlib uses here{named} has {'them' if len(characters) > 1 else 'it'}"
    )
    if install:
        return f"{why}; {REMEDY}, and restart the kernel; or, where a font is there, name it in {_SETTING}"
    return f"{why}; name a font that has in {_SETTING}, or use other characters"


def _is_cjk(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _RANGES)


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
