"""Code that swaps what lies in the work directory for something else: the host writes nowhere else, and says so."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel_exec import Executor, Limits, RecordingError
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells, wait_until

pytestmark = pytest.mark.everywhere

PICTURE = "import matplotlib.pyplot as plt; plt.figure(figsize=(1, 1)); plt.plot([1]); plt.show()"
LONG = "print('x' * 20_000)"
CUT = Limits(output_bytes=1_000)

Fresh = Callable[..., Executor]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host with a file in it; nothing else may be there at the end."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"mine": "mine"}


SWAPS = {
    "a link": "os.symlink({outside!r}, 'session_files')",
    "a link to nothing": "os.symlink({outside!r} + '/new', 'session_files')",
    "a link to itself": "os.symlink('session_files', 'session_files')",
    "a file": "open('session_files', 'w').close()",
    "a FIFO": "os.mkfifo('session_files')",
    "a socket": "import socket; socket.socket(socket.AF_UNIX).bind('session_files')",
    "another folder": "os.mkdir('session_files')",
    "nothing": "",
}


@pytest.mark.long
@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_the_folder_of_pictures_is_made_afresh(fresh: Fresh, outside: Path, swap: str) -> None:
    ex = fresh(limits=CUT)
    folder = ex.workdir / "session_files"
    ex.execute(f"{PICTURE}\n{LONG}")
    assert folder.is_dir()
    code = f"import os, shutil\nshutil.rmtree('session_files')\n{swap.format(outside=str(outside))}\n"
    ex.put("before", b"b" * 5_000)
    result = ex.execute(f"{code}\n{PICTURE}\n{LONG}")
    ex.put("after", b"a" * 5_000)
    assert result.ok
    assert [path.parent for path in folder.iterdir()] == [folder] * 3
    assert not folder.is_symlink()
    path = result.images[0].path
    assert path is not None
    assert path.read_bytes() == result.images[0].data
    assert any(path.read_text() == "x" * 20_000 + "\n" for path in folder.glob("*-stdout.txt"))
    assert [path.read_bytes() for path in folder.glob("put-*")] == [b"a" * 5_000]
    assert len(code_cells(ex.notebook_path)) == 4


@pytest.mark.everywhere(soon=True)
def test_what_has_a_name_of_ours_is_not_written_through(fresh: Fresh, outside: Path) -> None:
    ex = fresh(limits=CUT)
    os.link(outside / "mine", ex.workdir / "linked")
    result = ex.execute(
        f"import os\nos.mkdir('session_files'); os.chdir('session_files')\n"
        f"os.link('../linked', 'cell-1-1.png'); os.mkfifo('cell-1-1.1.png'); os.mkdir('cell-1-1.2.png')\n"
        f"os.symlink({str(outside / 'mine')!r}, 'cell-1-1.3.png')\n"
        f"os.mkfifo('cell-1-stdout.txt'); os.symlink({str(outside / 'new')!r}, 'cell-1-stdout.1.txt')\n"
        f"for n in range(150): open(f'put-2-x.{{n}}.bin' if n else 'put-2-x.bin', 'w').close()\n"
        f"{PICTURE}\n{LONG}"
    )
    ex.put("x", b"v" * 5_000)
    names = [path.name for path in (ex.workdir / "session_files").iterdir() if path.is_file()]
    assert result.images[0].path == ex.workdir / "session_files" / "cell-1-1.4.png"
    assert "cell-1-stdout.2.txt" in names
    assert len([name for name in names if name.startswith("put-2-x.")]) == 151


KEPT = {
    "its folder is a link": "os.rename('session_files', 'away'); os.symlink({outside!r}, 'session_files')",
    "it is a link": "os.unlink(name); os.symlink({outside!r} + '/mine', name)",
    "it is a link to nothing": "os.unlink(name); os.symlink({outside!r} + '/new', name)",
    "it is a hard link": "os.unlink(name); os.link('linked', name)",
    "it is a FIFO": "os.unlink(name); os.mkfifo(name)",
    "it is a directory": "os.unlink(name); os.mkdir(name)",
    "it is another file": "open('other', 'w').close(); os.replace('other', name)",
    "it is gone": "os.unlink(name)",
}
SHOW = {
    "by the host": "while not glob.glob('session_files/cell-1-*'): print('x' * 10_000, flush=True)",
    "by the kernel": (
        "display({'text/html': 'x' * 20_000}, raw=True)\nwhile not glob.glob('session_files/*'): time.sleep(0.01)"
    ),
}


@pytest.mark.parametrize("swap", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("kept", SHOW)
def test_a_file_of_what_was_cut(
    fresh: Fresh, outside: Path, kernel: KernelSettings, stock: KernelSettings, swap: str, kept: str
) -> None:
    ex = fresh(limits=CUT, kernel=stock if kept == "by the host" else kernel)
    os.link(outside / "mine", ex.workdir / "linked")
    result = ex.execute(
        f"import glob, os, time\n{SHOW[kept]}\nname, = glob.glob('session_files/cell-1-*')\n"
        f"{swap.format(outside=str(outside))}\nfor number in range(9): print('more', flush=True)",
        timeout=60,
    )
    assert result.ok, result.text
    assert any("is not whole" in note for note in result.notes), result.notes


RACE = """
import os, threading
def swap():
    while not ended.is_set():
        try:
            os.rename('session_files', 'other'); os.symlink({outside!r}, 'session_files')
            os.unlink('session_files'); os.rename('other', 'session_files')
        except OSError:
            pass
