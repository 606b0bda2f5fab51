"""The host process killed with SIGKILL at any moment: the notebook is valid, whole, and nothing else is left."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest

from tests.executor.looks import children, runs, wait_until

SCRIPT = """
import os, sys
from kernel_exec import Executor
sys.stdout.reconfigure(line_buffering=True)
with Executor(workdir=sys.argv[1]) as ex:
    print('pid', ex.execute('import os, matplotlib.pyplot as plt; os.getpid()').text)
    print('done', 'import os, matplotlib.pyplot as plt; os.getpid()')
    for number in range(100000):
        code = f"{number}\\nprint('x' * {number % 50})" + ("; plt.plot([1, 2])" if number % 3 == 0 else "")
        ex.execute(code)
        print('done', code.replace('\\n', '~'))
"""


def validated(path: Path) -> list[str]:
    read = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    nbformat.validate(read)
    return [cell.source for cell in read.cells]


def one_kill(folder: Path, delay: float, cells: int = 0) -> None:
    """Run a session, and kill its host `delay` seconds after so many cells have been recorded."""
    folder.mkdir()
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    work = folder / "work"
    host = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, work], stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True
    )
    below: set[int] = set()
    path = work / "session.ipynb"
    assert not cells or wait_until(lambda: path.exists() and len(validated(path)) >= cells, 60)
    end = time.monotonic() + delay
    held = None
    while time.monotonic() < end:
        time.sleep(min(0.05, max(0.0, end - time.monotonic())))
        below |= {pid for child in children(host.pid) for pid in (child, *children(child))}
        if path.exists():
            held = held or path.open(encoding="utf-8")
            validated(path)
    below |= {pid for child in children(host.pid) for pid in (child, *children(child))}
    os.kill(host.pid, signal.SIGKILL)
    out, _ = host.communicate()
    answered = [line[5:].replace("~", "\n") for line in out.splitlines() if line.startswith("done ")]
    if held is not None:  # a reader that holds an old file open across cells still sees a notebook
        nbformat.validate(nbformat.from_dict(json.loads(held.read())))
        held.close()
    if path.exists():
        sources = validated(path)
        assert sources[: len(answered)] == answered
        assert len(sources) <= len(answered) + 1
    else:
        assert answered == []
    assert wait_until(lambda: not any(runs(pid) for pid in below))
    extra = {"session.ipynb", "session_files"}
    assert wait_until(lambda: not work.exists() or {entry.name for entry in work.iterdir()} <= extra), list(
        work.iterdir()
    )
    assert wait_until(lambda: left_in(temporary) == []), left_in(temporary)
    assert len(answered) >= cells - 1


def left_in(temporary: Path) -> list[Path]:
    """What lies there, but for the file by which `tempfile` itself tries a directory: four bytes, once a process."""
    return [
        path
        for path in temporary.iterdir()
        if not (re.fullmatch("[a-z0-9_]{8}", path.name) and path.is_file() and path.read_bytes() in {b"", b"blat"})
    ]


def kills(folder: Path, count: int, longest: float) -> None:
    """Half of the kills come as the session begins, the others after some cells."""
    random.seed(count)
    for number in range(count):
        one_kill(folder / str(number), random.uniform(0.0, longest), cells=4 * (number % 2))


@pytest.mark.timeout(300)
def test_killed_at_4_points(tmp_path: Path) -> None:
    kills(tmp_path, 4, 2.0)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_killed_at_60_points(tmp_path: Path) -> None:
    kills(tmp_path, 60, 1.5)


def test_the_temporary_home_goes_too() -> None:
    code = (
        "from kernel_exec import Executor\nex = Executor().start()\n"
        "print(ex.workdir, ex.execute('import os; os.getpid()').text, flush=True)\nex.execute('while True: pass')"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    home, pid = host.stdout.readline().rsplit(maxsplit=1)
    assert Path(home).exists()
    assert Path(home).parent == Path(tempfile.gettempdir())
    host.kill()
    host.communicate()
    assert wait_until(lambda: not runs(int(pid)) and not Path(home).exists())


def test_the_temporary_home_goes_too_when_the_host_dies_while_it_closes() -> None:
    """The kernel has ended by then, and nobody but its supervisor can know what is left."""
    code = (
        "import os, signal\nfrom kernel_exec import Executor\nfrom kernel_exec.home import Home\n"
        "Home.remove = lambda home: os.kill(os.getpid(), signal.SIGKILL)\nex = Executor().start()\n"
        "print(ex.workdir, ex.execute('import os; os.getpid()').text, flush=True)\nex.close()"
    )
    host = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    assert host.returncode == -signal.SIGKILL
    home, pid = host.stdout.rsplit(maxsplit=1)
    assert wait_until(lambda: not runs(int(pid)) and not Path(home).exists())


def test_a_forked_child_of_the_host_keeps_nothing_alive() -> None:
    """The child holds copies of every descriptor that tells of the host's life."""
    code = (
        "import os, time\nfrom kernel_exec import Executor\nex = Executor().start()\n"
        "pid = ex.execute('import os; os.getpid()').text\nchild = os.fork()\n"
        "if not child: time.sleep(60); os._exit(0)\nprint(pid, child, flush=True)\ntime.sleep(60)"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    pid, child = map(int, host.stdout.readline().split())
    try:
        host.kill()
        host.wait()
        assert runs(child)
        assert wait_until(lambda: not runs(pid))
    finally:
        os.kill(child, signal.SIGKILL)
        host.stdout.close()
