"""Which outputs belong to each other, what cells say of themselves, and how cells end."""

from __future__ import annotations

from typing import Any

import pytest

from kernel_exec.compare import Rules, cell_differences, differences
from tests.compare.cells import cell, display, error, result, stream


def kinds(old: dict[str, Any], new: dict[str, Any], rules: Rules | None = None) -> list[str]:
    return [difference.kind for difference in cell_differences(old, new, rules or Rules())]


@pytest.mark.parametrize(
    ("new", "found"),
    [
        ([stream("a"), result("1")], []),
        ([stream("a"), result("1"), stream("b")], ["extra output"]),
        ([result("1")], ["missing output"]),
        ([result("1"), stream("a")], ["order"]),
        ([stream("b"), result("1")], ["text"]),
        ([stream("b"), result("2")], ["text", "number"]),
        ([], ["missing output", "missing output"]),
        ([display(text_plain="1"), stream("a"), result("1")], ["extra output"]),
        ([stream("a"), error("ValueError", "x")], ["missing output", "extra output"]),
    ],
)
def test_which_output_is_which(new: list[Any], found: list[str]) -> None:
    assert sorted(kinds(cell(stream("a"), result("1")), cell(*new))) == sorted(found)


def test_the_middle_one_of_many_that_is_gone_is_the_one_that_is_told() -> None:
    outputs = [display(text_plain=name) for name in "abcdef"]
    (found,) = cell_differences(cell(*outputs), cell(*outputs[:2], *outputs[3:]))
    assert (found.kind, found.where) == ("missing output", "outputs[2]")


def test_streams_are_merged_however_they_came() -> None:
    old = cell(stream("a\n"), stream("w\n", "stderr"), stream(["b\n", "c\n"]), result("1"))
    new = cell(stream("w\n", "stderr"), stream("a\nb"), stream("\nc\n"), result("1"))
    assert kinds(old, new) == []


def test_one_thing_shown_in_several_forms_is_told_once() -> None:
    old, new = (cell(display(text_html=f"<table><tr><td>{n}</td></tr></table>", text_plain=f" {n}")) for n in (1, 2))
    assert kinds(old, new) == ["table"]


def test_a_form_more_or_less() -> None:
    old, new = cell(display(text_plain="1", image_png="")), cell(display(text_plain="1"))
    assert kinds(old, new) == ["missing output"]
    assert kinds(new, old) == ["extra output"]


def test_of_very_many_outputs_the_first_ones_are_compared_and_all_are_counted() -> None:
    many = [display(text_plain=str(n)) for n in range(2_005)]
    assert kinds(cell(*many), cell(*many)) == []
    assert kinds(cell(*many), cell(*many[:-1])) == ["number"]
    assert kinds(cell(*(stream("a") for _ in range(3_000))), cell(stream("a" * 3_000))) == []


def test_what_our_kernels_say_of_types_is_compared() -> None:
    def described(dtype: str) -> dict[str, Any]:
        text = f"DataFrame, 1 row x 1 column\n  n: {dtype}\nrows:\n   n\n0  1"
        return cell({**result("   n\n0  1"), "metadata": {"kernel_exec": {"text": text}}})

    (found,) = cell_differences(described("int64"), described("int32"))
    assert found.message == "type or shape: line 2: int64 -> int32"
    assert kinds(described("int64"), cell(result("   n\n0  1"))) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("ok", "timeout", ["status"]),
        ("died", "ok", ["status"]),
        ("ok", "error", []),  # the error is among the outputs
        ("ok", "ok", []),
        (3, "timeout", []),
    ],
)
def test_how_it_ended(old: Any, new: Any, found: list[str]) -> None:
    assert kinds(cell(status=old), cell(status=new)) == found


@pytest.mark.parametrize(
    ("tags", "source", "found"),
    [
        ([], "", ["text"]),
        (["nbval-ignore-output"], "", []),
        (["kernel_exec:ignore-output"], "", []),
        (["nbval-skip"], "", []),
        (["skip-execution"], "", []),
        (["kernel_exec:skip"], "", []),
        ([], "# NBVAL_IGNORE_OUTPUT\nx", []),
        ([], "x\n  ## NBVAL_SKIP ", []),
        ([], "# PYTEST_VALIDATE_IGNORE_OUTPUT", []),
        ([], "x  # NBVAL_SKIP", ["text"]),  # nbval wants a line of its own
        ([], "# NBVAL_IGNORE_OUTPUTS", ["text"]),
        (["nbval-ignore-output", "nbval-check-output"], "", ["text"]),
        (["nbval-ignore-output"], "# NBVAL_CHECK_OUTPUT", ["text"]),
        (["kernel_exec:ignore-stdout"], "", []),
        (["kernel_exec:ignore-nothing", "kernel_exec:relative=many", 7], "", ["text"]),
    ],
)
def test_what_a_cell_says_of_itself(tags: list[Any], source: str, found: list[str]) -> None:
    assert kinds(cell(stream("a"), tags=tags, source=source), cell(stream("b"))) == found


def test_a_cell_has_a_tolerance_of_its_own() -> None:
    old, new = cell(result("1.0"), tags=["kernel_exec:relative=0.1"]), cell(result("1.05"))
    assert kinds(old, new) == []
    assert kinds(new, old) == ["number"]


def test_an_error_in_a_cell_that_is_not_compared_is_told_unless_it_may_raise() -> None:
    new = cell(error("ValueError", "x"))
    assert kinds(cell(tags=["nbval-ignore-output"]), new) == ["error"]
    assert kinds(cell(error("KeyError", "y"), tags=["nbval-ignore-output"]), new) == []
    assert kinds(cell(tags=["nbval-ignore-output", "raises-exception"]), new) == []


def test_only_marked_cells() -> None:
    rules = Rules(marked_only=True)
    assert kinds(cell(stream("a")), cell(stream("b")), rules) == []
    assert kinds(cell(stream("a"), source="# NBVAL_CHECK_OUTPUT"), cell(stream("b")), rules) == ["text"]


@pytest.mark.parametrize(
    ("ignored", "output"),
    [
        ("stdout", stream("a")),
        ("stderr", stream("a", "stderr")),
        ("results", result("1")),
        ("displays", display(text_plain="1")),
        ("images", display(image_png="1")),
        ("errors", error("ValueError", "x")),
    ],
)
def test_what_is_ignored(ignored: Any, output: Any) -> None:
    assert kinds(cell(output), cell()) == ["missing output"]
    assert kinds(cell(output), cell(), Rules(ignore=frozenset({ignored}))) == []


def test_all_cells_of_a_notebook() -> None:
    text = {"cell_type": "markdown", "source": "# Sales", "metadata": {}}
    old = [text, cell(result("1")), cell(result("2"), tags=["nbval-skip"]), cell(result("3")), cell(result("4"))]
    found = differences(old, [cell(result("1")), text, cell(result("5"))])
    assert [(difference.kind, difference.cell) for difference in found] == [("number", 3), ("missing cell", 4)]
    assert str(found[0]) == "cell 3, outputs[0] text/plain: 3 -> 5"
