"""The host does not grow with what a cell puts out, and nothing below the limits is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import Executor, HostKernel
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import ended_by_its_deadline
from tests.growth import MIB, growth

GROWTH = 32 * MIB
DISPLAYS = """
import time
from IPython.display import display
for number in range(20_000):
    display({"text/plain": str(number)}, raw=True)
    if number % 250 == 0:
        # A stock kernel drops what its own thread has not sent, which nobody can keep it from on a busy machine.
        time.sleep(0.05)
"""
PNGS = """
import os
from IPython.display import Image, display
for number in range(50):
    display(Image(data=b"\\x89PNG\\r\\n\\x1a\\n" + bytes([number]) + os.urandom(50_000), format="png"))
"""
HTML = "from IPython.display import HTML, display\ndisplay(HTML('y' * 50_000_000))"


@pytest.fixture(scope="module", params=["ours", "stock"])
def any_kernel(
    request: pytest.FixtureRequest, stock: KernelSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Executor, bool]]:
    """An executor, and whether its kernel was started by our launcher."""
    kernel = stock if request.param == "stock" else HostKernel()
    with Executor(kernel, workdir=tmp_path_factory.mktemp("work"), timeout=100) as ex:
        ex.execute("import sys\nfrom IPython.display import HTML, Image, display\nprint(1)").raise_for_error()
        yield ex, request.param == "ours"


def test_a_hundred_megabytes_at_once(any_kernel: tuple[Executor, bool]) -> None:
    ex, ours = any_kernel
    grown = growth(lambda: ex.execute("print('head' + 'x' * 100_000_000 + 'tail')"))
    assert grown.bytes < GROWTH + (0 if ours else 100_000_000)
    assert grown.result.ok
    assert grown.result.truncated
    assert grown.result.stdout.startswith("headxxx")
    assert grown.result.stdout.endswith("xxxtail\n")
    (note,) = grown.result.notes
    assert "bytes of stdout were left out" in note
    assert whole_text(ex, grown.result).stat().st_size == 100_000_009


def test_a_hundred_thousand_prints(any_kernel: tuple[Executor, bool]) -> None:
    ex, _ = any_kernel
    grown = growth(lambda: ex.execute("for number in range(100_000): print(number)"))
    assert grown.bytes < GROWTH
    assert grown.result.stdout.split() == list(map(str, range(100_000)))
    assert grown.result.notes == ()


def test_a_display_of_fifty_megabytes(any_kernel: tuple[Executor, bool]) -> None:
    ex, ours = any_kernel
    grown = growth(lambda: ex.execute(HTML))
    assert grown.bytes < GROWTH + (0 if ours else 50_000_000)
    assert grown.result.notes == ("left out of the displays, as too large: text/html of 50,000,000 bytes",)
    assert "text/html" not in grown.result.outputs[0]["data"]
    (part,) = ex.workdir.glob("*_files/*.html")
    assert part.stat().st_size == 50_000_000


def test_fifty_pictures(any_kernel: tuple[Executor, bool]) -> None:
    ex, _ = any_kernel
    grown = growth(lambda: ex.execute(PNGS))
    assert grown.bytes < GROWTH
    assert [image.data[8] for image in grown.result.images] == list(range(50))
    assert grown.result.notes == ()


def test_an_endless_print_ends_at_its_deadline(any_kernel: tuple[Executor, bool]) -> None:
    ex, ours = any_kernel
    # It begins with more than is kept: how much an endless loop prints is a question of how busy the machine is.
    line = f"'all work and no play ' * {20 if ours else 1}"
    code = f"print('head' * 5_000_000)\nopen('far', 'w').close()\nwhile True: print({line})"
    grown = growth(lambda: ended_by_its_deadline(ex, code, 3, (ex.workdir / "far").exists))
    # What is kept of this cell comes on top of what is kept of those before; the stock kernel sends what it prints in a
    # fifth of a second as one message, and some may wait.
    assert grown.bytes < GROWTH + 8 * MIB + (0 if ours else 100 * MIB)
    assert grown.result.status == "timeout"
    assert grown.result.truncated
    assert ex.execute("1").text == "1"


@pytest.mark.long
def test_a_consumer_that_stalls_loses_nothing(any_kernel: tuple[Executor, bool]) -> None:
    ex, _ = any_kernel
    shown: list[Any] = []

    def stall(output: Any) -> None:
        if not shown:
            time.sleep(12)
        shown.append(output)

    grown = growth(lambda: ex.execute(DISPLAYS, on_output=stall))
    assert grown.bytes < GROWTH
    texts = [output["data"]["text/plain"] for output in grown.result.outputs]
    assert texts == list(map(str, range(20_000)))
    assert len(shown) == 20_000


def whole_text(ex: Executor, result: Any) -> Path:
    """The file that all of the text is in, by the name that the text itself gives."""
    (path,) = [path for path in ex.workdir.glob("*_files/*stdout*") if str(path) in result.text]
    return path