ended = threading.Event()
threads = [threading.Thread(target=swap, daemon=True) for _ in range(2)]
for thread in threads: thread.start()
"""


@pytest.mark.host_only("the same race as below, which runs everywhere")
def test_a_folder_that_is_swapped_all_the_time(fresh: Fresh, outside: Path) -> None:
    ex = fresh(limits=CUT)
    ex.execute(RACE.format(outside=str(outside)))
    results = [ex.execute(f"{PICTURE}\n{LONG}") for _ in range(25)]
    for number in range(25):
        ex.put(f"x{number}", b"v" * 5_000)
    assert all(result.ok for result in results)
    assert all(len(result.images) == 1 for result in results)


def test_a_folder_with_artifacts_that_is_swapped_all_the_time(fresh: Fresh, outside: Path) -> None:
    ex = fresh()
    (outside / "mine").write_text("not theirs")
    race = RACE.replace("session_files", "folder").format(outside=str(outside))
    ex.execute(f"import os; os.mkdir('folder'); open('folder/mine', 'w').close()\n{race}")
    found = []
    for number in range(60):
        found += ex.execute(f"open('f{number}', 'w').close()").artifacts
    (outside / "mine").write_text("mine")
    assert {artifact.path.name for artifact in found} >= {f"f{number}" for number in range(60)}
    assert hashlib.sha256(b"not theirs").hexdigest() not in {artifact.sha256 for artifact in found}


NAMES = {
    "a link": "os.symlink({outside!r} + '/mine', {name!r})",
    "a link to a directory": "os.symlink({outside!r}, {name!r})",
    "a link to nothing": "os.symlink({outside!r} + '/new', {name!r})",
    "a hard link": "os.link('linked', {name!r})",
    "a FIFO": "os.mkfifo({name!r})",
    "a directory": "os.mkdir({name!r}); open({name!r} + '/full', 'w').close()",
    "a closed file": "open({name!r}, 'w').write('closed'); os.chmod({name!r}, 0)",
    "a sparse terabyte": "open({name!r}, 'w').truncate(2 ** 40)",
}


@pytest.mark.host_only("the directory around them is swapped everywhere, below")
@pytest.mark.parametrize("name", ["session.ipynb", ".session.ipynb.kernel_exec"])
@pytest.mark.parametrize("swap", NAMES.values(), ids=NAMES)
def test_the_names_of_the_recording(fresh: Fresh, outside: Path, name: str, swap: str) -> None:
    ex = fresh()
    os.link(outside / "mine", ex.workdir / "linked")
    ex.execute("import os, shutil")
    code = f"if os.path.lexists({name!r}): os.unlink({name!r})\n{swap.format(outside=str(outside), name=name)}"
    results = [ex.execute(code), ex.execute("1"), ex.execute(code), ex.execute("2")]
    assert results[0].ok, results[0].text
    assert [note for result in results for note in result.notes if "recording" in note] == []
    assert {result.cell_id for result in results} <= {cell.id for cell in code_cells(ex.notebook_path)}
    ex.close()
    assert {result.cell_id for result in results} <= {cell.id for cell in code_cells(ex.notebook_path)}


@pytest.mark.everywhere(soon=True)
def test_the_directory_of_the_recording_is_swapped(fresh: Fresh, outside: Path, tmp_path: Path) -> None:
    ex = fresh(workdir=tmp_path / "work", notebook=tmp_path / "work" / "sub" / "deep" / "session.ipynb")
    results = [ex.execute("import os; 1")]
    for name in ("sub", "sub/deep"):
        swap = f"os.rename({name!r}, 'away{len(name)}'); os.symlink({str(outside)!r}, {name!r})"
        results += [ex.execute(swap), ex.execute(PICTURE)]
        assert {result.cell_id for result in results} <= {cell.id for cell in code_cells(ex.notebook_path)}
        assert not (tmp_path / "work" / name).is_symlink()
    assert [note for result in results for note in result.notes if "recording" in note] == []
    ex.execute(f"os.rename('sub', 'b'); os.symlink({str(outside)!r}, 'sub')")
    ex.close()


def test_a_recording_that_is_swapped_all_the_time(fresh: Fresh, outside: Path, tmp_path: Path) -> None:
    ex = fresh(workdir=tmp_path / "work", notebook=tmp_path / "work" / "sub" / "session.ipynb")
    race = RACE.replace("session_files", "sub").format(outside=str(outside))
    results = [ex.execute(race), *(ex.execute("1") for _ in range(100)), ex.execute("ended.set()")]
    assert all(result.ok for result in results)
    for thread in range(2):
        ex.execute(f"threads[{thread}].join()")
    result = ex.execute("'last'")
    assert result.cell_id in {cell.id for cell in code_cells(ex.notebook_path)}


def test_a_hidden_name_that_is_swapped_all_the_time(fresh: Fresh, outside: Path) -> None:
    ex = fresh()
    attack = f"""
