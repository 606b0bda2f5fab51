"""Cells as the schema wants them."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest

from kernel_exec.recording import code_cell, environment_of, language_info, unrun_cell
from kernel_exec.recording.document import chunk_bytes


def validate(cell: dict[str, Any]) -> None:
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    nbformat.validate(notebook, version=4, version_minor=5)


def written(*outputs: dict[str, Any]) -> dict[str, Any]:
    """A code cell as it is written."""
    return json.loads(chunk_bytes(code_cell("a", "", outputs), first=True))


def display(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, **more}


def test_a_code_cell_has_what_the_schema_asks_for_and_nothing_else() -> None:
    cell = code_cell("a", "x = 1\nx", [], 3, {"tags": ["parameters"]})
    assert cell == {
        "cell_type": "code",
        "execution_count": 3,
        "id": "a",
        "metadata": {"tags": ["parameters"]},
        "outputs": [],
        "source": ["x = 1\n", "x"],
    }
    validate(cell)


def test_transient_is_left_out_and_missing_metadata_put_in() -> None:
    cell = written(display({"text/plain": "a"}, transient={"display_id": "1"}))
    assert cell["outputs"] == [{"output_type": "display_data", "data": {"text/plain": ["a"]}, "metadata": {}}]
    validate(cell)


@pytest.mark.parametrize("mime", ["application/json", "application/vnd.vega.v5+json", "application/a+json"])
@pytest.mark.parametrize("value", [{"a": [1, None]}, ["x", "y"], "text\nmore", 1.5, None, True])
def test_json_stays_json(mime: str, value: Any) -> None:
    cell = written(display({mime: value}))
    assert cell["outputs"][0]["data"] == {mime: value}
    validate(cell)


@pytest.mark.parametrize(
    ("mime", "value", "stored"),
    [
        ("text/html", "<b>\n</b>", ["<b>\n", "</b>"]),
        ("image/svg+xml", ["<svg>\n", "</svg>"], ["<svg>\n", "</svg>"]),
        ("image/png", ["iVBO\n", "Rw=="], "iVBO\nRw=="),
        ("text/plain", 3, ["3"]),
        ("image/png", {"hostile": True}, '{"hostile": true}'),
    ],
)
def test_text_is_stored_as_nbformat_stores_it(mime: str, value: Any, stored: Any) -> None:
    cell = written(display({mime: value}))
    assert cell["outputs"][0]["data"] == {mime: stored}
    validate(cell)


def test_no_data_is_no_entry() -> None:
    assert written(display({"text/plain": None}))["outputs"][0]["data"] == {}


def test_all_kinds_of_outputs_are_valid() -> None:
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "a\nb", "transient": {}},
        {"output_type": "execute_result", "data": {"text/plain": "1"}, "execution_count": 4, "metadata": {}},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["1", "2"], "engine_info": {}},
    ]
    cell = written(*outputs)
    validate(cell)
    assert [sorted(output) for output in cell["outputs"]] == [
        ["name", "output_type", "text"],
        ["data", "execution_count", "metadata", "output_type"],
        ["ename", "evalue", "output_type", "traceback"],
    ]


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_text_cells_keep_their_attachments(kind: Any) -> None:
    cell = unrun_cell(
        kind, "# Title\n![](a.png)", {"trusted": True, "tags": []}, {"a.png": {"image/png": ["aa\n", "bb"]}}
    )
    assert cell["source"] == ["# Title\n", "![](a.png)"]
    assert cell["metadata"] == {"tags": []}
    assert cell["attachments"] == {"a.png": {"image/png": "aa\nbb"}}
    validate(cell)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (None, {"name": "echo"}),
        ([], {"name": "echo"}),
        ({}, {"name": "echo"}),
        ({"name": 3, "mimetype": ["x"], "file_extension": ".e"}, {"name": "echo", "file_extension": ".e"}),
        ({"name": "py", "codemirror_mode": 3, "version": 3}, {"name": "py", "version": 3}),
        (
            {"name": "py", "codemirror_mode": {"name": "ipython"}},
            {"name": "py", "codemirror_mode": {"name": "ipython"}},
        ),
    ],
)
def test_what_a_kernel_says_of_its_language_never_makes_the_notebook_invalid(said: Any, kept: dict[str, Any]) -> None:
    assert language_info(said, "echo") == kept
    notebook = {"cells": [], "metadata": {"language_info": kept}, "nbformat": 4, "nbformat_minor": 5}
    nbformat.validate(notebook, version=4, version_minor=5)


@pytest.mark.parametrize(
    "told",
    [None, [], "x", {"packages": {"a": {"b": {}}}}, {"packages": {str(number): "1.0" for number in range(10_000)}}],
    ids=["nothing", "a list", "a text", "too deep", "too long"],
)
def test_an_environment_that_is_none_is_not_kept(told: Any) -> None:
    assert environment_of({"kernel_exec": told}) == {}
    kept = {"python": "3.11", "packages": {"numpy": "2.0"}}
    assert environment_of({"kernel_exec": kept}) == kept
