"""The line editor of the console: history, completion, cells of several lines."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, completion_is_selected, has_completions, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer, PygmentsLexer

from kernel_exec.errors import KernelExecError
from kernel_exec.results import Completions, Inspection

Indent = Callable[[str], int | None]
"""How far the line below a cell's text is indented, in spaces; None when the cell is complete."""

INDENT = 4
_NAME = r"[%!]{0,2}[^\W\d]\w*(?:\.[^\W\d]\w*|\[\w+\])*"
_QUESTION = re.compile(rf"\s*(?:(\?{{1,2}})\s*({_NAME})|({_NAME})\s*(\?{{1,2}}))\s*")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a name.

    Attributes:
        name: the name, with attributes and the like.
        detail: 0 for what it is, 1 for its source too.
    """

    name: str
    detail: int


class Helper(Protocol):
    """What the prompt asks the kernel, through the executor."""

    def complete(self, code: str, cursor: int | None = None) -> Completions:
        """Return what `code` could go on with at the cursor."""

    def inspect(self, code: str, cursor: int | None = None, detail: int = 0) -> Inspection:
        """Return what is known of the object at the cursor; with `detail` 1 its source too."""


def make_prompt(helper: Helper, *, language: str, history: History) -> PromptSession[str]:
    """Return the prompt of a session.

    Args:
        helper: completes.
        language: of the kernel; Python's cells are known to be complete or not, others run on Enter.
        history: earlier cells.
    """
    return PromptSession(
        history=history,
        completer=KernelCompleter(helper),
        complete_in_thread=True,
        complete_while_typing=False,
        lexer=_lexer(language),
        multiline=True,
        prompt_continuation=_continuation,
        key_bindings=key_bindings(python_indent if language == "python" else lambda _: None),
        enable_history_search=True,
        enable_suspend=True,
    )


class KernelCompleter(Completer):
    """Completes with what the kernel offers; a kernel that cannot, or will not, offers nothing."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what could stand at the cursor."""
        try:
            found = self._helper.complete(document.text, document.cursor_position)
        except KernelExecError:
            return iter(())
        return completions_of(found, document.cursor_position)


def completions_of(found: Completions, cursor: int) -> Iterator[Completion]:
    """Yield the kernel's completions in the editor's terms; texts that are more than that are left out."""
    start = min(max(found.start, 0), cursor)
    for text in found.matches:
        if text.isprintable():
            yield Completion(text, start_position=start - cursor)


def python_indent(text: str) -> int | None:
    """Return how far the line below some Python is indented; None when it can be run."""
    from IPython.core.inputtransformer2 import TransformerManager

    if text.startswith("%%") and text.endswith("\n"):  # an empty line ends the cell of a magic
        return None
    try:
        state, indent = TransformerManager().check_complete(text)
    except (RecursionError, MemoryError):  # too deep for a compiler; the kernel's will say so
        return None
    return (indent or 0) if state == "incomplete" else None


def question(text: str) -> Question | None:
    """Return what `name?` or `?name` asks for; None when it is no such question."""
    match = _QUESTION.fullmatch(text)
    return Question(match[2] or match[3], len(match[1] or match[4]) - 1) if match else None


def wants_to_leave(text: str) -> bool:
    """Whether a cell is the wish to leave."""
    return text.strip().rstrip(";") in {"exit", "quit", "exit()", "quit()"}


def key_bindings(indent: Indent) -> KeyBindings:
    """Return what keys mean, beside what they mean everywhere.

    Args:
        indent: tells whether a cell is complete.
    """
    keys = KeyBindings()
    editing = has_focus("DEFAULT_BUFFER")

    @Condition
    def at_line_start() -> bool:
        return not get_app().current_buffer.document.current_line_before_cursor.strip()

    @keys.add("enter", filter=editing & ~completion_is_selected)
    def _(event: KeyPressEvent) -> None:
        """Run a complete cell; go on with another."""
        buffer = event.current_buffer
        spaces = indent(buffer.text) if buffer.document.is_cursor_at_the_end or _rest_is_blank(buffer.document) else 0
        if spaces is None:
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n" + " " * spaces)

    @keys.add("enter", filter=editing & completion_is_selected)
    def _(event: KeyPressEvent) -> None:
        """Take the chosen completion."""
        event.current_buffer.complete_state = None

    @keys.add("escape", "enter", filter=editing)
    def _(event: KeyPressEvent) -> None:
        """Start a line, whatever the cell is."""
        event.current_buffer.newline()

    @keys.add("tab", filter=editing & at_line_start & ~has_completions)
    def _(event: KeyPressEvent) -> None:
        """Indent, where there is nothing to complete."""
        event.current_buffer.insert_text(" " * INDENT)

    return keys


def _rest_is_blank(document: Document) -> bool:
    return not document.text_after_cursor.strip()


def open_history(path: Path | None) -> tuple[History, str | None]:
    """Return the history that is kept in a file, and None; or one that ends with the session, and why.

    Args:
        path: the file, made readable for its owner only; None when there is no place for one.
    """
    if path is None:
        return InMemoryHistory(), "there is no home directory"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return InMemoryHistory(), f"{path} cannot be written: {error.strerror}"
    return KeptHistory(str(path)), None


def history_path() -> Path | None:
    """Return where the history is kept: in the user's data directory; None where there is no home."""
    data = os.environ.get("XDG_DATA_HOME", "")
    try:
        home = Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share"
    except RuntimeError:
        return None
    return home / "kernel-exec" / "history"


class KeptHistory(FileHistory):
    """A history in a file that may become unwritable, which is no reason to lose the session."""

    def store_string(self, string: str) -> None:
        """Append a cell."""
        with contextlib.suppress(OSError):
            super().store_string(string)


def _continuation(width: int, line_number: int, wrap_count: int) -> StyleAndTextTuples:
    return [("class:continuation", "...: ".rjust(width))]


def _lexer(language: str) -> Lexer | None:
    """Return what colours the code; None where nothing knows its language."""
    try:
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound
    except ImportError:
        return None
    try:
        return PygmentsLexer(type(get_lexer_by_name(language)))
    except ClassNotFound:
        return None
