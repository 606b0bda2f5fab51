"""What code prints, made harmless for a terminal. Pure.

A terminal obeys control sequences: titles, links, the clipboard, the cursor, reports that come back as if they had been
typed. Of all these only colours pass, and what moves within the line: carriage returns, backspaces, tabs. A pipe leads
to a program: it gets single control characters, which may separate records, and no sequence, not even colours.
"""

from __future__ import annotations

import re

RESET = "\x1b[0m"

_STRING_INTRODUCERS = "]PX^_"
_PAYLOAD = r"[^\x07\x18\x1a\x1b\x9c\n]*"
"""A control string ends with its terminator; where that is missing, with the line, so that it hides no more."""

_UNSAFE = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]{0,64}m)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other control sequence
    rf"|\x1b[{_STRING_INTRODUCERS}]{_PAYLOAD}(?:\x1b\\|[\x07\x18\x1a\x9c])?"  # titles, links, pictures, the clipboard
    r"|\x1b[ -/]*[0-Z\\`-~]"  # short ones: reset, character sets
    r"|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]"  # controls that are left, a lone escape among them
)
_UNFINISHED = re.compile(rf"\x1b(?:\[[0-?]*[ -/]*|[{_STRING_INTRODUCERS}]{_PAYLOAD}\x1b?|[ -/]*)\Z")
_LONGEST = 80
"""Characters of an unfinished sequence that are kept: more than any colour has."""


class Tamer:
    """Text that arrives in pieces: a sequence may begin in one and end in another.

    Args:
        for_pipe: it goes to a program.
    """

    def __init__(self, *, for_pipe: bool = False) -> None:
        self._rest = ""
        self._passes = _single_or_nothing if for_pipe else _colour_or_nothing
        self.coloured = False
        """Whether a colour may be in force."""

    def __call__(self, text: str) -> str:
        """Return the next piece of text without what could drive a terminal."""
        text = self._rest + text
        unfinished = _UNFINISHED.search(text)
        self._rest = _shortened(unfinished[0]) if unfinished else ""
        safe = _UNSAFE.sub(self._passes, text[: unfinished.start()] if unfinished else text)
        if "\x1b" in safe:
            self.coloured = not safe.endswith(RESET)
        return safe

    def end(self) -> str:
        """Return what ends the colours of the text so far; the next text begins afresh."""
        self._rest, coloured, self.coloured = "", self.coloured, False
        return RESET if coloured else ""


def tamed(text: str, *, for_pipe: bool = False) -> str:
    """Return a whole text without what could drive a terminal."""
    tamer = Tamer(for_pipe=for_pipe)
    return tamer(text) + tamer.end()


def _colour_or_nothing(match: re.Match[str]) -> str:
    return match["colour"] or ""


def _single_or_nothing(match: re.Match[str]) -> str:
    return match[0] if len(match[0]) == 1 and match[0] != "\x1b" else ""


def _shortened(sequence: str) -> str:
    """Return an unfinished sequence as far as it tells what it is: the rest of a control string may never end."""
    if sequence[1:2] and sequence[1] in _STRING_INTRODUCERS:
        return sequence[:2] + ("\x1b" if sequence.endswith("\x1b") else "")
    return sequence if len(sequence) <= _LONGEST else "\x1b[?"
