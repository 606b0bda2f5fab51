"""Two lines, word by word: the same words, and numbers that are close."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from kernel_exec.compare.difference import changed
from kernel_exec.compare.moments import MOMENT, both_now
from kernel_exec.compare.terms import Manner, Terms

_WORD = re.compile(
    rf"(?P<moment>{MOMENT})"
    r"|(?P<clock>(?<![\w.:])\d{1,3}:\d{2}:\d{2}(?:[.,]\d+)?(?![\w:]))"
    r"|(?P<name>0[xX][0-9a-fA-F]+|\d+(?:\.\d+){2,}|[^\W\d]\w*)"  # versions and addresses are no numbers
    r"|(?P<number>[+-]?(?:\d+(?:\.\d+)?|(?<!\w)\.\d+)(?:[eE][+-]?\d+)?)"
    r"|\S"
)
_WHOLE = re.compile(r"[+-]?\d+")

Word = tuple[str, str | None]
"""The word, and what it is."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first words of two lines that differ.

    Attributes:
        old: what stood there; "" at the end of the line.
        new: what stands there now.
        number: both are numbers.
        tolerance: how far they might have been from each other; None where that had to be nothing.
    """

    old: str
    new: str
    number: bool = False
    tolerance: float | None = None

    def __str__(self) -> str:
        """Return it for a message."""
        tolerance = f" (tolerance {self.tolerance:g})" if self.tolerance is not None else ""
        return f"{changed(self.old, self.new)}{tolerance}"


def mismatch(old: str, new: str, terms: Terms, manner: Manner) -> Mismatch | None:
    """Return where two lines differ first; None when they are the same. How much space is between words is no matter.

    Args:
        old: a line, without noise.
        new: the line now.
        terms: how close numbers must be, and when the cells ran.
        manner: how the text is read.
    """
    if old == new:
        return None
    for ours, theirs in zip_longest(_words(old), _words(new), fillvalue=("", None)):
        if ours != theirs and not _alike(ours, theirs, terms, manner):
            numbers = ours[1] == theirs[1] == "number"
            whole = _WHOLE.fullmatch(ours[0]) or _WHOLE.fullmatch(theirs[0])
            tolerance = terms.rules.relative if numbers and not whole else None
            return Mismatch(ours[0], theirs[0], numbers, tolerance)
    return None


def _words(line: str) -> list[Word]:
    return [(match[0], match.lastgroup) for match in _WORD.finditer(line)]


def _alike(old: Word, new: Word, terms: Terms, manner: Manner) -> bool:
    kinds = {old[1], new[1]}
    if kinds == {"number"}:
        return _close(old[0], new[0], terms) or both_now_in_seconds(old[0], new[0], terms, manner)
    if kinds == {"clock"}:
        return manner == "log"
    return kinds == {"moment"} and both_now(old[0], new[0], terms, manner)


def _close(old: str, new: str, terms: Terms) -> bool:
    whole = [_WHOLE.fullmatch(text) is not None for text in (old, new)]
    if all(whole):  # exact, but for the sign of zero, and what `id` gives
        if _is_address(old) and _is_address(new):
            return True
        return old.lstrip("+-") == new.lstrip("+-") and not old.strip("+-0")
    # 1 and 1.0 are of different types.
    return not any(whole) and terms.rules.close(float(old), float(new))


def _is_address(number: str) -> bool:
    """Whether a whole number is what `id` gives on Linux: in the upper or lower part of a process, and aligned."""
    return len(number) in {14, 15} and hex(int(number))[:4] in {"0x7e", "0x7f", "0x55", "0x56"} and not int(number) % 16


def both_now_in_seconds(old: str, new: str, terms: Terms, manner: Manner) -> bool:
    """Whether both are seconds since 1970 at which their cells ran; known only where the recordings say when."""
    return terms.then is not None and terms.now is not None and both_now(old, new, terms, manner)
