"""What is told of matplotlib's warnings, whatever version of it wrote them and whatever stands around them."""

from __future__ import annotations

import time

import pytest

from kernel_exec.glyphs import Glyphs, without_warnings

OLD = "/x.py:5: UserWarning: Glyph 20013 (\\N{CJK UNIFIED IDEOGRAPH-4E2D}) missing from current font.\n  draw()\n"
NEW = "/x.py:5: UserWarning: Glyph 128579 (\\N{UPSIDE-DOWN FACE}) missing from font(s) DejaVu Sans.\n  draw()\n"
RARE = "/x.py:5: UserWarning: Glyph 131072 (\\N{x}) missing from font(s) DejaVu Sans, Noto Sans CJK SC.\n  draw()\n"
FORMULA = "Font 'rm' does not have a glyph for '\\u4e2d' [U+4e2d], substituting with a dummy symbol.\n"


@pytest.mark.parametrize("text", [OLD, NEW, RARE, FORMULA])
def test_the_lines_of_a_warning_are_taken_out_and_no_others(text: str) -> None:
    assert without_warnings(f"one\n{text}two\n  three\n{text}") == "one\ntwo\n  three\n"


def test_each_kind_of_character_has_its_remedy() -> None:
    (chinese, smiley), again = Glyphs().told(OLD + NEW + OLD)
    assert chinese.startswith("1 character could not be drawn (中): no font that matplotlib uses here")
    assert "apt-get install" in chinese
    assert smiley.startswith("1 character could not be drawn (\U0001f643): no font that matplotlib uses here")
    assert "apt-get" not in smiley
    assert not again


def test_a_font_for_chinese_that_is_there_is_no_remedy() -> None:
    (rare,), _ = Glyphs().told(RARE)
    assert "(DejaVu Sans, Noto Sans CJK SC) has it" in rare
    assert "apt-get" not in rare


def test_a_character_is_told_once_in_a_session() -> None:
    glyphs = Glyphs()
    assert len(glyphs.told(OLD + FORMULA)[0]) == 1
    assert glyphs.told("nothing") == ([], [])
    assert glyphs.told(FORMULA) == ([], ["1 character could not be drawn (中), as told before"])
    fresh, again = glyphs.told(NEW + OLD)
    assert (len(fresh), len(again)) == (1, 1)


def test_what_a_kernel_makes_up_does_no_harm() -> None:
    made_up = "Glyph 9999999 (x) missing from font(s) x\nGlyph 27 (\x1b) missing from font(s) \x1b]0;title\x07\n"
    (sentence,), _ = Glyphs().told(made_up + "Glyph 55296 () missing from font(s) y")
    assert sentence.startswith("2 characters could not be drawn (\\x1b\\ud800)")
    assert sentence.isprintable()


@pytest.mark.parametrize(
    "line",
    [
        "missing from" + "a" * 4000,
        ":1: UserWarning: " * 200 + "missing from",
        "Glyph 1 (" * 200 + "missing from",
        "Glyph 1 () missing from font(s) " * 100,
        "Font " + " does not have a glyph for [U+1" * 100,
    ],
)
def test_much_of_it_takes_no_time(line: str) -> None:
    text = (line + "\n") * (2**22 // len(line))
    start = time.process_time()
    Glyphs().told(text)
    without_warnings(text)
    assert time.process_time() - start < 3
