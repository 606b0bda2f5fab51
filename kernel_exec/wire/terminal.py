"""What a terminal shows of a text: carriage returns and backspaces folded as Jupyter's front ends do."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\n\r\b]")
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
    r"|[@-Z\\-_])"
)


def strip_ansi(text: str) -> str:
    """Return `text` without ANSI escape sequences (colours, cursor movements, titles)."""
    return _ANSI.sub("", text)


class TerminalText:
    """Text that arrives in pieces, folded as it comes, so that a progress bar takes one line of memory.

    A carriage return goes to the start of the line and what follows writes over it. A backspace removes the last
    character of the line, or goes back one where the line goes on, and never removes a newline. A newline ends the
    line wherever the cursor stands.
    """

    __slots__ = ("_cursor", "_done", "_line")

    def __init__(self, text: str = "") -> None:
        self._done: list[str] = []
        self._line: list[str] = []
        self._cursor: int | None = None  # None: at the end of the line
        self.write(text)

    def write(self, text: str) -> None:
        """Add the next piece."""
        if self._cursor is None and "\r" not in text and "\b" not in text:
            self._append(text)
            return
        start = 0
        for match in _CONTROL.finditer(text):
            self._put(text[start : match.start()])
            self._control(match[0])
            start = match.end()
        self._put(text[start:])

    def __str__(self) -> str:
        return "".join((*self._done, *self._line))

    def _append(self, text: str) -> None:
        lines, newline, rest = text.rpartition("\n")
        if newline:
            self._done += (*self._line, lines, newline)
            self._line.clear()
        if rest:
            self._line.append(rest)

    def _put(self, text: str) -> None:
        if self._cursor is None:
            self._append(text)
        elif text:
            line, end = "".join(self._line), self._cursor + len(text)
            self._line = [line[: self._cursor], text, line[end:]]
            self._cursor = end if end < len(line) else None

    def _control(self, character: str) -> None:
        if character == "\n":
            self._cursor = None
            self._append("\n")
        elif character == "\r":
            self._cursor = 0 if any(self._line) else None
        else:
            self._backspace()

    def _backspace(self) -> None:
        if self._cursor is not None:
            self._cursor = max(0, self._cursor - 1)
        else:
            self._line = ["".join(self._line)[:-1]]
