"""What cells do to files of the work directory is in the result, in the recording, and nowhere twice."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from kernel_exec import AsyncExecutor, Executor, Limits
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import ended_by_its_deadline

pytestmark = pytest.mark.everywhere


def changes(result: object) -> dict[str, str]:
    return {artifact.path.name: artifact.change for artifact in result.artifacts}  # type: ignore[attr-defined]


def test_created_changed_deleted(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "there.txt").write_text("before", encoding="utf-8")
    ex = fresh(workdir=work)
    result = ex.execute(
        "import os\nn = open('a.csv', 'w').write('1,2')\nn = open('there.txt', 'a').write('!')\nos.mkdir('d')"
    )
    assert changes(result) == {"a.csv": "created", "there.txt": "modified"}
    created = result.artifacts[0]
    assert (created.path, created.size, created.mime) == (work / "a.csv", 3, "text/csv")
    assert created.sha256 == hashlib.sha256(b"1,2").hexdigest()
    assert created.cell_id == result.cell_id
    assert changes(ex.execute("os.unlink('there.txt'); n = open('d/b', 'w').write('x')")) == {
        "there.txt": "deleted",
        "b": "created",
    }
    assert ex.execute("1").artifacts == []
    assert [artifact.path.name for artifact in ex.artifacts] == ["a.csv", "b"]
    cell = nbformat.read(ex.notebook_path, as_version=4).cells[0]
    assert [fact["path"] for fact in cell.metadata.kernel_exec.artifacts] == ["a.csv", "there.txt"]


def test_the_recording_and_its_files_are_none(fresh: Callable[..., Executor]) -> None:
    ex = fresh(limits=Limits(output_bytes=1_000))
    result = ex.execute("import matplotlib.pyplot as plt; plt.plot([1]); plt.show(); print('x' * 9_000)")
    assert result.images[0].path
    assert result.truncated
    assert result.artifacts == []
    assert ex.execute("1").artifacts == []


@pytest.mark.host_only("Python does the same in a container")
def test_what_imports_leave_is_none(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("x = 1", filename="mine.py")
    code = "import os, sys; sys.dont_write_bytecode = False; sys.path.insert(0, ''); import mine"
    result = ex.execute(f"{code}; os.listdir('__pycache__')").raise_for_error()
    assert "mine." in result.text
    assert result.artifacts == []
    assert ex.execute("os.unlink(mine.__cached__)").artifacts == []


@pytest.mark.everywhere(soon=True)
def test_what_is_dangerous_is_told_and_not_followed(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    ex = fresh(limits=Limits(artifact_bytes=1_000))
    code = f"""
import os
os.symlink({str(tmp_path / "secret")!r}, 'link.txt')
os.mkfifo('fifo')
open('large', 'wb').truncate(2 ** 40)
open(b'odd\\xff\\nname', 'w').write('x')
"""
    result = ex.execute(code)
    assert result.ok
    assert [os.fsencode(artifact.path.name) for artifact in result.artifacts] == [b"odd\xff\nname"]
    told = " ".join(result.notes)
    assert all(name in told for name in ("link.txt", "fifo", "large"))
    assert told.isprintable()
    nbformat.validate(nbformat.read(ex.notebook_path, as_version=4))
    assert ex.execute("1").notes == ()


def test_files_of_a_cell_that_failed_or_died(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    assert changes(ex.execute("n = open('error', 'w').write('x'); 1 / 0")) == {"error": "created"}
    assert changes(ex.execute("import os; os.close(os.open('dead', os.O_CREAT)); os._exit(1)")) == {"dead": "created"}
    late = "n = open('late', 'w').write('x')\nwhile True: pass"
    assert changes(ended_by_its_deadline(ex, late, 0.5, (ex.workdir / "late").exists)) == {"late": "created"}


@pytest.mark.parametrize("temporary", [True, False])
async def test_nothing_stays_open(temporary: bool, kernel: KernelSettings, tmp_path: Path) -> None:
    async with AsyncExecutor(kernel, workdir=None if temporary else tmp_path / "w") as warm:
        await warm.execute("1")
    before = len(os.listdir("/proc/self/fd"))
    async with AsyncExecutor(kernel, workdir=None if temporary else tmp_path / "x") as ex:
        await ex.execute("n = open('a', 'w').write('x')")
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_earlier_recording_that_gets_another_name_is_no_artifact(tmp_path: Path) -> None:
    for _ in range(2):
        with Executor(workdir=tmp_path, timeout=30) as executor:
            result = executor.execute("1 + 1")
    assert (tmp_path / "session-1.ipynb").exists()
    assert result.artifacts == []
    assert result.text == "2"
