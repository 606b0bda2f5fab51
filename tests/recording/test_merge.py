"""What becomes of the work of two."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kernel_exec.recording import code_cell, markdown_cell
from kernel_exec.recording.cells import text_of
from kernel_exec.recording.foreign import read_notebook
from kernel_exec.recording.merge import CELL_KEYS, added, merge, their_id


def printed(name: str, source: str = "", text: str = "", **metadata: Any) -> dict[str, Any]:
    output = {"output_type": "stream", "name": "stdout", "text": text}
    return code_cell(name, source or f"run({name!r})", [output] if text else [], 1, metadata)


def order(ours: str, theirs: str) -> str:
    merged = merge(map(printed, ours), map(printed, theirs))
    return "".join(cell["id"] for cell in merged.cells)


def test_missing_cells_of_ours_are_put_back_where_they_were() -> None:
    assert order("abcd", "abcd") == "abcd"
    assert order("abcd", "ad") == "abcd"
    assert order("abcd", "") == "abcd"
    assert order("abcd", "ab") == "abcd"
    assert order("abcd", "cd") == "abcd"


def test_their_cells_and_their_order_are_kept() -> None:
    assert order("ab", "axb") == "axb"
    assert order("ab", "xab") == "xab"
    assert order("abc", "ax") == "axbc"
    assert order("abc", "ca") == "bca"
    assert order("", "xy") == "xy"


def test_outputs_are_ours_and_added_metadata_theirs() -> None:
    ours = printed("a", text="new", execution={"t": 2}, tags=["mine"])
    theirs = printed("a", text="old", execution={"t": 1}, tags=["seen"], slideshow={"slide_type": "skip"})
    merged = merge([ours], [theirs])
    (cell,) = merged.cells
    assert cell["outputs"] == ours["outputs"]
    assert cell["metadata"] == {"execution": {"t": 2}, "tags": ["seen"], "slideshow": {"slide_type": "skip"}}
    assert merged.additions == {"a": {"tags": ["seen"], "slideshow": {"slide_type": "skip"}}}


def test_where_the_source_differs_both_are_kept() -> None:
    merged = merge([printed("a"), printed("b")], [printed("a", "edited()"), printed("b")])
    assert [(cell["id"], text_of(cell["source"])) for cell in merged.cells] == [
        ("a", "run('a')"),
        ("a-theirs", "edited()"),
        ("b", "run('b')"),
    ]


def test_a_second_save_of_the_same_editor_replaces_its_first() -> None:
    once = merge([printed("a")], [printed("a", "first()")]).cells
    twice = merge(once, [printed("a", "second()")]).cells
    assert [text_of(cell["source"]) for cell in twice] == ["run('a')", "second()"]
    reloaded = [printed("a"), {**printed("a-theirs"), "source": ["third()"]}]
    assert [text_of(cell["source"]) for cell in merge(twice, reloaded).cells] == ["run('a')", "third()"]


def test_their_id_fits_the_schema() -> None:
    assert their_id("x" * 64) == "x" * 57 + "-theirs"
    assert their_id(their_id("x" * 64)) == their_id("x" * 64)


def test_two_cells_with_one_id_are_both_kept() -> None:
    cells = merge([], [printed("x", "one()"), printed("x", "two()"), printed("x", "three()")]).cells
    assert [text_of(cell["source"]) for cell in cells] == ["one()", "two()", "three()"]
    assert len({cell["id"] for cell in cells}) == 3


names = st.lists(st.sampled_from("abcdefgh"), unique=True)
sources = st.sampled_from(["", "edited()"])


@given(names, st.lists(st.tuples(st.sampled_from("abcdefgh"), sources)))
def test_no_source_is_ever_lost(ours: list[str], theirs: list[tuple[str, str]]) -> None:
    own, foreign = [printed(name) for name in ours], [printed(name, source) for name, source in theirs]
    cells = merge(own, foreign).cells
    assert len({cell["id"] for cell in cells}) == len(cells)
    kept = {text_of(cell["source"]) for cell in cells}
    assert {text_of(cell["source"]) for cell in own + foreign} <= kept
    assert all(cell in cells for cell in own if text_of(cell["source"]) == f"run({cell['id']!r})")


@given(names, st.lists(st.tuples(st.sampled_from("abcdefgh"), sources)))
def test_the_same_save_twice_is_the_same_as_once(ours: list[str], theirs: list[tuple[str, str]]) -> None:
    foreign = [printed(name, source) for name, source in theirs]
    once = merge(map(printed, ours), foreign).cells
    assert len(merge(once, foreign).cells) == len(once)


@given(names, names)
def test_merging_again_changes_nothing(ours: list[str], theirs: list[str]) -> None:
    once = merge(map(printed, ours), map(printed, theirs)).cells
    assert merge(once, map(printed, theirs)).cells == once
    assert merge(once, once).cells == once


def test_added_leaves_out_what_only_we_know() -> None:
    assert added({"a": 1}, {"a": 1, "b": 2, "execution": 3}, CELL_KEYS) == {"b": 2}


def foreign(*cells: dict[str, Any], minor: int = 5) -> bytes:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": minor}).encode()


def test_a_program_that_drops_ids_does_not_double_the_cells() -> None:
    ours = [printed("a", "same()"), printed("b", "same()"), markdown_cell("c", "# Title")]
    theirs = [{key: value for key, value in cell.items() if key != "id"} for cell in ours]
    notebook = read_notebook(foreign(*theirs, minor=4), ours)
    assert notebook is not None
    assert [cell["id"] for cell in notebook["cells"]] == ["a", "b", "c"]


def test_new_cells_without_an_id_get_one() -> None:
    cell = {key: value for key, value in printed("a").items() if key != "id"}
    notebook = read_notebook(foreign(cell, {**cell, "id": "not valid!"}), [])
    assert notebook is not None
    assert len({cell["id"] for cell in notebook["cells"]}) == 2


def test_what_is_no_notebook_is_told_from_one() -> None:
    for data in (
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b'{"cells": 1}',
        b'{"cells": [1], "metadata": {}, "nbformat": 4}',
    ):
        assert read_notebook(data, []) is None
    assert read_notebook(foreign({"cell_type": "code"}), []) is None
    assert read_notebook(foreign().replace(b'"nbformat": 4', b'"nbformat": 3'), []) is None
    assert read_notebook(b"[" * 100_000, []) is None
