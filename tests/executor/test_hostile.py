"""Code that harms its own kernel: the session survives or says that it died, and nothing of it outlives `close`."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_exec import Executor
from tests.executor.looks import children, ended_by_its_deadline, host_pid, runs, wait_until

pytestmark = pytest.mark.everywhere

HARMLESS = {
    "sys.stdout = None": "import sys; sys.stdout = None",
    "sys.stderr = None": "import sys; sys.stderr = None",
    "sys.stdout closed": "import sys; sys.stdout.close()",
    "fd 1 closed": "import os; os.close(1)",
    "fds 0 to 2 closed": "import os; os.close(0); os.close(1); os.close(2)",
    "print deleted": "import builtins; del builtins.print",
    "all builtins deleted": "import builtins; builtins.__dict__.clear()",
    "display hook removed": "import sys; sys.displayhook = None",
    "work directory changed": "import os; os.chdir('/')",
    "sys.exit": "import sys; sys.exit(3)",
    "user namespace cleared": "globals().clear()",
    "a fork that goes on": "import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)",
    "a fork that raises": "import os\npid = os.fork()\nif not pid: raise ValueError\nos.waitpid(pid, 0)",
    "excepthook removed": "import sys; sys.excepthook = None",
    "signal handlers of Python gone": "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)",
}


@pytest.mark.everywhere(soon=True)
@pytest.mark.parametrize("code", HARMLESS.values(), ids=HARMLESS)
def test_the_session_survives(ex: Executor, code: str) -> None:
    pid = ex.execute("import os; os.getpid()").text
    result = ex.execute(code, timeout=20)
    assert result.status in ("ok", "error"), result.text
    for number in range(2):
        after = ex.execute(f"import os\nprint('again', {number})\n_ = os.system('echo child')\nos.getpid()", timeout=20)
        assert after.ok, after.text
        assert sorted(after.stdout.splitlines()) == [f"again {number}", "child"]
        assert after.text.endswith(pid)


def test_a_deleted_work_directory(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("import os, shutil; here = os.getcwd(); shutil.rmtree(here)")
    result = ex.execute("1 + 1")
    assert (result.status, result.text) == ("ok", "2")
    assert ex.notebook_path is not None
    assert ex.notebook_path.exists(), result.notes


FATAL = {
    "exit()": "exit()",
    "quit()": "quit()",
    "loop stopped": "import asyncio; asyncio.get_event_loop().stop()",
    "loop closed soon": "import asyncio; asyncio.get_event_loop().call_soon(asyncio.get_event_loop().stop)",
}


@pytest.mark.parametrize("code", FATAL.values(), ids=FATAL)
def test_the_end_of_the_kernel_is_survived_or_told(fresh: Callable[..., Executor], code: str) -> None:
    ex = fresh()
    ex.execute("kept = 3")
    results = [ex.execute(code), *(ex.execute("print('kept' in globals())") for _ in range(3))]
    lost = [result for result in results if not result.state_preserved]
    assert len(lost) <= 1
    assert all(result.status == "died" for result in lost)
    assert results[-1].ok
    assert results[-1].stdout == f"{not lost}\n"
    if code in ("exit()", "quit()"):
        assert results[0].status == "died"
        assert "asked it to exit" in results[0].text


FORKS = """
import os, signal, time
def forked():
    pid = os.fork()
    if not pid:
        time.sleep(30)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    for _ in range(2000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WTERMSIG(status) == signal.SIGTERM
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False
all(forked() for _ in range(100))
"""


def test_a_child_that_is_ended_as_it_begins_ends(ex: Executor) -> None:
    assert ex.execute(FORKS, timeout=60).text == "True"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_pools_work(fresh: Callable[..., Executor], method: str) -> None:
    ex = fresh()
    (ex.workdir / "mine.py").write_text("def double(x):\n    print('in a worker')\n    return 2 * x\n")
    result = ex.execute(
        f"import multiprocessing, mine\nwith multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "    answer = pool.map(mine.double, range(3))\nanswer"
    )
    assert result.ok, result.text
    assert result.outputs[-1]["data"]["text/plain"] == "[0, 2, 4]"
    assert ex.execute("1").ok


DAEMON = """
import os, subprocess, sys
code = '''
import os, signal, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
'''
subprocess.run([sys.executable, '-c', code, 'daemon.new'], env={})
while not os.path.exists('daemon.new') or not open('daemon.new').read(): pass
pool = __import__('multiprocessing').get_context('spawn').Pool(1)
child = subprocess.Popen(['sleep', '600'], start_new_session=True)
stopped = subprocess.Popen(['sleep', '600']); os.kill(stopped.pid, 19)
print(int(open('daemon.new').read()), pool._pool[0].pid, child.pid, stopped.pid, os.getpid())
"""


@pytest.mark.everywhere(soon=True)
def test_no_process_outlives_close(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    result = ex.execute(DAEMON)
    pids = [host_pid(ex, int(pid)) for pid in result.stdout.split()]
    assert len(pids) == 5, result.text
    assert all(runs(pid) for pid in pids)
    ex.close()
    assert [pid for pid in pids if runs(pid)] == []


def test_no_process_outlives_a_kill_by_the_deadline(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    pids = [host_pid(ex, int(pid)) for pid in ex.execute(DAEMON).stdout.split()]
    code = "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nprint('on', flush=True)\nwhile True: time.sleep(1)"
    result = ended_by_its_deadline(ex, code, 0.5)
    assert not result.state_preserved
    assert wait_until(lambda: not any(runs(pid) for pid in pids))
    assert ex.execute("1").ok


@pytest.mark.host_only("in a container nothing can signal it: tests/containers/test_box.py")
@pytest.mark.parametrize("name", ["SIGKILL", pytest.param("SIGSTOP", marks=pytest.mark.long)])
def test_a_cell_that_ends_whoever_watches_it(fresh: Callable[..., Executor], name: str) -> None:
    ex = fresh()
    pid = host_pid(ex, int(ex.execute("import os; os.getpid()").text))
    code = f"import os, signal\nprint('on', flush=True)\nos.kill(os.getppid(), signal.{name})\nwhile True: pass"
    result = ex.execute(code, timeout=2 if name == "SIGSTOP" else 25)
    assert result.status in ("died", "timeout")
    assert not result.state_preserved
    assert result.stdout == "on\n"
    assert wait_until(lambda: not runs(pid))
    assert ex.execute("1").ok


@pytest.mark.host_only("a keeper outlives `close` by a moment: tests/containers/test_deaths.py")
def test_close_leaves_no_child_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of its own, as other tests run meanwhile; and with a name that is short enough for sockets.
    temporary = Path(tempfile.mkdtemp())
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = children()
    with Executor(workdir=tmp_path / "w") as ex:
        ex.execute("1")
        assert list(temporary.iterdir()) != [], "the sockets are elsewhere"
    with Executor() as ex:
        ex.execute("1")
        assert ex.workdir.parent == temporary
        assert ex.workdir.exists()
    assert children() == before
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["session.ipynb"]
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


def test_a_stopped_kernel_is_killed_by_the_deadline(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    pid = host_pid(ex, int(ex.execute("import os; os.getpid()").text))
    os.kill(pid, signal.SIGSTOP)
    result = ex.execute("1", timeout=0.5)
    assert (result.status, result.state_preserved) == ("timeout", False)
    assert ex.execute("2").text == "2"
