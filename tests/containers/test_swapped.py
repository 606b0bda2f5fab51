"""Code in a container that swaps what the host has in the work directory, and a first process that lies."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel_exec import Executor, KernelStartError, Limits
from kernel_exec.kernels import docker
from tests.executor.looks import code_cells

PICTURE = "import matplotlib.pyplot as plt; plt.figure(figsize=(1, 1)); plt.plot([1]); plt.show()"
LONG = "print('x' * 20_000)"

Fresh = Callable[..., Executor]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host with a file in it; nothing else may be there at the end."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "mine").write_text("mine")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"mine": "mine"}


def test_the_folder_of_pictures(fresh: Fresh, outside: Path) -> None:
    ex = fresh(limits=Limits(output_bytes=1_000))
    result = ex.execute(f"import os; os.symlink({str(outside)!r}, 'session_files')\n{PICTURE}\n{LONG}")
    ex.put("kept", b"k" * 5_000)
    folder = ex.workdir / "session_files"
    assert not folder.is_symlink()
    assert (ex.workdir / "session_files-1").is_symlink()
    assert result.images[0].path == folder / "cell-1-1.png"
    assert (folder / "cell-1-1.png").read_bytes() == result.images[0].data
    result = ex.execute(f"os.rename('session_files', 'old'); os.mkdir('session_files')\n{PICTURE}\n{LONG}")
    assert result.images[0].path is not None
    assert result.images[0].path.read_bytes() == result.images[0].data
    result = ex.execute(f"for n in range(9): os.mkfifo(f'session_files/cell-4-{{n}}.png')\n{PICTURE}")
    assert result.images[0].path is not None
    assert result.images[0].path.read_bytes() == result.images[0].data


def test_the_recording(fresh: Fresh, outside: Path, tmp_path: Path) -> None:
    ex = fresh(notebook=tmp_path / "work0" / "sub" / "session.ipynb")
    swaps = [
        f"import os; os.rename('sub', 'away'); os.symlink({str(outside)!r}, 'sub')",
        f"os.unlink('sub/session.ipynb'); os.symlink({str(outside / 'mine')!r}, 'sub/session.ipynb')",
        "os.unlink('sub/session.ipynb'); os.mkfifo('sub/session.ipynb')",
        "os.unlink('sub/.session.ipynb.kernel_exec'); os.mkdir('sub/.session.ipynb.kernel_exec')",
        "open('sub/session.ipynb', 'w').write('mine'); os.chmod('sub/session.ipynb', 0)",
    ]
    results = [result for swap in swaps for result in (ex.execute(swap), ex.execute("1"))]
    assert all(result.ok for result in results), [result.text for result in results]
    assert [note for result in results for note in result.notes if "recording" in note] == []
    assert {result.cell_id for result in results} <= {cell.id for cell in code_cells(ex.notebook_path)}


LIES = {
    "a directory": "{'started': 5, 'directory': PRECIOUS}",
    "a mount": "{'error': 'x', 'mounted': PRECIOUS}",
    "an end of the lease": "{'stopped': True, 'signalled': 2}",
    "a state of the engine": "{'exited': 0, 'rest': ['', ''], 'container': {'OOMKilled': True}}",
    "numbers": "{'memory': 10 ** 30, 'above': True}, {'usage': 1, 'cpu': float('nan'), 'peak': -1}, {'started': 1}",
    "no object": "7, [], None",
}


@pytest.fixture
def lying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the first process of all containers of this test send something more; `lie` is Python."""

    def lying(lie: str) -> None:
        code = tmp_path / "code"
        shutil.copytree(docker.LAUNCHER.parent, code)
        with (code / "box.py").open("a") as file:
            file.write(
                f"\n\ntold = _tell\n\ndef _tell(event):\n    told(event)\n    if 'started' in event:\n        {lie}\n"
            )
        monkeypatch.setattr(docker, "LAUNCHER", code / docker.LAUNCHER.name)

    return lying


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_lies_are_ignored(fresh: Fresh, outside: Path, lying: Callable[[str], None], lie: str) -> None:
    lying(f"[told(lie) for lie in ({lie.replace('PRECIOUS', repr(str(outside)))},)]")
    ex = fresh()
    assert ex.execute("1 + 1").text == "2"
    assert ex.execute("import os; os._exit(3)").state_preserved is False
    assert ex.execute("2").text == "2"
    ex.close()


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param("b'{\\n'", id="broken"),
        pytest.param("b'[' * 100_000 + b'\\n'", id="deep"),
        pytest.param("b'x' * 2 ** 22", id="long", marks=pytest.mark.long),
    ],
)
def test_a_container_that_says_what_is_no_event_is_ended(fresh: Fresh, lying: Callable[[str], None], lie: str) -> None:
    lying(f"data = {lie}\n        while data: data = data[os.write(OUT, data):]")
    with pytest.raises(KernelStartError, match="its container"):
        fresh()
