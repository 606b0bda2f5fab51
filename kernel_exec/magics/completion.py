"""What Tab offers: commands, options and sessions on the magics' lines, and in a body what its kernel knows."""

from __future__ import annotations

from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from kernel_exec.errors import KernelExecError
from kernel_exec.magics.arguments import COMMANDS, NAMES_ONE, options_of, parsed_cell
from kernel_exec.magics.errors import UsageError
from kernel_exec.magics.sessions import Sessions

PATIENCE = 1.0
"""Seconds that a session's kernel has for its answer: until then this notebook's kernel does nothing else."""


class Completion:
    """A matcher for IPython's completer.

    Args:
        sessions: those of the notebook.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

        def kx_matcher(context: CompletionContext) -> SimpleMatcherResult:
            return self._matches(context)

        self._matcher: Any = context_matcher()(kx_matcher)
        self._matcher.matcher_priority = 1000  # before all others, as in these cells there is nothing for them

    def add_to(self, shell: InteractiveShell) -> None:
        """Have the shell's completer ask here first."""
        shell.Completer.custom_matchers.append(self._matcher)

    def remove_from(self, shell: InteractiveShell) -> None:
        """Have it no longer ask."""
        if self._matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(self._matcher)

    def _matches(self, context: CompletionContext) -> SimpleMatcherResult:
        lines = context.full_text.split("\n")
        before = lines[context.cursor_line][: context.cursor_position]
        if context.cursor_line == 0 and before.startswith("%%kx "):
            return self._line(before.removeprefix("%%kx "), cell=True)
        if before.lstrip().startswith("%kx "):
            return self._line(before.lstrip().removeprefix("%kx "), cell=False)
        if context.cursor_line > 0 and (lines[0] + " ").startswith("%%kx "):
            body = "\n".join(lines[1:])
            cursor = sum(len(line) + 1 for line in lines[1 : context.cursor_line]) + context.cursor_position
            return self._body(lines[0].removeprefix("%%kx"), body, cursor)
        return _result([], "", suppress=False)

    def _line(self, text: str, *, cell: bool) -> SimpleMatcherResult:
        *words, word = text.split(" ")
        words = [one for one in words if one]
        names = [session.name for session in self._sessions.all]
        if word.startswith("-"):
            offered = options_of(words, cell=cell)
        elif cell:
            offered = [] if words and words[-1] in ("-i", "-o", "--timeout") else names
        elif not words:
            offered = list(COMMANDS)
        else:
            offered = names if words[0] in NAMES_ONE else []
        found = [one for one in offered if one.startswith(word)]
        return _result(found, word, suppress=bool(found))

    def _body(self, line: str, body: str, cursor: int) -> SimpleMatcherResult:
        try:
            session = self._sessions.find(parsed_cell(line).name)
            if session is None or session.state == "dead":
                return _result([], "", suppress=False)
            complete = session.executor.complete
            found = self._sessions.call(lambda: complete(body, cursor, timeout=PATIENCE))
        except (UsageError, KernelExecError):  # nobody is told while typing
            return _result([], "", suppress=False)
        # IPython replaces what stands before the cursor, and completes nothing that reaches over a line.
        return _result(list(found.matches), body[found.start : cursor], suppress=True)


def _result(texts: list[str], fragment: str, *, suppress: bool) -> SimpleMatcherResult:
    return SimpleMatcherResult(
        completions=[SimpleCompletion(text) for text in texts],
        matched_fragment=fragment,
        suppress=suppress,
        ordered=True,
    )
