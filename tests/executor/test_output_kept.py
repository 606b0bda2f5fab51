"""No byte of output is lost, and all of it stands with the cell that made it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest

from kernel_exec import Executor
from tests.executor.looks import code_cells, host_pid, wait_until

pytestmark = pytest.mark.everywhere


def test_300_prints_with_an_expression(ex: Executor) -> None:
    for number in range(300):
        result = ex.execute(f"print('line {number}')\n{number}")
        assert (result.stdout, result.text) == (f"line {number}\n", f"line {number}\n{number}")


@pytest.mark.parametrize(
    ("code", "stream"),
    [
        ("import os; _ = os.system('echo out {n}')", "stdout"),
        ("import os; _ = os.system('echo out {n} >&2')", "stderr"),
        ("import os; _ = os.write(1, b'out {n}\\n')", "stdout"),
        ("import subprocess; _ = subprocess.run(['echo', 'out', '{n}'])", "stdout"),
    ],
)
def test_200_outputs_of_processes_and_descriptors(ex: Executor, code: str, stream: str) -> None:
    for number in range(50):
        result = ex.execute(code.format(n=number))
        assert getattr(result, stream) == f"out {number}\n"


def test_order_of_text_and_descriptors(ex: Executor) -> None:
    result = ex.execute("import os, sys\nprint('first', flush=True)\n_ = os.system('echo second')\nprint('third')")
    assert sorted(result.stdout.split()) == ["first", "second", "third"]


def test_a_megabyte_through_a_descriptor(ex: Executor) -> None:
    result = ex.execute("import subprocess, sys\n_ = subprocess.run([sys.executable, '-c', 'print(\"x\" * 10**6)'])")
    assert len(result.stdout) == 10**6 + 1


@pytest.mark.everywhere(soon=True)
def test_late_output_of_a_thread_stays_with_its_cell(ex: Executor) -> None:
    started = ex.execute(
        "import threading\ngo = threading.Event()\n"
        "def late():\n    go.wait()\n    for i in range(5):\n        print('late', i)\n"
        "thread = threading.Thread(target=late); thread.start()"
    )
    assert started.stdout == ""
    later = [ex.execute(f"print('own {n}')" + ("\ngo.set(); thread.join()" if n == 1 else "")) for n in range(4)]
    assert [result.stdout for result in later] == [f"own {n}\n" for n in range(4)]
    expected = "".join(f"late {i}\n" for i in range(5))

    def recorded() -> str:
        cells = {cell.id: cell for cell in code_cells(ex.notebook_path)}
        return "".join(output.get("text", "") for output in cells[started.cell_id].outputs)

    assert wait_until(lambda: recorded() == expected)


DEATHS: dict[str, tuple[str, str]] = {
    "os._exit": ("import os\nos._exit(3)", "status 3"),
    "SIGKILL": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    "segfault": ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
}
PRODUCE = """
import os, sys, matplotlib.pyplot as plt
print('flushed', flush=True)
plt.figure(figsize=(1, 1)); plt.plot([1, 2]); plt.show()
os.system('echo child')
os.write(1, b'descriptor\\n')
print('unflushed')
print('complaint', file=sys.stderr)
"""


@pytest.mark.parametrize(
    "way", [way if way == "SIGKILL" else pytest.param(way, marks=pytest.mark.long) for way in DEATHS]
)
def test_a_sudden_death_keeps_what_came_before_it(fresh: Callable[..., Executor], way: str) -> None:
    ex = fresh()
    code, reason = DEATHS[way]
    for _ in range(3):
        ex.execute("kept = 1; import matplotlib.pyplot")
        result = ex.execute(PRODUCE + code)
        assert result.status == "died"
        assert not result.state_preserved
        assert result.error is not None
        assert reason in result.error.value
        assert sorted(result.stdout.split()) == ["child", "descriptor", "flushed", "unflushed"]
        assert "complaint" in result.stderr
        assert len(result.images) == 1
        recorded = [cell for cell in code_cells(ex.notebook_path) if cell.id == result.cell_id]
        assert json.dumps(recorded[0].outputs, sort_keys=True) == json.dumps(result.outputs, sort_keys=True)
        after = ex.execute("print('kept' in globals())")
        assert (after.ok, after.state_preserved, after.stdout) == (True, True, "False\n")


def test_killed_while_idle_is_found_by_the_next_call(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    pid = host_pid(ex, int(ex.execute("import os; os.getpid()").text))
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not ex.is_alive)
    found = ex.execute("open('ran', 'w').close()")
    assert found.status == "died"
    assert (found.state_preserved, found.attempts) == (False, 0)
    assert "SIGKILL" in found.text
    assert "not run" in found.text
    assert not (ex.workdir / "ran").exists()
    after = ex.execute("1 + 1")
    assert (after.ok, after.state_preserved, after.attempts, after.text) == (True, True, 1, "2")
    assert [cell.metadata.kernel_exec.status for cell in code_cells(ex.notebook_path)] == ["ok", "died", "ok"]


@pytest.mark.everywhere(soon=True)
def test_killed_while_busy_from_outside(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    pid = host_pid(ex, int(ex.execute("import os; os.getpid()").text))
    execution = ex.submit("print('on', flush=True)\nwhile True: pass")
    assert wait_until(execution.outputs)
    os.kill(pid, signal.SIGKILL)
    result = execution.result(timeout=20)
    assert (result.status, result.stdout, result.state_preserved) == ("died", "on\n", False)
    assert ex.execute("2").text == "2"


LONE = {
    "printed": (r"print('a\ud800b')", r"a\ud800b"),
    "a file name": (r"import os; print('a' + os.fsdecode(b'\xff'))", r"a\udcff"),
    "an error": (r"raise ValueError('a\ud800b')", r"ValueError: a\ud800b"),
    "a display": (r"display({'text/plain': 'a\udcffb'}, raw=True)", r"a\udcffb"),
    "a value": (r"'a\ud800b'", r"'a\ud800b'"),
    "a name of a class": (r"class E(Exception): pass" + "\nE.__name__ = '\\ud800'\nraise E('x')", "x"),
}


@pytest.mark.everywhere(soon=True)
@pytest.mark.parametrize(("code", "shown"), LONE.values(), ids=LONE)
def test_lone_surrogates_are_shown_as_escapes(ex: Executor, code: str, shown: str) -> None:
    """A stock kernel cannot send them, and loses what comes with them."""
    result = ex.execute(f"print('before')\n{code}")
    assert result.status in ("ok", "error")
    assert "before" in result.stdout
    assert shown in result.text
    assert ex.execute("print('after')").stdout == "after\n"
