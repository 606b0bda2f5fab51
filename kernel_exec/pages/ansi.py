"""Text with colours as terminals have them, as HTML. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape

from kernel_exec.wire.terminal import TerminalText, strip_ansi

_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_BASE = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STEPS = (0, 95, 135, 175, 215, 255)
"""What the six levels of the 256 colours mean (https://en.wikipedia.org/wiki/ANSI_escape_code#8-bit)."""
_SPACES = "\n\t\u00a0\u2002\u2003\u2009\u200c\u200d\u202f\u3000"
"""What is no letter and is kept all the same: white space, and what joins letters."""
_HARMLESS = re.compile(r"[\x20-\x7e\n\t]*")


@dataclass(frozen=True, slots=True)
class _Looks:
    """How the text looks from here on.

    Attributes:
        marks: names of the styles that hold: bold, faint, italic, underline, struck.
        front: colour of the letters: a name, or numbers for red, green and blue; "" for the page's own.
        back: that behind them.
        inverse: the two are swapped.
    """

    marks: frozenset[str] = frozenset()
    front: str = ""
    back: str = ""
    inverse: bool = False


_PLAIN = _Looks()
_MARKS = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 9: "struck"}
_UNMARKS = {22: {"bold", "faint"}, 23: {"italic"}, 24: {"underline"}, 29: {"struck"}}


def ansi_html(text: str) -> str:
    """Return text as HTML: its colours and styles, with overwritten lines folded and all other controls gone."""
    if _HARMLESS.fullmatch(text):
        return escape(text)
    if "\r" in text or "\b" in text:
        text = str(TerminalText(text))
    parts: list[str] = []
    looks = _PLAIN
    end = 0
    for match in _SGR.finditer(text):
        parts.append(_span(text[end : match.start()], looks))
        looks = _after(looks, match[1])
        end = match.end()
    parts.append(_span(text[end:], looks))
    return "".join(parts)


def plain(text: str) -> str:
    """Return text without controls of any kind, also those that turn the direction of what stands around them."""
    if _HARMLESS.fullmatch(text):
        return text
    return "".join(char for char in strip_ansi(text) if char.isprintable() or char in _SPACES)


def _span(text: str, looks: _Looks) -> str:
    safe = escape(plain(text), quote=True)
    if looks == _PLAIN or not safe:
        return safe
    front, back = (looks.back or "page", looks.front or "ink") if looks.inverse else (looks.front, looks.back)
    classes = " ".join((*sorted(looks.marks), *_named("c", front, free=not back), *_named("b", back)))
    style = ";".join((*_numbers("--c", front), *_numbers("--b", back)))
    styled = f' style="{style}"' if style else ""
    return f'<span class="{classes}"{styled}>{safe}</span>'


def _named(prefix: str, colour: str, *, free: bool = False) -> list[str]:
    """Return the class of a colour.

    Args:
        prefix: of the class.
        colour: the colour.
        free: there is only the page behind it, so that it may be made darker or lighter to be read.
    """
    is_number = colour[:1].isdigit()
    return [f"{prefix}-{('free' if free else 'rgb') if is_number else colour}"] if colour else []


def _numbers(name: str, colour: str) -> list[str]:
    return [f"{name}:{colour}"] if colour[:1].isdigit() else []


def _after(looks: _Looks, codes: str) -> _Looks:
    """Return how text looks behind a sequence of codes."""
    numbers = [int(code) if code.isdigit() and len(code) < 9 else 0 for code in re.split("[;:]", codes)] or [0]
    while numbers:
        code = numbers.pop(0)
        if code in {38, 48}:
            colour = _colour(numbers)
            looks = replace(looks, front=colour) if code == 38 else replace(looks, back=colour)
        else:
            looks = _changed(looks, code)
    return looks


def _changed(looks: _Looks, code: int) -> _Looks:
    if code == 0:
        return _PLAIN
    if code in _MARKS:
        return replace(looks, marks=looks.marks | {_MARKS[code]})
    if code in _UNMARKS:
        return replace(looks, marks=looks.marks - _UNMARKS[code])
    if code in {7, 27}:
        return replace(looks, inverse=code == 7)
    return _coloured(looks, *divmod(code, 10))


def _coloured(looks: _Looks, tens: int, colour: int) -> _Looks:
    """Return how text looks behind a code for one of the eight colours, dark or bright, or for none."""
    named = _BASE[colour] if colour < 8 else ""
    if tens in {3, 9} and (named or (tens, colour) == (3, 9)):
        return replace(looks, front=named)
    if tens in {4, 10} and (named or (tens, colour) == (4, 9)):
        return replace(looks, back=named)
    return looks


def _colour(numbers: list[int]) -> str:
    """Take a colour of 256, or of 24 bits, from what follows its code; return it."""
    kind = numbers.pop(0) if numbers else 0
    taken = 1 if kind == 5 else 3 if kind == 2 else 0
    values = [min(number, 255) for number in numbers[:taken]]
    del numbers[:taken]
    if len(values) < taken or not values:
        return ""
    return ",".join(map(str, values)) if kind == 2 else _of_256(values[0])


def _of_256(number: int) -> str:
    if number < 16:
        return _BASE[number % 8]
    if number < 232:
        red, rest = divmod(number - 16, 36)
        return ",".join(str(_STEPS[step]) for step in (red, *divmod(rest, 6)))
    return ",".join([str(8 + 10 * (number - 232))] * 3)
