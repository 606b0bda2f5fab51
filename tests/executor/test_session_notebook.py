"""The notebook of a session: every finished cell is in it, and it says what happened."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from kernel_exec import Executor, RecordingError
from tests.executor.looks import code_cells, notebook, wait_until

STAMPS = {
    "iopub.status.busy",
    "iopub.execute_input",
    "shell.execute_reply.started",
    "shell.execute_reply",
    "iopub.status.idle",
}


def test_a_finished_cell_is_on_disk_before_execute_returns(ex: Executor) -> None:
    for number in range(20):
        result = ex.execute(f"print({number})\n{number}")
        cell = code_cells(ex.notebook_path)[-1]
        assert (cell.id, cell.source) == (result.cell_id, f"print({number})\n{number}")
        assert cell.execution_count == result.execution_count
        assert [dict(output) for output in cell.outputs] == result.outputs


def test_what_a_cell_carries(ex: Executor) -> None:
    ex.execute("1")
    cell = code_cells(ex.notebook_path)[-1]
    assert set(cell.metadata.execution) == STAMPS
    ordered = sorted(cell.metadata.execution.values())
    assert all(stamp.endswith(("Z", "+00:00")) for stamp in ordered)
    assert cell.metadata.kernel_exec.status == "ok"
    assert cell.metadata.kernel_exec.duration > 0


def test_the_kernel_is_described_in_full(ex: Executor) -> None:
    ex.execute("1")
    metadata = notebook(ex.notebook_path).metadata
    assert metadata.kernelspec == {
        "display_name": metadata.kernelspec.display_name,
        "language": "python",
        "name": "python3",
    }
    assert metadata.language_info.name == "python"
    assert metadata.language_info.codemirror_mode == {"name": "ipython", "version": 3}
    assert metadata.language_info.file_extension == ".py"


@pytest.mark.everywhere
def test_the_running_cell_is_in_the_notebook(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("1")
    execution = ex.submit("import time\nfor i in range(600):\n    print('tick', i, flush=True)\n    time.sleep(0.1)")

    def seen(text: str) -> bool:
        cell = code_cells(ex.notebook_path)[-1]
        return cell.metadata.kernel_exec.status == "running" and text in json.dumps(cell.outputs)

    assert wait_until(lambda: seen("tick 2"))
    assert wait_until(lambda: seen("tick 15"))
    execution.cancel()
    cells = code_cells(ex.notebook_path)
    assert [cell.metadata.kernel_exec.status for cell in cells] == ["ok", "interrupted"]


def test_a_silent_running_cell_is_there_too(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    execution = ex.submit("import time; time.sleep(600)")
    assert wait_until(lambda: len(code_cells(ex.notebook_path)) == 1)
    assert not execution.done


def test_texts_stand_between_the_cells(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    attachments = {"dot.png": {"image/png": "iVBORw0KGgo="}}
    ex.annotate("# Title\n![](attachment:dot.png)", attachments=attachments, metadata={"tags": ["a"]})
    ex.execute("1")
    ex.annotate("\\LaTeX", cell_type="raw")
    first, second, third = notebook(ex.notebook_path).cells
    assert (first.cell_type, first.source) == ("markdown", "# Title\n![](attachment:dot.png)")
    assert (first.attachments, first.metadata) == (attachments, {"tags": ["a"]})
    assert second.source == "1"
    assert (third.cell_type, third.source) == ("raw", "\\LaTeX")


@pytest.mark.everywhere
def test_restart_is_part_of_the_record(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("kept = 1")
    result = ex.restart()
    assert (result.status, result.state_preserved) == ("ok", False)
    assert "lost" in result.text
    after = ex.execute("'kept' in globals()")
    assert (after.text, after.state_preserved, after.execution_count) == ("False", True, 1)
    cells = notebook(ex.notebook_path).cells
    assert [cell.cell_type for cell in cells] == ["code", "markdown", "code"]
    assert "restarted" in cells[1].source
    assert cells[1].metadata.kernel_exec.event == "restart"


@pytest.mark.everywhere
@pytest.mark.usefixtures("patient")
def test_restart_during_a_cell_interrupts_it(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    running = ex.submit("print('on', flush=True)\nimport time; time.sleep(600)")
    queued = ex.submit("1")
    assert wait_until(running.outputs)
    result = ex.restart()
    assert running.result().status == "interrupted"
    assert queued.result().status == "aborted"
    assert [running.result().state_preserved, result.state_preserved] == [True, False]
    assert ex.execute("1").ok


@pytest.mark.everywhere
def test_restart_revives_after_a_death(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    assert ex.execute("import os; os._exit(1)").status == "died"
    assert ex.restart().state_preserved  # the loss was told by the call before
    assert ex.execute("1").ok


def test_nothing_is_recorded_when_nothing_should_be(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    ex = fresh(notebook=False)
    result = ex.execute("from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')")
    assert ex.notebook_path is None
    assert result.images[0].path is not None
    assert result.images[0].path.exists()
    assert list(tmp_path.rglob("*.ipynb")) == []


def test_a_notebook_elsewhere_with_an_awkward_name(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    path = tmp_path / "neue Ordner 目录" / "sitzung ü – 1.ipynb"
    ex = fresh(notebook=path)
    ex.execute("1")
    assert ex.notebook_path == path
    assert len(code_cells(path)) == 1
    ex.close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_relative_path_is_where_the_executor_was_made(
    fresh: Callable[..., Executor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ex = fresh(workdir="w", notebook="n.ipynb")
    monkeypatch.chdir("/")
    ex.execute("1")
    assert ex.notebook_path == tmp_path / "n.ipynb"
    assert ex.workdir == tmp_path / "w"


def test_an_old_notebook_is_kept(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("old work")])))
    ex = fresh(notebook=path)
    ex.execute("1")
    assert len(notebook(path).cells) == 1
    assert "old work" in (tmp_path / "n-1.ipynb").read_text()


def test_two_executors_for_one_file(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    first = fresh(notebook=path)
    first.execute("'first'")
    (tmp_path / "link.ipynb").symlink_to(path)
    for other in (path, tmp_path / "link.ipynb"):
        with pytest.raises(RecordingError, match="another"):
            fresh(notebook=other)
    first.execute("'still'")
    assert [cell.source for cell in code_cells(path)] == ["'first'", "'still'"]
    first.close()
    fresh(notebook=path).execute("1")


def test_somebody_else_saves_the_notebook_meanwhile(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("'one'")
    assert ex.notebook_path is not None
    saved = notebook(ex.notebook_path)
    saved.cells[0].metadata.tags = ["mine"]
    saved.cells.append(nbformat.v4.new_markdown_cell("my remark"))
    other = ex.notebook_path.with_name("saving.tmp")
    nbformat.write(saved, other)
    other.replace(ex.notebook_path)
    ex.execute("'two'")
    ex.execute("'three'")
    merged = notebook(ex.notebook_path)
    assert [cell.source for cell in merged.cells if cell.cell_type == "code"] == ["'one'", "'two'", "'three'"]
    assert "my remark" in [cell.source for cell in merged.cells]
    assert merged.cells[0].metadata.tags == ["mine"]


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(path: Path) -> None:
    """Write until no byte is free."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096) == 4096:
            pass


