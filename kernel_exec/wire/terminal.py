"""What a terminal shows of a text: carriage returns and backspaces folded as Jupyter's front ends do."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\n\r\b]")
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
    r"|[@-Z\\-_])"
)


def byte_length(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def head_of(text: str, size: int) -> str:
    """Return the beginning of a text that takes at most `size` bytes in UTF-8."""
    size = max(0, size)
    return text[:size] if text.isascii() else text[:size].encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def strip_ansi(text: str) -> str:
    """Return `text` without ANSI escape sequences (colours, cursor movements, titles)."""
    return _ANSI.sub("", text)


class TerminalText:
    """Text that arrives in pieces, folded as it comes, so that a progress bar takes one line of memory.

    A carriage return goes to the start of the line and what follows writes over it. A backspace removes the last
    character of the line, or goes back one where the line goes on, and never removes a newline. A newline ends the
    line wherever the cursor stands.
    """

    __slots__ = ("_cursor", "_done", "_done_size", "_gap", "_line")

    def __init__(self, text: str = "") -> None:
        self._done: list[str] = []
        self._done_size = 0
        self._line: list[str] = []
        self._cursor: int | None = None  # None: at the end of the line
        self._gap: tuple[int, int] | None = None  # where the text stands that stands for what was left out
        self.write(text)

    @property
    def size(self) -> int:
        """Bytes of the text in UTF-8."""
        return self._done_size + sum(map(byte_length, self._line))

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

    def leave_out(self, head: int, count: int) -> int:
        """Leave characters out, behind the first ones and what was left out there before.

        Args:
            head: characters at the beginning that stay.
            count: characters to leave out; not more than `tail_length`.

        Returns:
            How many bytes that was.
        """
        whole = str(self)
        start, end = self._gap or (head, head)
        removed = byte_length(whole[end : end + count])
        self._set(whole[:end], whole[end + count :])
        self._gap = (start, end)
        return removed

    def fill_gap(self, text: str) -> None:
        """Put a text in the place of what was left out."""
        if self._gap is not None:
            whole, (start, end) = str(self), self._gap
            self._set(whole[:start] + text, whole[end:])
            self._gap = (start, start + len(text))

    def tail_length(self, head: int) -> int:
        """Characters behind the first `head` ones and what was left out there."""
        return max(0, len(str(self)) - (self._gap[1] if self._gap else head))

    def __str__(self) -> str:
        if len(self._done) > 1:  # kept joined: who asks again gets the same object
            self._done = ["".join(self._done)]
        return "".join((*self._done, *self._line)) if self._line else self._done[0] if self._done else ""

    def _set(self, head: str, tail: str) -> None:
        self._done = [head]
        self._done_size = byte_length(head)
        self._line.clear()
        self._cursor = None
        self._append(tail)

    def _append(self, text: str) -> None:
        lines, newline, rest = text.rpartition("\n")
        if newline:
            done = (*self._line, lines, newline)
            self._done += done
            self._done_size += sum(map(byte_length, done))
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
