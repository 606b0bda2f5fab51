"""The layout of the file, and the plans that change it."""

from __future__ import annotations

import json
from typing import Any

import nbformat
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_exec.recording import code_cell, markdown_cell
from kernel_exec.recording.cells import stored_output
from kernel_exec.recording.document import Document, Kept, Plan, dumps, encode

names = st.sampled_from([f"cell-{number}" for number in range(8)])
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["a\nb\n", '"], "metadata": {', "\u2028\x0b\x1c", "é€😀", ",\n  {", "\r\n\r", "{}"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
outputs = st.one_of(
    st.builds(lambda text: {"output_type": "stream", "name": "stdout", "text": text}, texts),
    st.builds(
        lambda text, value: {
            "output_type": "display_data",
            "data": {"text/html": text, "application/json": value},
        },
        texts,
        json_values,
    ),
)
metadata = st.dictionaries(st.sampled_from(["tags", "x{}", "kernel_exec"]), json_values, max_size=2)
code_cells = st.builds(code_cell, names, texts, st.lists(outputs, max_size=3), st.none() | st.integers(0, 99), metadata)
cells = code_cells | st.builds(markdown_cell, names, texts, metadata)
changes = st.tuples(st.lists(cells, max_size=3), st.none() | metadata)


def carry_out(plan: Plan, before: bytes) -> bytes:
    """What a plan makes of a file."""
    pieces = [before[piece.start : piece.stop] if isinstance(piece, Kept) else piece for piece in plan.pieces]
    return before[: plan.at] + b"".join(pieces)


def begin() -> tuple[Document, bytes]:
    document = Document()
    plan = document.whole([])
    document.apply(plan)
    return document, carry_out(plan, b"")


def as_stored(cell: Any) -> Any:
    return {**cell, "outputs": list(map(stored_output, cell["outputs"]))} if "outputs" in cell else cell


def as_nbformat_writes(cells: list[Any], metadata: Any) -> bytes:
    notebook = {"cells": [as_stored(cell) for cell in cells], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    text = nbformat.writes(nbformat.from_dict(notebook), version=nbformat.NO_CONVERT)
    return f"{text}\n".encode()


def test_long_text_is_written_as_nbformat_writes_it() -> None:
    document, file = begin()
    streams = [
        {"output_type": "stream", "name": "stdout", "text": text}
        for text in ("x" * 300_000, "é\n" * 100_000, '"\r\n\u2028' * 50_000, "\n" * 70_000, "a" * 70_000 + "\n")
    ]
    cells = [code_cell("a", "", streams), code_cell("b", "", streams[1:2])]
    assert carry_out(document.plan(cells), file) == as_nbformat_writes(cells, {})


def spans(document: Document) -> list[Kept]:
    """Where the chunk of each cell lies."""
    return [Kept(document._start(index), end) for index, end in enumerate(document._ends)]


@settings(max_examples=150, deadline=None)
@given(st.lists(changes, max_size=6))
def test_any_sequence_of_changes_gives_the_bytes_that_nbformat_writes(sequence: list[Any]) -> None:
    document, file = begin()
    expected: dict[str, Any] = {}
    notebook_metadata: Any = {}
    for changed, new_metadata in sequence:
        plan = document.plan(changed, new_metadata)
        file = carry_out(plan, file)
        document.apply(plan)
        expected |= {cell["id"]: cell for cell in changed}
        notebook_metadata = notebook_metadata if new_metadata is None else new_metadata
        assert plan.size == len(file)
        assert file == as_nbformat_writes(list(expected.values()), notebook_metadata)
        assert [json.loads(file[span.start : span.stop].lstrip(b",")) for span in spans(document)] == [
            as_stored(cell) for cell in expected.values()
        ]
    read_back = nbformat.reads(file.decode(), as_version=4)
    assert (nbformat.writes(read_back) + "\n").encode() == file


def test_appending_needs_the_new_cell_and_the_tail_and_nothing_before() -> None:
    document, file = begin()
    for number in range(50):
        plan = document.plan([code_cell(f"c{number}", "x" * 100)])
        assert all(isinstance(piece, bytes) for piece in plan.pieces)
        assert len(file) - plan.at < 100
        file = carry_out(plan, file)
        document.apply(plan)
    assert len(document) == 50


def test_replacing_an_early_cell_moves_what_follows_in_one_piece() -> None:
    document, file = begin()
    document.apply(plan := document.plan([code_cell(f"c{number}", "x") for number in range(9)]))
    file = carry_out(plan, file)
    plan = document.plan([code_cell("c2", "longer than before")])
    new, kept, _tail = plan.pieces
    assert isinstance(new, bytes)
    assert isinstance(kept, Kept)
    assert kept == Kept(spans(document)[3].start, spans(document)[8].stop)


def test_a_plan_changes_nothing_until_it_is_applied() -> None:
    document, _ = begin()
    document.plan([code_cell("a", "x")], {"new": 1})
    assert (len(document), document.metadata, "a" in document) == (0, {}, False)


def test_whole_starts_anew() -> None:
    document, file = begin()
    document.apply(plan := document.plan([code_cell("a", "1"), code_cell("b", "2")]))
    file = carry_out(plan, file)
    plan = document.whole([code_cell("b", "3")], {"kernel_exec": {}})
    document.apply(plan)
    assert carry_out(plan, file) == as_nbformat_writes([code_cell("b", "3")], {"kernel_exec": {}})
    assert "a" not in document


def test_numbers_that_json_does_not_have_become_their_names() -> None:
    text = dumps({"a": float("nan"), "b": [float("inf"), 1.5, (float("-inf"),)]})
    assert json.loads(text, parse_constant=lambda name: f"no JSON: {name}") == {
        "a": "nan",
        "b": ["inf", 1.5, ["-inf"]],
    }


def test_lone_surrogates_become_the_replacement_character() -> None:
    assert encode("a\udcffb\ud83d\ude00").decode() == "a�b😀"
