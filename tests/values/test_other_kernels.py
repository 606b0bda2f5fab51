"""Kernels that our launcher did not start: what the protocol has is asked, the rest is refused with the reason."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_exec import Executor, HostKernel, KernelBusy, Unsupported
from tests.executor.looks import code_cells, quickest, wait_until
from tests.kernels.conftest import Install

STOCK = (
    "import sys; from ipykernel.kernelapp import IPKernelApp; {before}; IPKernelApp.launch_instance(argv=sys.argv[1:])"
)
WITHOUT = "from ipykernel.ipkernel import IPythonKernel; IPythonKernel._supports_kernel_subshells = False"
Start = Callable[..., Executor]


def stock(install: Install, name: str, before: str = "pass") -> HostKernel:
    """A stock ipykernel, started in a way that is not replaced by our launcher.

    Without jedi, whose answers depend on what it finds installed, and in a cache below the home directory.
    """
    plain = "--IPCompleter.use_jedi=False"
    return install(name, [sys.executable, "-c", STOCK.format(before=before), "-f", "{connection_file}", plain])


@pytest.fixture
def with_subshells(install: Install, start: Start) -> Executor:
    return start(stock(install, "stock"))


@pytest.fixture
def without_subshells(install: Install, start: Start) -> Executor:
    return start(stock(install, "old", WITHOUT))


def test_between_cells(with_subshells: Executor) -> None:
    ex = with_subshells
    ex.execute("alphabet = [1]\ndef greet(who): 'Says hello.'").raise_for_error()
    found = ex.complete("x = alphab")
    assert (found.matches, found.start, found.end) == (("alphabet",), 4, 10)
    assert "Says hello." in ex.inspect("greet").text
    assert "def greet" in ex.inspect("greet", detail=1).text
    assert not ex.inspect("nothing").found
    assert ex.execute("alphabet").execution_count == 2


@pytest.mark.usefixtures("patient")
def test_beside_a_cell_with_subshells(with_subshells: Executor) -> None:
    ex = with_subshells
    ex.execute("alphabet = [1]").raise_for_error()
    running = ex.submit("import time\nprint('on', flush=True)\nwhile True: time.sleep(0.001)")
    assert wait_until(running.outputs)
    for _ in range(3):
        assert ex.complete("alphab").matches == ("alphabet",)
        assert ex.inspect("alphabet").found
    assert not running.done
    assert running.cancel().status == "interrupted"
    assert ex.execute("alphabet").text == "[1]"


def test_beside_a_cell_that_computes(with_subshells: Executor) -> None:
    ex = with_subshells
    ex.execute("alphabet = [1]\n%config IPCompleter.use_jedi = False").raise_for_error()
    ex.complete("alphab")
    running = ex.submit("print('on', flush=True)\nwhile True: pass")
    assert wait_until(running.outputs)
    assert quickest(lambda: ex.complete("alphab").matches, ("alphabet",), 5) < 5
    running.cancel()


@pytest.mark.usefixtures("patient")
def test_beside_a_cell_without_subshells(without_subshells: Executor) -> None:
    ex = without_subshells
    ex.execute("alphabet = [1]").raise_for_error()
    assert ex.complete("alphab").matches == ("alphabet",)
    running = ex.submit("import time\nprint('on', flush=True)\ntime.sleep(600)")
    assert wait_until(running.outputs)
    for ask in (lambda: ex.complete("alphab"), lambda: ex.inspect("alphabet")):
        with pytest.raises(KernelBusy, match="wait for the cell's end"):
            ask()
    running.cancel()
    assert ex.complete("alphab").matches == ("alphabet",)


def test_late_output_stays_with_its_cell(without_subshells: Executor) -> None:
    """A stock kernel gives what a thread prints to the last request, whatever that was."""
    ex = without_subshells
    ex.execute(
        "import os, threading, time\n"
        "def late():\n"
        "    while not os.path.exists('gate'): time.sleep(0.01)\n"
        "    print('late', flush=True)\n"
        "threading.Thread(target=late).start()"
    ).raise_for_error()
    for _ in range(150):
        ex.complete("threadin")
    (ex.workdir / "gate").touch()
    assert wait_until(lambda: "late" in str(code_cells(ex.notebook_path)[0].outputs))


@pytest.mark.parametrize("kind", ["stock", "echo"])
def test_what_only_our_launcher_gives(kind: str, install: Install, start: Start, echo: HostKernel) -> None:
    ex = start(echo if kind == "echo" else stock(install, kind))
    for ask in (ex.variables, lambda: ex.get("x"), lambda: ex.put("x", 1)):
        with pytest.raises(Unsupported, match="ipykernel_launcher"):
            ask()


def test_another_language(start: Start, echo: HostKernel) -> None:
    """A kernel that completes nothing and knows nothing says so."""
    ex = start(echo)
    assert ex.complete("abc", 2).matches == ()
    assert not ex.inspect("abc").found


def test_the_kernel_that_starts_in_place_of_ours_answers_soon(start: Start, tmp_path: Path) -> None:
    """Where our launcher does not work, the stock kernel has a user's settings of IPython, and so jedi."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['_kernel_exec.spool'] = None\n")
    ex = start(HostKernel(env={"PYTHONPATH": str(tmp_path)}))
    assert ex.execute("alphabet = 1\nget_ipython().Completer.use_jedi").text == "False"
    running = ex.submit("while True: pass")
    assert "alphabet" in ex.complete("alpha").matches
    assert ex.inspect("alphabet").found
    running.cancel()
