"""The magics under what runs notebooks without a person, and in IPython on a terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import papermill
import pexpect
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from kernel_exec.wire.terminal import strip_ansi
from tests.cli.leftovers import nothing_is_left
from tests.magics.conftest import PATIENT

new = nbformat.v4.new_code_cell
CELLS = (
    "%load_ext kernel_exec.magics",
    "n = 20",
    "%%kx -i n -o squares\nsquares = [i * i for i in range(n)]\nprint('made')\nlen(squares)",
    "from IPython.display import display\nsum(squares)",
    "%%kx\nfrom IPython.display import display\nshown = display('0 %', display_id=True)\nshown.update('50 %')",
    "%%kx\nshown.update('100 %')",
)


def outputs(cell: nbformat.NotebookNode) -> list[str]:
    return [output.get("text") or output.data["text/plain"] for output in cell.outputs]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "t"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def check(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    made, total, shown = notebook.cells[2:5]
    assert outputs(made) == ["made\n", "20"]
    assert made.outputs[1].output_type == "execute_result"
    assert made.outputs[1].execution_count == made.execution_count
    assert outputs(total) == ["2470"]
    assert outputs(shown) == ["'100 %'"]


def test_nbclient(temporary: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=list(map(new, CELLS)))
    NotebookClient(notebook, kernel_name="python3").execute()
    check(notebook)
    no_child_is_left(temporary)


def no_child_is_left(temporary: Path) -> None:
    os.environ["TMPDIR"] = "/tmp"  # or this process would count
    nothing_is_left(temporary)


@pytest.mark.long
def test_nbclient_stops_at_an_error(temporary: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[new(CELLS[0]), new("%%kx\n1 / 0"), new("1")])
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        NotebookClient(notebook, kernel_name="python3").execute()
    assert notebook.cells[2].execution_count is None


@pytest.mark.long
def test_nbclient_interrupts_at_its_timeout(temporary: Path) -> None:
    code = "%%kx\nprint('began')\nimport time; time.sleep(60)"
    notebook = nbformat.v4.new_notebook(
        cells=[new(f"{CELLS[0]}\n{PATIENT}"), new("%%kx\nx = 1"), new(code), new("%%kx\nx")]
    )
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout_func=lambda cell: 3 if "sleep" in cell.source else 60,
        interrupt_on_timeout=True,
        allow_errors=True,
    )
    try:
        client.execute()
    except CellTimeoutError:  # by its version
        pytest.fail("the cell was not interrupted")
    assert notebook.cells[2].outputs[0].text == "began\n"
    assert notebook.cells[2].outputs[1].ename == "KeyboardInterrupt"
    assert outputs(notebook.cells[3]) == ["1"]


def test_papermill(temporary: Path, tmp_path: Path) -> None:
    given, made = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    notebook = nbformat.v4.new_notebook(cells=list(map(new, CELLS)))
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, given)
    papermill.execute_notebook(str(given), str(made), progress_bar=False)
    check(nbformat.read(made, as_version=4))
    no_child_is_left(temporary)


def test_papermill_sees_what_cannot_be(tmp_path: Path) -> None:
    given, made = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[new(CELLS[0]), new("%%kx --frob\n1"), new("1")])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, given)
    with pytest.raises(papermill.PapermillExecutionError, match="--frob"):
        papermill.execute_notebook(str(given), str(made), progress_bar=False)


def test_ipython_in_a_terminal(tmp_path: Path) -> None:
    arguments = ["-m", "IPython", "--simple-prompt", "--colors=NoColor", "--no-banner", "--no-confirm-exit"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "dumb"}
    with pexpect.spawn(sys.executable, arguments, encoding="utf-8", env=environment, timeout=30) as terminal:
        number = 0

        def run(*lines: str) -> str:
            nonlocal number
            number += 1
            terminal.expect_exact(f"In [{number}]: ")
            for line in lines:
                terminal.sendline(line)
            terminal.expect_exact(f"In [{number + 1}]: ")
            terminal.sendline("")
            return strip_ansi(str(terminal.before))

        run("%load_ext kernel_exec.magics")
        assert "42" in run("get_ipython().run_cell_magic('kx', 'lab', '6 * 7')")
        chart = "import matplotlib.pyplot as plt; plt.figure(figsize=(6.4, 4.8), dpi=100); plt.plot([1]); plt.show()"
        assert "[image/png " in run(f"get_ipython().run_cell_magic('kx', 'lab', '{chart}')")
        said = run("get_ipython().run_cell_magic('kx', 'lab', '1 / 0')")
        assert said.count("ZeroDivisionError: division by zero") == 1
        assert said.count("Traceback") == 1
        assert "lab" in run("%kx list")
        assert "UsageError: no session 'x'" in run("%kx stop x").replace("\r\n", "")
        terminal.sendline("get_ipython().run_cell_magic('kx', 'lab', 'import time; print(\"now\"); time.sleep(60)')")
        terminal.expect_exact("now\r\n")
        terminal.sendintr()
        terminal.expect_exact("KeyboardInterrupt")
        terminal.sendline("get_ipython().run_cell_magic('kx', 'lab', '1000 + 1')")
        terminal.expect_exact("1001")
        terminal.sendline("exit")
        terminal.expect(pexpect.EOF)
    nothing_is_left(tmp_path)
