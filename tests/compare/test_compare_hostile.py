"""Recordings that hold anything: comparing never raises, ends soon, and finds nothing between a cell and itself."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel_exec.compare import Rules, cell_differences, differences, marks_of
from kernel_exec.compare.noise import without_noise
from kernel_exec.compare.terms import Manner, Terms
from kernel_exec.compare.texts import text_differences
from tests.compare.cells import cell, display, error, result, stream

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        "1.5",
        "2024-01-01",
        "12:30:45",
        "<table>",
        "<tr><td rowspan=3>",
        "</table>",
        "{'a', ",
        "}",
        "0x7f2e083fc150",
        "\r",
    ]
)
TEXT = st.text(max_size=20) | st.lists(WORDS, max_size=8).map(" ".join) | st.lists(JSON, max_size=3) | JSON
MIMES = st.sampled_from(
    ["text/plain", "text/html", "image/png", "image/svg+xml", "application/json", "application/pdf", "a/b", ""]
)
KINDS = st.sampled_from(["stream", "display_data", "execute_result", "error", "pyout"])
OUTPUT = st.fixed_dictionaries(
    {"output_type": KINDS | JSON},
    optional={
        "name": st.sampled_from(["stdout", "stderr"]) | JSON,
        "text": TEXT,
        "data": st.dictionaries(MIMES, TEXT, max_size=3) | JSON,
        "metadata": st.fixed_dictionaries({"kernel_exec": st.fixed_dictionaries({"text": TEXT}) | JSON}) | JSON,
        "ename": TEXT,
        "evalue": TEXT,
    },
)
FILE = st.fixed_dictionaries({}, optional={"path": JSON, "change": JSON, "size": JSON, "sha256": JSON})
OURS = st.fixed_dictionaries({}, optional={"status": JSON, "artifacts": st.lists(FILE | JSON, max_size=3) | JSON})
CELL = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.just("code") | JSON,
        "id": JSON,
        "source": TEXT,
        "outputs": st.lists(OUTPUT | JSON, max_size=4) | JSON,
        "metadata": st.fixed_dictionaries({}, optional={"tags": JSON, "execution": JSON, "kernel_exec": OURS | JSON})
        | JSON,
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(CELL, CELL)
def test_anything_is_compared(old: Any, new: Any) -> None:
    for ours, theirs in ((old, new), (new, old)):
        for difference in cell_differences(ours, theirs):
            json.dumps(difference.as_dict())
            assert len(str(difference)) < 1000
    assert cell_differences(old, copy.deepcopy(old)) == []
    marks_of(old)


@settings(max_examples=100, deadline=None)
@given(st.lists(CELL | JSON, max_size=3), st.lists(CELL | JSON, max_size=3))
def test_any_cells_are_compared(old: list[Any], new: list[Any]) -> None:
    differences(old, new)
    assert differences(old, copy.deepcopy(old)) == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_texts_are_compared(old: str, new: str) -> None:
    for manner in ("log", "result", "data"):
        assert text_differences(old, old, Terms(Rules()), manner) == []
        assert bool(text_differences(old, new, Terms(Rules()), manner)) == bool(
            text_differences(new, old, Terms(Rules()), manner)
        )


LONG = 15_000
PIECES = [
    "a", "1", "1.", "1,", "-", "_", "0x7f", "0x", "at 0x1", "/tmp/", "/tmp/a", "/tmp/a1", "/var/folders/a/", "a1",
    "T_", "e1", "2024-01-01 ", "2024-01-01 10:00:00", "12:", "12:30:45 ", "Mon, ", "Jan 1 ", "1 Jan ",
    "datetime.date(2024, 1", "[", "[1:", "{", "{'", "(", "(main, ", "(tags/", "(tags/a ",
    "<", "<td ", "<table>", "<ipython-input-1-",
    "\x1b[", "\x1b]", "\r", "a\r", "\b", "in 1", "in 1 ", "took ", "1 s ± ", "it/s", "CPU times: ", "pid ", "v1.2.3",
    "1.2.3.", "abcdef12-", "0123456789abcdef", "\\", "'", "&lt;",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_no_text_takes_long(piece: str) -> None:
    old = piece * (LONG // len(piece))
    began = time.process_time()
    for manner in ("log", "result", "data"):
        without_noise(old, manner)
    cell_differences(cell(stream(old), display(text_html=old)), cell(stream(old + "é"), display(text_html=old + "é")))
    assert time.process_time() - began < 1.5


def nested(depth: int, leaf: Any) -> Any:
    value = leaf
    for _ in range(depth):
        value = [value]
    return value


def large(size: int, leaf: str) -> dict[str, Any]:
    """What is as large as can be, in one way."""
    return {
        "one line": cell(stream("a" * size + leaf)),
        "many lines": cell(stream("a\n" * (size // 2) + leaf)),
        "many different lines": cell(stream("\n".join(f"{leaf}{n}" for n in range(size // 8)))),
        "many outputs": cell(*(display(text_plain=f"{leaf}{n}") for n in range(size // 10_000))),
        "many pieces": cell(*(stream(leaf) for _ in range(size // 10_000))),
        "a wide table": cell(display(text_html="<table><tr>" + f"<td>{leaf}" * (size // 100) + "</table>")),
        "deep JSON": cell({**display(), "data": {"application/json": nested(size // 100, leaf)}}),
        "wide JSON": cell({**display(), "data": {"application/json": [f"{leaf}{n}" for n in range(size // 50)]}}),
        "much that is no text": cell(display(text_plain=nested(size // 100, leaf))),
        "a long message": cell(error(leaf * (size // 10), leaf * (size // 10))),
        "a literal": cell(result("{" + f"'{leaf}', " * 1_500 + "}")),
        "brackets": cell(result("{" + "[" * 9_000 + leaf)),
        "minus": cell(result("{" + "-" * 9_000 + leaf)),
    }


def soon(took: float) -> bool:
    """True for less CPU seconds than four, or than eight times what ten thousand lines take, all looked at closely.

    As many as are looked at closely take four times as long, on a busy machine more than four seconds; all lines of
    what is the largest here would take thirteen times as long.
    """
    if took < 4:
        return True
    old, new = (cell(stream("\n".join(f"{leaf}{n}" for n in range(10_000)))) for leaf in ("1.5", "1.6"))
    times = []
    for _ in range(2):
        began = time.process_time()
        cell_differences(old, new)
        times.append(time.process_time() - began)
    return took < 8 * min(times)


@pytest.mark.parametrize("name", large(0, ""))
def test_nothing_large_takes_long(name: str) -> None:
    old, new = large(1_000_000, "1.5")[name], large(1_000_000, "1.6")[name]
    began = time.process_time()
    assert cell_differences(old, new)
    assert soon(time.process_time() - began)
    assert cell_differences(old, large(1_000_000, "1.5")[name]) == []


def test_a_hundred_million_characters() -> None:
    text = ("x " * 499 + "1.5\n") * 100_000
    began = time.process_time()
    (found,) = cell_differences(cell(stream(text)), cell(stream(text[:-2] + "6\n")))
    assert found.message == "line 100000: 1.5 -> 1.6 (tolerance 1e-09)"
    assert soon(time.process_time() - began)


@pytest.mark.parametrize("manner", ["log", "result", "data"])
def test_what_was_not_looked_at_closely_is_a_difference(manner: Manner) -> None:
    terms = Terms(Rules())
    terms.effort.left = 10
    assert text_differences("<A at 0x7f2e083fc150>", "<A at 0x7febed978b90>", terms, manner)
