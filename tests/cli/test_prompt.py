"""What keys and texts mean at the console's prompt."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from kernel_exec.cli.prompt import (
    Question,
    completions_of,
    history_path,
    make_prompt,
    open_history,
    python_indent,
    question,
    wants_to_leave,
)
from kernel_exec.errors import KernelExecError
from kernel_exec.results import Completions, Inspection

ENTER, ALT_ENTER, TAB, LEFT, UP = "\r", "\x1b\r", "\t", "\x1b[D", "\x1b[A"


class Helper:
    """Knows a few words; fails for one."""

    def complete(self, code: str, cursor: int | None = None) -> Completions:
        cursor = len(code) if cursor is None else cursor
        start = max(code.rfind(" ", 0, cursor), code.rfind("\n", 0, cursor)) + 1
        word = code[start:cursor]
        if word == "fail":
            raise KernelExecError("no")
        return Completions(tuple(one for one in ("alpha", "beta", "better") if one.startswith(word)), start, cursor)

    def inspect(self, code: str, cursor: int | None = None, detail: int = 0) -> Inspection:
        return Inspection(found=False)


def typed(keys: str, *, language: str = "python", history: InMemoryHistory | None = None) -> str:
    """Return the cell that keys make."""
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=DummyOutput()):
        keyboard.send_text(keys)
        return make_prompt(Helper(), language=language, history=history or InMemoryHistory()).prompt()


@pytest.mark.parametrize(
    ("keys", "cell"),
    [
        ("1 + 1" + ENTER, "1 + 1"),
        (ENTER, ""),
        ("for x in y:" + ENTER + "x" + ENTER + ENTER, "for x in y:\n    x\n    "),
        ("f(" + ENTER + ")" + ENTER, "f(\n)"),
        ("1" + ALT_ENTER + "2" + ENTER, "1\n2"),
        ("if" + ENTER, "if"),  # wrong, and the kernel says how
        ('"""' + ENTER + '"""' + ENTER, '"""\n"""'),
        ("ab" + LEFT + ENTER + "c" + "\x1b[F" + ENTER, "a\ncb"),  # Enter within a line breaks it
        (TAB + "x" + ENTER, "    x"),
        ("%%bash" + ENTER + "ls" + ENTER + ENTER, "%%bash\nls\n"),
    ],
)
def test_enter_runs_what_is_complete(keys: str, cell: str) -> None:
    assert typed(keys) == cell


def test_a_pasted_text_is_one_cell() -> None:
    text = "def f(x):\n    return x\n\nf(1)"
    assert typed(f"\x1b[200~{text}\x1b[201~" + ENTER) == text


def test_other_languages_run_on_enter() -> None:
    assert typed("f(" + ENTER, language="R") == "f("
    assert typed("f(" + ALT_ENTER + ")" + ENTER, language="no such language") == "f(\n)"


def test_ctrl_c_and_ctrl_d() -> None:
    with pytest.raises(KeyboardInterrupt):
        typed("x\x03")
    with pytest.raises(EOFError):
        typed("\x04")


def test_history_comes_back() -> None:
    history = InMemoryHistory(["first", "for x in y:\n    x"])
    assert typed(UP + UP + UP + ENTER, history=history) == "first"


def test_completions_replace_what_they_complete() -> None:
    found = list(completions_of(Completions(("alpha", "al\x1b[2J", "al\nb"), 2, 4), 4))
    assert [(one.text, one.start_position) for one in found] == [("alpha", -2)]


@settings(deadline=None)
@given(st.integers(), st.integers(), st.integers(0, 10), st.lists(st.text(), max_size=5))
def test_no_completion_harms_the_editor(start: int, end: int, cursor: int, matches: list[str]) -> None:
    for one in completions_of(Completions(tuple(matches), start, end), cursor):
        assert -cursor <= one.start_position <= 0
        assert one.text.isprintable()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("x?", Question("x", 0)),
        ("x??", Question("x", 1)),
        (" ?x.y ", Question("x.y", 0)),
        ("??x", Question("x", 1)),
        ("x[0].y ?", Question("x[0].y", 0)),
        ("%time?", Question("%time", 0)),
        ("über?", Question("über", 0)),
        ("x???", None),
        ("x", None),
        ("?", None),
        ("x ? y", None),
        ("1?", None),
        ("f(x)?", None),
        ("x?\ny", None),
    ],
)
def test_questions(text: str, asked: Question | None) -> None:
    assert question(text) == asked


def test_leaving() -> None:
    assert all(map(wants_to_leave, ["exit", "quit", " exit() ", "quit();", "exit\n"]))
    assert not any(map(wants_to_leave, ["exit(1)", "exiting", "x = exit", "", "exit; 1"]))


@pytest.mark.parametrize(
    ("text", "indent"), [("1", None), ("if 1:", 4), ("f(", 0), ("if 1:\n    if 2:", 8), ("1 +", None)]
)
def test_python_is_complete_or_not(text: str, indent: int | None) -> None:
    assert python_indent(text) == indent


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([*"()'\\\n%!?@#:{} \0\r\x0c", '"""', "if x:", "f'{", "0777", "await ", "\ud800"]), max_size=9
    )
)
@example(["x=", *["1+"] * 20_000, "1"])
@example(["("] * 100_000)
def test_no_code_is_an_error_at_the_prompt(parts: list[str]) -> None:
    indent = python_indent("".join(parts))
    assert indent is None or indent >= 0


def test_the_history_is_a_file_of_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "history"
    before = os.umask(0)
    try:
        history, trouble = open_history(path)
    finally:
        os.umask(before)
    assert (trouble, path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (None, 0o600, 0o700)
    history.append_string("for x in y:\n    x")
    history.append_string("ü")
    again, _ = open_history(path)
    assert list(again.load_history_strings()) == ["ü", "for x in y:\n    x"]


def test_a_history_that_was_spoilt_still_opens(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"\xff\xfe\0+1\n+\xff\n\n# x\n")
    history, trouble = open_history(tmp_path / "history")
    assert trouble is None
    assert isinstance(list(history.load_history_strings()), list)


def in_a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "history"


@pytest.mark.parametrize("place", [in_a_file, lambda folder: folder, lambda _: Path("/proc/history"), lambda _: None])
def test_where_no_history_can_be_kept(place: Callable[[Path], Path | None], tmp_path: Path) -> None:
    history, trouble = open_history(place(tmp_path))
    assert trouble
    history.append_string("kept for now")
    assert history.get_strings() == ["kept for now"]


def test_a_history_that_becomes_unwritable_is_no_error(tmp_path: Path) -> None:
    history, _ = open_history(tmp_path / "history")
    (tmp_path / "history").unlink()
    (tmp_path / "history").mkdir()
    history.append_string("kept for now")
    assert "kept for now" in history.get_strings()


def test_where_the_history_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert history_path() == tmp_path / "kernel-exec" / "history"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # to be ignored, says the specification
    monkeypatch.setenv("HOME", str(tmp_path))
    assert history_path() == tmp_path / ".local" / "share" / "kernel-exec" / "history"