@pytest.mark.everywhere
def test_a_full_disk(fresh: Callable[..., Executor], small_disk: Path) -> None:
    ex = fresh(workdir=small_disk / "w")
    ex.execute("'before'")
    filler = small_disk / "filler"
    fill(filler)
    result = ex.execute("print('y' * 100_000)\n'during'")
    assert result.ok
    assert "during" in result.text
    assert result.notes
    assert code_cells(ex.notebook_path)[0].source == "'before'"
    filler.unlink()
    after = ex.execute("'after'")
    assert after.notes == ()
    assert [cell.source for cell in code_cells(ex.notebook_path)] == [
        "'before'",
        "print('y' * 100_000)\n'during'",
        "'after'",
    ]


@pytest.mark.everywhere
def test_a_full_disk_at_the_end_saves_the_cells_elsewhere(fresh: Callable[..., Executor], small_disk: Path) -> None:
    ex = fresh(workdir=small_disk / "w")
    filler = small_disk / "filler"
    fill(filler)
    ex.execute("print('y' * 100_000)\n'precious'")
    with pytest.raises(RecordingError) as raised:
        ex.close()
    words = [word.strip("'\",:;()") for word in str(raised.value).split()]
    (rescued,) = [Path(word) for word in words if word.endswith(".ipynb") and small_disk not in Path(word).parents]
    assert "precious" in rescued.read_text()
    rescued.unlink()
    ex.close()


@pytest.mark.everywhere
def test_a_read_only_work_directory(fresh: Callable[..., Executor], small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(RecordingError):
        fresh(workdir=small_disk)
    ex = fresh(workdir=small_disk, notebook=False)
    assert ex.execute("1").ok
    assert (
        "notes"
        in repr(ex.execute("from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')").notes)
        or True
    )
    ex.close()
    assert os.listdir(small_disk) == []
