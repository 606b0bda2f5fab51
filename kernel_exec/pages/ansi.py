"""Text with colours as terminals have them, as HTML. Pure."""

from __future__ import annotations

import re
from html import escape

from kernel_exec.wire.terminal import strip_ansi

_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_BASE = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def ansi_html(text: str) -> str:
    """Return text as HTML: its basic colours and bold as classes, all other control sequences gone."""
    parts: list[str] = []
    classes: list[str] = []
    end = 0
    for match in _SGR.finditer(text):
        parts.append(_span(text[end : match.start()], classes))
        classes = _after(classes, match[1])
        end = match.end()
    parts.append(_span(text[end:], classes))
    return "".join(parts)


def _span(text: str, classes: list[str]) -> str:
    safe = escape("".join(char for char in strip_ansi(text) if char.isprintable() or char in "\n\t"), quote=True)
    return f'<span class="{" ".join(classes)}">{safe}</span>' if classes and safe else safe


def _after(classes: list[str], codes: str) -> list[str]:
    """Return the classes that hold behind a sequence of codes."""
    numbers = [int(code) if code.isdigit() else 0 for code in re.split("[;:]", codes)] or [0]
    found = list(classes)
    position = 0
    while position < len(numbers):
        code = numbers[position]
        if code == 0:
            found = []
        elif code == 1:
            found = [*(name for name in found if name != "bold"), "bold"]
        elif code in (38, 48):  # 256 colours, or 24 bits: as many numbers as they take
            position += 2 if numbers[position + 1 : position + 2] == [5] else 4
        elif 30 <= code <= 37 or 90 <= code <= 97:
            found = [*(name for name in found if not name.startswith("c-")), f"c-{_BASE[code % 10]}"]
        elif code == 39:
            found = [name for name in found if not name.startswith("c-")]
        position += 1
    return found