import os, threading
def swap():
    while not ended.is_set():
        for name in ('.session.ipynb.kernel_exec', 'session.ipynb'):
            for make in (os.mkfifo, lambda name: os.symlink({str(outside / "mine")!r}, name), os.mkdir):
                try:
                    make('x'); os.rename('x', name)
                except OSError:
                    pass
                if os.path.isdir('x'): os.rmdir('x')
ended = threading.Event()
thread = threading.Thread(target=swap, daemon=True)
thread.start()
"""
    results = [ex.execute(attack), *(ex.execute("1") for _ in range(50)), ex.execute("ended.set(); thread.join()")]
    assert all(result.ok for result in results)
    result = ex.execute("'last'")
    assert {result.cell_id for result in (*results, result)} <= {cell.id for cell in code_cells(ex.notebook_path)}


def test_a_recording_whose_time_is_forged(fresh: Fresh) -> None:
    ex = fresh()
    first = ex.execute("import os\nname = 'session.ipynb'")
    forge = (
        "found = os.stat(name)\n"
        "with open(name, 'r+b') as file: file.write(b'[' * found.st_size)\n"
        "os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns))"
    )
    results = [first, ex.execute(forge), ex.execute("os.unlink(name)"), ex.execute("3")]
    assert all(result.ok for result in results)
    assert [note for result in results for note in result.notes if "recording" in note] == []
    assert results[-1].cell_id in {cell.id for cell in code_cells(ex.notebook_path)}


BOMBS = {
    "very many values": "'[' + '[],' * 20_000_000 + '0]'",
    "very many cells of one id": "json.dumps({'cells': [dict(cell_type='raw', id='a', metadata={}, source='')] * 50_000"
    ", 'metadata': {}, 'nbformat': 4, 'nbformat_minor': 5})",
    "very deep": "'{\"cells\": [], \"nbformat\": 4, \"metadata\": {\"a\":' + '[' * 900 + ']' * 900 + '}}'",
    "a huge number": "'1' * 10_000_000",
}


@pytest.mark.long
@pytest.mark.host_only("what reads such a file is this process, whoever wrote it")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_save_that_would_take_all_memory_or_time(fresh: Fresh, bomb: str) -> None:
    ex = fresh()
    results = [ex.execute("import json"), ex.execute(f"n = open('session.ipynb', 'w').write({bomb})")]
    for name in ("session.ipynb", "session-1.ipynb"):
        if (ex.workdir / name).exists():
            (ex.workdir / name).unlink()
    results += [ex.execute(f"n = open('session.ipynb', 'w').write({bomb})"), ex.execute("3")]
    assert [note for result in results for note in result.notes if "recording" in note] == []
    notebook = json.loads(ex.notebook_path.read_bytes())  # type: ignore[union-attr]
    assert {result.cell_id for result in results} <= {cell["id"] for cell in notebook["cells"]}


@pytest.mark.host_only("no kernel has a part in it")
def test_a_link_that_an_earlier_session_left_is_not_followed(fresh: Fresh, outside: Path, tmp_path: Path) -> None:
    (tmp_path / "work0").mkdir()
    (tmp_path / "work0" / "session.ipynb").symlink_to(outside / "mine")
    with pytest.raises(RecordingError, match="no file"):
        fresh()
    (tmp_path / "work0" / "sub").symlink_to(outside)
    with pytest.raises(RecordingError, match="not followed"):
        fresh(notebook=tmp_path / "work0" / "sub" / "a.ipynb")
    (tmp_path / "way").symlink_to(tmp_path / "work0")
    with pytest.raises(RecordingError, match="not followed"):
        fresh(notebook=tmp_path / "way" / "sub" / "a.ipynb")


@pytest.mark.long
@pytest.mark.host_only("no kernel has a part in it")
def test_links_of_the_user_outside_are_followed(fresh: Fresh, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    ex = fresh(workdir=tmp_path / "way" / "work", notebook=tmp_path / "way" / "a.ipynb")
    result = ex.execute(PICTURE)
    assert result.images[0].path == tmp_path / "way" / "a_files" / "cell-1-1.png"
    assert (tmp_path / "real" / "a_files" / "cell-1-1.png").read_bytes() == result.images[0].data
    assert len(code_cells(tmp_path / "real" / "a.ipynb")) == 1


KILLED = """
import os, signal, sys
from kernel_exec import Executor
work, outside = sys.argv[1:]
ex = Executor(workdir=work, notebook=f'{work}/sub/session.ipynb').start()
ex.execute('1')
assert ex.execute(f"import os; os.rename('sub', 'away'); os.symlink({outside!r}, 'sub')").ok
os.rename(f'{work}/sub', f'{work}/swapped')
os.symlink(outside, f'{work}/sub')
print('swapped', flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_cleans_up_after_a_killed_host_follows_no_link(tmp_path: Path) -> None:
    work, outside, scratch = tmp_path / "work", tmp_path / "outside", tmp_path / "scratch"
    outside.mkdir()
    scratch.mkdir()
    (outside / ".session.ipynb.kernel_exec").write_text("mine")
    command = [sys.executable, "-c", KILLED, str(work), str(outside)]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "swapped\n")
    assert wait_until(lambda: not list(scratch.glob("kernel-exec-*")))
    assert wait_until(lambda: not runs_below(scratch))
    assert (outside / ".session.ipynb.kernel_exec").read_text() == "mine"


def runs_below(scratch: Path) -> list[str]:
    """The processes that know of a directory: supervisors that are not done yet."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [place.parent.name] * (os.fsencode(scratch) in place.read_bytes())
    return found
