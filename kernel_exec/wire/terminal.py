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

    __slots__ = ("_cells", "_cursor", "_done", "_done_size", "_gap", "_line", "_line_size")

    def __init__(self, text: str = "") -> None:
        self._done: list[str] = []
        self._done_size = 0
        self._line: list[str] = []
        self._line_size = 0
        self._cells: bytearray | None = None  # the line in UTF-32, while it is written over: in place, however long
        self._cursor: int | None = None  # None: at the end of the line
        self._gap: tuple[int, int] | None = None  # where the text stands that stands for what was left out
        self.write(text)

    @property
    def size(self) -> int:
        """Bytes of the text in UTF-8."""
        return self._done_size + self._line_size

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
        line = self._line_text()
        return "".join((*self._done, line)) if line else self._done[0] if self._done else ""

    def _line_text(self) -> str:
        return "".join(self._line) if self._cells is None else _text(self._cells)

    def _set(self, head: str, tail: str) -> None:
        self._done = [head]
        self._done_size = byte_length(head)
        self._set_line([])
        self._append(tail)

    def _set_line(self, line: list[str]) -> None:
        self._line, self._cells, self._cursor = line, None, None
        self._line_size = sum(map(byte_length, line))

    def _append(self, text: str) -> None:
        lines, newline, rest = text.rpartition("\n")
        if newline:
            done = (self._line_text(), lines, newline)
            self._done += done
            self._done_size += self._line_size + byte_length(lines) + 1
            self._set_line([])
        if rest:
            self._line_size += byte_length(rest)
            if self._cells is None:
                self._line.append(rest)
            else:
                self._cells += _cells_of(rest)

    def _put(self, text: str) -> None:
        if self._cursor is None or self._cells is None:
            self._append(text)
            return
        cells, start = _cells_of(text), _WIDTH * self._cursor
        end = min(start + len(cells), len(self._cells))
        self._line_size += byte_length(text) - byte_length(_text(self._cells[start:end]))
        self._cells[start:end] = cells
        self._cursor = (start + len(cells)) // _WIDTH
        if self._cursor * _WIDTH == len(self._cells):
            self._cursor = None

    def _control(self, character: str) -> None:
        if character == "\n":
            self._append("\n")
        elif character == "\r":
            self._go_to(0)
        else:
            self._backspace()

    def _go_to(self, cursor: int) -> None:
        """Go to a place in the line, where there is one."""
        if self._cells is None:
            self._cells = bytearray(_cells_of("".join(self._line)))
            self._line = []
        self._cursor = cursor if self._cells else None

    def _backspace(self) -> None:
        if self._cursor is not None:
            self._cursor = max(0, self._cursor - 1)
            return
        self._go_to(0)
        self._cursor = None
        assert self._cells is not None
        self._line_size -= byte_length(_text(self._cells[-_WIDTH:]))
        del self._cells[-_WIDTH:]


_WIDTH = 4


def _cells_of(text: str) -> bytes:
    return text.encode("utf-32-le", "surrogatepass")


def _text(cells: bytearray) -> str:
    return cells.decode("utf-32-le", "surrogatepass")
