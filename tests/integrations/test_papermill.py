"""papermill with our engine: its metadata, progress and saves, and the truth about what ran."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from kernel_exec import DockerKernel, KernelStartError, UnknownKernel
from tests.replays.notebooks import code, read, text, write


def run(path: Path, **options: Any) -> Any:
    """Run a notebook; return what papermill wrote, whether it failed or not."""
    output = path.with_name("out.ipynb")
    output.unlink(missing_ok=True)
    papermill.execute_notebook(path, output, engine_name="kernel_exec", progress_bar=False, **options)
    return read(output)


def status(cell: Any) -> str | None:
    found = cell.metadata.get("papermill", {}).get("status")
    return None if found is None else str(found)


def test_a_notebook(tmp_path: Path) -> None:
    path = write(
        tmp_path / "n.ipynb",
        text("# Title"),
        code("a = 1", "parameters"),
        "print(a); handle = display('before', display_id=True)",
        "handle.update('after')\na",
        code("unreached", "skip-execution"),
    )
    made = run(path, parameters={"a": 5})
    code_cells = made.cells[2:]
    assert [status(cell) for cell in made.cells] == ["completed"] * 6
    assert made.cells[2].metadata.tags == ["injected-parameters"]
    assert code_cells[1].outputs[0].text == "5\n"
    assert code_cells[1].outputs[1].data["text/plain"] == "'after'"
    assert code_cells[2].outputs[0].data["text/plain"] == "5"
    assert "iopub.execute_input" in code_cells[1].metadata.execution
    assert made.metadata.language_info.name == "python"
    assert made.metadata.papermill.exception is None
    assert made.metadata.papermill.duration > 0


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("source", "options", "name"),
    [
        ("1/0", {}, "ZeroDivisionError"),
        ("import time; print('kept'); time.sleep(60)", {"execution_timeout": 4}, "ExecutionTimeout"),
        ("print('kept', flush=True); import os; os._exit(3)", {}, "KernelDied"),
    ],
    ids=["an error", "a timeout", "a death"],
)
def test_a_cell_that_never_ran_is_not_completed(
    tmp_path: Path, source: str, options: dict[str, Any], name: str
) -> None:
    path = write(tmp_path / "n.ipynb", "1", source, "3")
    with pytest.raises(PapermillExecutionError, match=name):
        run(path, **options)
    made = read(tmp_path / "out.ipynb")
    cells = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [status(cell) for cell in cells] == ["completed", "failed", "pending"]
    assert [cell.metadata.papermill.exception for cell in cells] == [False, True, None]
    assert made.metadata.papermill.exception is True
    assert cells[1].outputs[-1].ename.startswith(name)
    if name != "ZeroDivisionError":
        assert cells[1].outputs[0].text == "kept\n"
    assert (cells[2].outputs, cells[2].execution_count) == ([], None)


def test_a_cell_that_somebody_interrupted_is_not_completed(tmp_path: Path) -> None:
    ctrl_c = (
        f"print('kept', flush=True)\nimport os, signal, time\nos.kill({os.getpid()}, signal.SIGINT)\ntime.sleep(60)"
    )
    path = write(tmp_path / "n.ipynb", "1", ctrl_c, "3")
    with pytest.raises(KeyboardInterrupt):
        run(path)
    made = read(tmp_path / "out.ipynb")
    assert [status(cell) for cell in made.cells] == ["completed", "failed", "pending"]
    assert made.metadata.papermill.exception is True
    assert made.cells[1].outputs[0].text == "kept\n"
    assert made.cells[1].outputs[-1].ename == "ExecutionInterrupted"


def test_a_kernel_that_does_not_start(tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "1", text("x"))
    with pytest.raises(UnknownKernel):
        run(path, kernel_name="no-such-kernel")
    assert [status(cell) for cell in read(tmp_path / "out.ipynb").cells] == ["pending", "pending"]


def test_it_is_saved_while_a_cell_runs(tmp_path: Path) -> None:
    watch = (
        "import json, time\nprint('shown')\nend = time.time() + 30\n"
        "while time.time() < end:\n"
        "    time.sleep(0.05); print('.', end='', flush=True)\n"
        "    try:\n        cell = json.load(open('out.ipynb'))['cells'][0]\n"
        "    except ValueError:\n        continue\n"  # papermill is writing it
        "    if cell['outputs']: break\n"
        "cell['outputs'][0]['text'][0]"
    )
    path = write(tmp_path / "n.ipynb", watch)
    made = run(path, cwd=tmp_path, autosave_cell_every=0.2)
    assert "shown" in made.cells[0].outputs[-1].data["text/plain"]


def test_options_of_papermill(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "papermill")
    path = write(tmp_path / "n.ipynb", "import sys; print('out'); print('err', file=sys.stderr)", "1/0", "'last'")
    with (tmp_path / "o").open("w") as out, (tmp_path / "e").open("w") as err, pytest.raises(PapermillExecutionError):
        run(path, stdout_file=out, stderr_file=err, log_output=True, allow_errors=True)
    assert (tmp_path / "o").read_text() == "out\n"
    assert (tmp_path / "e").read_text() == "err\n"
    assert "'last'" in caplog.text
    assert status(read(tmp_path / "out.ipynb").cells[-1]) == "completed"


def test_where_it_runs(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path = write(tmp_path / "n.ipynb", "import os; os.getcwd()")
    before = os.getcwd()
    assert run(path, cwd=tmp_path / "there").cells[0].outputs[0].data["text/plain"] == repr(str(tmp_path / "there"))
    assert os.getcwd() == before


def test_it_waits_for_nothing(tmp_path: Path) -> None:
    """papermill's own engine asks the kernel at the end, and a kernel that died lets it wait."""
    path = write(tmp_path / "n.ipynb", "import os; os._exit(1)")
    start = time.monotonic()
    with pytest.raises(PapermillExecutionError):
        run(path)
    assert time.monotonic() - start < 30


@pytest.mark.engine
def test_in_a_container(engine: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "n.ipynb", "import os; os.getcwd()")
    made = run(path, cwd=tmp_path, kernel=DockerKernel())
    assert made.cells[0].outputs[0].data["text/plain"] == "'/workspace'"


def test_no_option_is_ignored_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "n.ipynb", "1")
    run(path, iopub_timeout=3, allow_errors=True, execution_timeout=5, timeout=6)
    assert "makes nothing of these options: iopub_timeout" in caplog.text
    caplog.clear()
    run(path)
    assert "makes nothing" not in caplog.text


def test_a_start_that_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(KernelStartError, match="start_timeout"):
        run(write(tmp_path / "n.ipynb", "1"), start_timeout=0)
    assert [status(cell) for cell in read(tmp_path / "out.ipynb").cells] == ["pending"]
