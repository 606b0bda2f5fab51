"""Text folded as a terminal shows it; the expectations are what JupyterLab shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_exec.wire.terminal import TerminalText, strip_ansi


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\n", "two\nlines\n"),
        ("10%\r20%\r100%", "100%"),
        ("abcdef\rXY", "XYcdef"),
        ("abc\r", "abc"),
        ("abc\r\ndef", "abc\ndef"),
        ("abc\r\r\n", "abc\n"),
        ("old\nabc\rX", "old\nXbc"),
        ("ab\bc", "ac"),
        ("abc\b\b\bxyz", "xyz"),
        ("\b\bx", "x"),
        ("a\n\bb", "a\nb"),
        ("abc\r\bX", "Xbc"),
        ("abcd\rXY\bZ", "XZcd"),
        ("\r\rx", "x"),
        ("50%\r\n", "50%\n"),
        ("abc\rXY\nnext", "XYc\nnext"),
        ("", ""),
    ],
)
def test_folding(text: str, shown: str) -> None:
    assert str(TerminalText(text)) == shown


@given(st.lists(st.text("ab\n\r\b", max_size=8)))
def test_pieces_do_not_matter(pieces: list[str]) -> None:
    whole, parts = TerminalText("".join(pieces)), TerminalText()
    for piece in pieces:
        parts.write(piece)
    assert str(parts) == str(whole)


@given(st.text("abc é\n\t"))
def test_text_without_control_characters_is_left_alone(text: str) -> None:
    assert str(TerminalText(text)) == text


@given(st.text("ab\n\r\b"))
def test_what_is_shown_holds_no_control_characters(text: str) -> None:
    shown = str(TerminalText(text))
    assert "\r" not in shown
    assert "\b" not in shown
    assert shown.count("\n") == text.count("\n")


def test_a_progress_bar_takes_one_line_of_memory() -> None:
    text = TerminalText()
    for step in range(10_000):
        text.write(f"\r{step:06d}")
    assert str(text) == "009999"
    assert text.size == 6


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;5;208mx\x1b[39;49;00m", "x"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x1b[2Kb", "ab"),
        ("[31m no escape", "[31m no escape"),
    ],
)
def test_ansi_is_stripped(text: str, plain: str) -> None:
    assert strip_ansi(text) == plain


@pytest.mark.parametrize("edits", ["\rb", "\b", "\r\bx", "\r\u4e2d"])
def test_a_long_line_is_written_over_in_place(edits: str) -> None:
    """A million controls on a line of a million characters: a copy of the line for each would take minutes."""
    text = TerminalText("a" * 1_000_000 + edits * 200_000)
    assert text.size == len(str(text).encode())
