"""Cells that have a name of a file: their code is kept there, and what they raise points into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import Executor, InvalidArgument, TransferError, WrongType, replay
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells

pytestmark = pytest.mark.everywhere

HELPER = "def divide(a, b):\n    return a / b\n"


def test_the_code_is_kept_and_is_an_artifact(ex: Executor) -> None:
    result = ex.execute("数 = 1\nprint(数)", filename="src/first.py")
    assert result.stdout == "1\n"
    assert (ex.workdir / "src" / "first.py").read_text(encoding="utf-8") == "数 = 1\nprint(数)"
    (artifact,) = result.artifacts
    assert (artifact.path, artifact.change) == (ex.workdir / "src" / "first.py", "created")
    again = ex.execute("x = 2", filename="src/first.py")
    assert [artifact.change for artifact in again.artifacts] == ["modified"]
    cell = code_cells(ex.notebook_path)[-1]
    assert cell.metadata.kernel_exec.filename == "src/first.py"
    assert [fact["path"] for fact in cell.metadata.kernel_exec.artifacts] == ["src/first.py"]
    assert ex.execute("import src.first; print(src.first.x)").stdout == "2\n"


def test_tracebacks_point_into_the_files(ex: Executor) -> None:
    ex.execute(HELPER, filename="helper.py").raise_for_error()
    inside = ex.execute("import os; print(os.getcwd())").stdout.strip()
    result = ex.execute("import os\nhere = os.getcwd(); os.chdir('/')\ndivide(1, 0)", filename="main.py")
    ex.execute("os.chdir(here)")
    assert result.text.splitlines()[:6] == [
        "ZeroDivisionError: division by zero",
        f"File {inside}/main.py:3",
        "----> 3 divide(1, 0)",
        f"File {inside}/helper.py:2, in divide",
        "      1 def divide(a, b):",
        "----> 2     return a / b",
    ]
    unnamed = ex.execute("divide(1, 0)").text
    assert "Cell In[" in unnamed
    assert f"File {inside}/helper.py:2, in divide" in unnamed


def test_what_else_points_into_the_file(ex: Executor) -> None:
    inside = ex.execute("import os; print(os.getcwd())").stdout.strip()
    warned = ex.execute("import warnings\n\nwarnings.warn('careful')", filename="warns.py")
    assert f"{inside}/warns.py:3: UserWarning: careful" in warned.stderr
    syntax = ex.execute("x = 1\ny = = 2", filename="typo.py")
    assert syntax.error is not None
    assert "typo.py, line 2" in syntax.error.value
    assert (ex.workdir / "typo.py").exists()
    ex.execute("_ = get_ipython().run_cell('def inner(): 1 / 0')", filename="outer.py").raise_for_error()
    assert "outer.py" not in ex.execute("inner()").text


def test_each_attempt_finds_its_code(ex: Executor) -> None:
    from kernel_exec import Retry

    code = "import os\nos.remove('self.py')\n1 / 0"
    result = ex.execute(code, filename="self.py", retry=Retry(attempts=2, backoff=0))
    assert [one.error and one.error.name for one in (*result.earlier, result)] == ["ZeroDivisionError"] * 2


@pytest.mark.parametrize(
    ("filename", "error"),
    [
        ("", InvalidArgument),
        (".", InvalidArgument),
        ("../out.py", InvalidArgument),
        ("a/../../out.py", InvalidArgument),
        ("/etc/out.py", InvalidArgument),
        ("two\nlines.py", InvalidArgument),
        ("null\0.py", InvalidArgument),
        ("session.ipynb", InvalidArgument),
        ("session_files/x.py", InvalidArgument),
        (3, WrongType),
        (Path("x.py"), WrongType),
    ],
)
def test_no_name_of_a_file(ex: Executor, filename: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="filename"):
        ex.execute("ran = True", filename=filename)
    with pytest.raises(error, match="filename"):
        ex.submit("ran = True", filename=filename)


def test_where_nothing_can_be_kept_nothing_runs(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    ex = fresh()
    outside = tmp_path / "outside"
    outside.mkdir()
    (ex.workdir / "link").symlink_to(outside)
    (ex.workdir / "folder").mkdir()
    for name in ("link/x.py", "folder", "x" * 300):
        with pytest.raises(TransferError, match="cannot be written"):
            ex.execute("ran = True", filename=name)
    assert list(outside.iterdir()) == []
    assert ex.execute("'ran' in globals()").text == "False"


def test_a_link_in_its_place_is_replaced_and_not_followed(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    ex = fresh()
    outside = tmp_path / "outside.py"
    outside.write_text("mine", encoding="utf-8")
    (ex.workdir / "x.py").symlink_to(outside)
    assert ex.execute("1", filename="x.py").ok
    assert outside.read_text(encoding="utf-8") == "mine"
    assert (ex.workdir / "x.py").read_text(encoding="utf-8") == "1"


def test_the_stock_kernel_keeps_the_file_as_well(stock: KernelSettings, tmp_path: Path) -> None:
    with Executor(stock, workdir=tmp_path) as ex:
        result = ex.execute("1 / 0", filename="x.py")
        assert (tmp_path / "x.py").read_text(encoding="utf-8") == "1 / 0"
        assert result.error is not None
        assert result.error.name == "ZeroDivisionError"


def test_a_replay_keeps_them_again(kernel: KernelSettings, tmp_path: Path) -> None:
    with Executor(kernel, workdir=tmp_path / "then") as ex:
        ex.execute(HELPER, filename="helper.py")
        ex.execute("import helper; helper.divide(1, 0)")
        recording = ex.notebook_path
    assert recording is not None
    (tmp_path / "then" / "helper.py").unlink()
    again = replay(recording, workdir=tmp_path / "now", kernel=kernel, output=tmp_path / "again.ipynb")
    assert again.ok
    assert (tmp_path / "now" / "helper.py").read_text(encoding="utf-8") == HELPER
    assert [cell.metadata.kernel_exec.get("filename") for cell in code_cells(again.notebook_path)] == [
        "helper.py",
        None,
    ]


@pytest.mark.host_only("no other kernel is needed to read a notebook")
def test_a_name_that_leads_elsewhere_is_nothing_to_a_replay(tmp_path: Path) -> None:
    with Executor(workdir=tmp_path / "then") as ex:
        ex.execute("1", filename="x.py")
        recording = ex.notebook_path
    assert recording is not None
    recording.write_text(recording.read_text(encoding="utf-8").replace('"x.py"', '"../x.py"'), encoding="utf-8")
    assert replay(recording, workdir=tmp_path / "now").ok
    assert not (tmp_path / "x.py").exists()
