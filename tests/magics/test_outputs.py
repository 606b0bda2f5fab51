"""What a session's cell puts out appears in the notebook's own cell: when it comes, and as what it is."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.magics.conftest import Notebook


def noted(place: Path) -> Callable[[str, dict[str, Any]], None]:
    """Notes in a file what was seen, for a cell that waits for that."""
    seen: list[str] = []

    def on(kind: str, content: dict[str, Any]) -> None:
        if kind == "stream":
            seen.append(content["text"])
            place.write_text("".join(seen))

    return on


def test_text_appears_while_the_cell_runs(nb: Notebook, tmp_path: Path) -> None:
    """The cell goes on when each line was seen here."""
    place = tmp_path / "seen"
    ran = nb.run(
        f"%%kx lab\nimport pathlib, time\nseen = pathlib.Path({str(place)!r})\nfor n in range(3):\n"
        "    print(n)\n    while not seen.exists() or str(n) not in seen.read_text(): time.sleep(0.01)",
        on=noted(place),
    )
    assert (ran.status, ran.text) == ("ok", "0\n1\n2\n")
    assert len(ran.messages) == 3


def test_both_streams(nb: Notebook) -> None:
    ran = nb.ok("%%kx lab\nimport sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert {(content["name"], content["text"]) for content in ran.of("stream")} == {
        ("stdout", "out\n"),
        ("stderr", "err\n"),
    }


def test_a_progress_bar_of_text(nb: Notebook, tmp_path: Path) -> None:
    place = tmp_path / "seen"
    ran = nb.run(
        f"%%kx lab\nimport pathlib, sys, time\nseen = pathlib.Path({str(place)!r})\nfor n in range(4):\n"
        "    sys.stderr.write(f'\\r{n}/3'); sys.stderr.flush()\n"
        "    while not seen.exists() or f'{n}/3' not in seen.read_text(): time.sleep(0.01)",
        on=noted(place),
    )
    assert (ran.status, ran.text) == ("ok", "\r0/3\r1/3\r2/3\r3/3")
    assert len(ran.messages) == 4


def test_the_value_is_the_cells_own(nb: Notebook) -> None:
    ran = nb.ok("%%kx lab\n6 * 7")
    (content,) = ran.of("execute_result")
    assert content["data"] == {"text/plain": "42"}
    assert content["execution_count"] == ran.number


def test_the_value_can_be_captured(nb: Notebook) -> None:
    nb.ok("%%capture caught\nget_ipython().run_cell_magic('kx', 'lab', 'print(1)\\n6 * 7')")
    assert nb.ok("caught.stdout, [o.data for o in caught.outputs]").value == "('1\\n', [{'text/plain': '42'}])"


def test_displays_and_their_updates(nb: Notebook) -> None:
    ran = nb.ok(
        "%%kx lab\nfrom IPython.display import HTML, clear_output, display\n"
        "shown = display(HTML('<b>1</b>'), display_id=True)\nshown.update(HTML('<b>2</b>'))"
    )
    assert ran.kinds == ["display_data", "update_display_data"]
    first, second = (content for _, _, content in ran.messages)
    assert first["transient"] == second["transient"]
    assert first["transient"]["display_id"]
    assert (first["data"]["text/html"], second["data"]["text/html"]) == ("<b>1</b>", "<b>2</b>")
    later = nb.ok("%%kx lab\nshown.update(HTML('<b>3</b>'))")
    (third,) = later.of("update_display_data")
    assert (third["transient"], third["data"]["text/html"]) == (first["transient"], "<b>3</b>")


def test_clearing(nb: Notebook) -> None:
    ran = nb.ok(
        "%%kx lab\nfrom IPython.display import clear_output\nprint(1)\nclear_output(wait=True)\n"
        "print(2)\nclear_output()"
    )
    assert ran.kinds == ["stream", "clear_output", "stream", "clear_output"]
    assert [content["wait"] for content in ran.of("clear_output")] == [True, False]


def test_a_chart(nb: Notebook) -> None:
    ran = nb.ok("%%kx lab\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    (content,) = ran.of("display_data")
    assert content["data"]["image/png"].startswith("iVBOR")
    assert content["metadata"] is not None


def test_bodies_and_lines_are_taken_literally(nb: Notebook) -> None:
    nb.ok("x = 'the notebook has it'; lab = 'no'")
    assert nb.ok("%%kx lab\n'$x {x} $$ {{}} %x'").value == "'$x {x} $$ {{}} %x'"
    ran = nb.run("%%kx {lab}\n1")
    assert "'{lab}' is no name" in ran.error["evalue"]
    assert "'$lab'" in nb.run("%kx stop $lab").error["evalue"]


def test_an_error_is_this_cells_error(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = f"%%kx lab\nopen({str(gate)!r}).close()\ndef f():\n    return {{}}['key']\nf()"
    first = nb.send(code, stop_on_error=True)
    second = nb.send("print('runs')")
    time.sleep(0.5)  # it is there when the first one ends
    gate.write_text("")
    ran = nb.watch(first)
    assert (ran.error["ename"], ran.error["evalue"]) == ("KeyError", "'key'")
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(ran.error["traceback"]))
    assert text.count("Traceback (most recent call last)") == 1
    assert text.count("KeyError") == 2  # its head, and its end
    assert "run_cell_magic" not in text
    assert "return {}['key']" in text
    assert nb.watch(second).status == "aborted"


def test_an_error_can_be_caught(nb: Notebook) -> None:
    ran = nb.ok(
        "from kernel_exec import ExecutionFailed\ntry:\n    get_ipython().run_cell_magic('kx', 'lab', '1 / 0')\n"
        "except ExecutionFailed as error:\n    print(type(error).__name__, error, error.result.status)"
    )
    assert ran.text == "ZeroDivisionError division by zero error\n"


def test_input_is_asked_for_here(nb: Notebook) -> None:
    ran = nb.ok("%%kx lab\nimport getpass\n[input('name? '), getpass.getpass('secret? ')]", "Ada", "x")
    assert ran.value == "['Ada', 'x']"
    asked = [(content["prompt"], content["password"]) for content in ran.of("input_request")]
    assert asked == [("name? ", False), ("secret? ", True)]


def test_where_nobody_can_answer_the_code_is_told(nb: Notebook) -> None:
    ran = nb.run("%%kx lab\ninput()")
    assert ran.error["ename"] == "StdinNotImplementedError"


@pytest.mark.parametrize("code", ["print('x' * 10**7)", "for n in range(100_000): print('x' * 100)"])
def test_ten_megabytes(nb: Notebook, code: str) -> None:
    memory = "int(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    nb.ok("%%kx lab\nx = 1")
    before = int(nb.ok(memory).value)
    ran = nb.ok(f"%%kx lab\n{code}")
    assert ran.seconds < 55
    assert 2 * 2**20 < len(ran.text) < 10 * 2**20
    assert "left out" in ran.text
    assert int(nb.ok(memory).value) - before < 100 * 1024  # KiB


@pytest.mark.long
def test_many_updates_do_not_pile_up(nb: Notebook) -> None:
    ran = nb.ok(
        "%%kx lab\nfrom IPython.display import display\nshown = display(0, display_id='n')\n"
        "for n in range(20_000): shown.update(n)"
    )
    assert ran.of("update_display_data")[-1]["data"]["text/plain"] == "19999"
