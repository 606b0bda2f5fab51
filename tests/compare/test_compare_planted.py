"""Each planted change is found, and no harmless one: `tests/compare/planted.py`, run without kernels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from kernel_exec.compare import Difference, cell_differences
from tests.compare.planted import CHANGES, HARMLESS, Planted

pytestmark = pytest.mark.timeout(600)

EVERY = [*CHANGES, *HARMLESS]


def run(codes: Sequence[str], seed: int) -> subprocess.Popen[str]:
    """Start a process with addresses, an order of sets, and directories of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.compare.outputs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": str(seed), "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    )
    assert process.stdin
    process.stdin.write(json.dumps(codes))
    process.stdin.close()
    return process


@pytest.fixture(scope="module")
def cells() -> dict[str, tuple[Any, Any]]:
    """The cells of each entry, as recorded and as run again."""
    sides = []
    for process in (
        run([entry.before for entry in EVERY], 1),
        run([entry.after or entry.before for entry in EVERY], 2),
    ):
        with process:
            assert process.stdout
            sides.append(json.load(process.stdout))
    return {entry.name: pair for entry, *pair in zip(EVERY, *sides, strict=True)}  # type: ignore[misc]


@pytest.mark.parametrize("entry", CHANGES, ids=str)
def test_a_change_is_found(entry: Planted, cells: dict[str, tuple[Any, Any]]) -> None:
    old, new = cells[entry.name]
    found = cell_differences(old, new, index=3)
    assert entry.kind in {difference.kind for difference in found}
    for difference in found:
        assert difference.cell == 3
        assert "\n" not in difference.message
        assert len(str(difference)) < 300
        json.dumps(difference.as_dict())


@pytest.mark.parametrize("entry", HARMLESS, ids=str)
def test_a_harmless_one_is_not(entry: Planted, cells: dict[str, tuple[Any, Any]]) -> None:
    old, new = cells[entry.name]
    assert cell_differences(old, new) == []


@pytest.mark.parametrize("entry", [entry for entry in HARMLESS if entry.name.startswith("another")], ids=str)
def test_most_harmless_ones_are_different_at_all(entry: Planted, cells: dict[str, tuple[Any, Any]]) -> None:
    if entry.name != "another exception":
        old, new = cells[entry.name]
        assert old["outputs"] != new["outputs"]


def test_there_are_enough_of_them() -> None:
    assert len(CHANGES) >= 30
    assert len(HARMLESS) >= 30
    assert len({entry.name for entry in EVERY}) == len(EVERY)


def test_a_changed_image_has_a_picture_of_the_difference(cells: dict[str, tuple[Any, Any]]) -> None:
    (found,) = cell_differences(*cells["a moved legend"])
    assert found.picture
    with Image.open(BytesIO(found.picture)) as picture:
        assert picture.format == "PNG"
        red = sum(count for count, colour in picture.getcolors(2**20) or () if colour == (220, 0, 40))
    assert red > 500  # both legends are marked


def images(cells: dict[str, tuple[Any, Any]], name: str) -> tuple[list[Difference], float]:
    """Compare a picture with what it became, 20 times; return the differences and the CPU seconds."""
    began = time.process_time()
    found = [difference for _ in range(20) for difference in cell_differences(*cells[name])]
    return found, time.process_time() - began


def drawing() -> float:
    """Return the CPU seconds that it takes to draw 20 pictures, which is the least that a replay of them takes."""
    began = time.process_time()
    for number in range(20):
        figure = Figure()
        figure.subplots().plot([1, number, 2], label="line")
        figure.savefig(BytesIO(), format="png")
    return time.process_time() - began


@pytest.mark.long
def test_twenty_images_take_little_time(cells: dict[str, tuple[Any, Any]]) -> None:
    images(cells, "a grid")  # imports
    drawing()
    drawn = drawing()
    for name, count, share in (
        ("the same figure again", 0, 0.05),
        ("a figure smoothed differently", 0, 1),
        ("axes a pixel beside, as a layout rounds", 0, 4),
        ("a grid", 20, 2),  # as they are all found, pictures of the difference are made
    ):
        found, seconds = images(cells, name)
        assert len(found) == count
        assert seconds < share * drawn
