"""The deadline ends every cell, the next call always works, and the result tells the truth about the state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel_exec import (
    AsyncExecutor,
    ExecutionTimeout,
    Executor,
    InvalidArgument,
    ResultNotReady,
)
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells, ended_by_its_deadline, host_pid, runs, wait_until

pytestmark = pytest.mark.everywhere

# What the kernel survives, with its state...
OBEDIENT = {
    "a loop": "while True: pass",
    "a sleep": "import time; time.sleep(600)",
    "an awaiting cell": "import asyncio; await asyncio.sleep(600)",
    "awaiting nothing": "import asyncio; await asyncio.get_running_loop().create_future()",
    "computing between awaits": "import asyncio\nawait asyncio.sleep(0)\nwhile True: pass",
    "waiting for a task": "import asyncio\nawait asyncio.create_task(asyncio.sleep(600))",
    "a slow chart": (
        "from IPython import get_ipython\nimport time\n"
        "def slow(): get_ipython().events.unregister('post_execute', slow); time.sleep(600)\n"
        "get_ipython().events.register('post_execute', slow)"
    ),
    "a hanging subprocess": "import subprocess; subprocess.run(['sleep', '600'])",
    "os.system": "import os; os.system('sleep 600')",
    "a shell cell": "%%bash\necho on\nsleep 600",
    "an endless print": "while True: print('x' * 100)",
    "an endless print of flushed lines": "while True: print('x', flush=True)",
    "a joined thread": "import threading as t\nw = t.Thread(target=t.Event().wait, daemon=True)\nw.start(); w.join()",
}
# ... and what must be killed. By a file it says when that is so: what it puts out need not arrive.
STUBBORN = {
    "swallows KeyboardInterrupt": (
        "import time\nwhile True:\n    try:\n        open('on', 'w').close()\n        while True: time.sleep(1)\n"
        "    except KeyboardInterrupt: pass"
    ),
    "ignores SIGINT": (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nopen('on', 'w').close()\n"
        "while True: time.sleep(1)"
    ),
    "blocks all signals": (
        "import signal as s, time\ns.pthread_sigmask(s.SIG_BLOCK, range(1, 64))\nopen('on', 'w').close()\n"
        "time.sleep(600)"
    ),
    "stuck in C": "open('on', 'w').close()\nsum(range(10**12))",
    "swallows cancellation": (
        "import asyncio\nwhile True:\n    try:\n        open('on', 'w').close()\n        await asyncio.sleep(600)\n"
        "    except asyncio.CancelledError: pass"
    ),
}


@pytest.fixture(scope="module")
def lasting(kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with Executor(kernel, workdir=tmp_path_factory.mktemp("deadlines"), timeout=30) as executor:
        yield executor


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("code", OBEDIENT.values(), ids=OBEDIENT)
def test_an_interrupt_is_enough(lasting: Executor, code: str) -> None:
    lasting.execute("kept = 7").raise_for_error()
    code = code if code.startswith("%%") else "print('on', flush=True)\n" + code
    result = ended_by_its_deadline(lasting, code, 1.0)
    assert result.status == "timeout"
    assert result.steps == ("interrupt",), result.text
    assert result.state_preserved
    assert result.stdout.startswith(("on\n", "x"))
    assert "timeout of 1 s" in result.text
    with pytest.raises(ExecutionTimeout):
        result.raise_for_error()
    after = lasting.execute("kept")
    assert (after.text, after.state_preserved) == ("7", True)


@pytest.mark.parametrize("code", STUBBORN.values(), ids=STUBBORN)
def test_what_does_not_obey_is_killed(lasting: Executor, code: str) -> None:
    lasting.execute("kept = 7").raise_for_error()
    on = lasting.workdir / "on"
    on.unlink(missing_ok=True)
    code = "print('on', flush=True)\nprint('unflushed')\n" + code
    result = ended_by_its_deadline(lasting, code, 0.5, on.exists)
    assert result.status == "timeout"
    assert result.steps == ("interrupt", "kill", "restart")
    assert not result.state_preserved
    assert result.stdout == "on\nunflushed\n"
    assert "killed" in result.text
    after = lasting.execute("'kept' in globals()")
    assert (after.text, after.state_preserved) == ("False", True)


@pytest.mark.everywhere(soon=True)
@pytest.mark.usefixtures("patient")
def test_many_timeouts_in_a_row_never_reach_the_next_cell(lasting: Executor) -> None:
    """A signal that came late would interrupt the cell after."""
    lasting.execute("kept = 8")
    for number in range(15):
        lasting.execute(f"import time; time.sleep({0.01 * number})", timeout=0.07)
        result = lasting.execute("kept")
        assert (result.status, result.text) == ("ok", "8")


@pytest.mark.usefixtures("patient")
def test_a_timeout_is_readable_in_the_notebook(lasting: Executor) -> None:
    result = lasting.execute("import time; time.sleep(60)", timeout=0.5)
    (cell,) = [cell for cell in code_cells(lasting.notebook_path) if cell.id == result.cell_id]
    assert cell.metadata.kernel_exec.status == "timeout"
    assert cell.outputs[-1].ename == "ExecutionTimeout"
    assert "state is kept" in cell.outputs[-1].evalue


def test_without_a_timeout_a_cell_runs_on(fresh: Callable[..., Executor]) -> None:
    ex = fresh(timeout=0.5)
    assert ex.execute("import time; time.sleep(1)", timeout=None).ok
    assert ex.execute("import time; time.sleep(60)").status == "timeout"


def test_waiting_in_the_queue_does_not_count(lasting: Executor) -> None:
    first = lasting.submit("import time; time.sleep(4)")
    second = lasting.submit("1", timeout=3.5)
    assert first.result().ok
    assert second.result().ok


def test_extend_moves_the_deadline(lasting: Executor) -> None:
    execution = lasting.submit("import time; time.sleep(4); 'done'", timeout=3.5)
    execution.extend(20)
    result = execution.result()
    assert (result.status, result.text) == ("ok", "'done'")
    with pytest.raises(InvalidArgument, match="ended"):
        execution.extend(1)


@pytest.mark.everywhere(soon=True)
@pytest.mark.usefixtures("patient")
def test_cancel_interrupts_and_keeps_the_state(lasting: Executor) -> None:
    lasting.execute("kept = 9")
    execution = lasting.submit("print('on', flush=True)\nimport time; time.sleep(60)")
    assert wait_until(execution.outputs)
    result = execution.cancel()
    assert (result.status, result.state_preserved, result.stdout) == ("interrupted", True, "on\n")
    assert execution.done
    assert execution.cancel() is result
    assert lasting.execute("kept").text == "9"


def test_cancel_in_the_queue_never_runs_the_cell(lasting: Executor) -> None:
    first = lasting.submit("import time; time.sleep(3)")
    second = lasting.submit("open('never', 'w').close()")
    assert second.cancel().status == "aborted"
    assert first.result().ok
    assert not (lasting.workdir / "never").exists()


def test_a_stubborn_cell_is_cancelled_all_the_same(lasting: Executor) -> None:
    on = lasting.workdir / "on"
    on.unlink(missing_ok=True)
    execution = lasting.submit(STUBBORN["ignores SIGINT"])
    assert wait_until(on.exists)
    result = execution.cancel()
    assert (result.status, result.state_preserved) == ("interrupted", False)
    assert lasting.execute("1").text == "1"


@pytest.mark.everywhere(soon=True)
@pytest.mark.usefixtures("patient")
def test_interrupt_from_another_thread(lasting: Executor) -> None:
    lasting.execute("kept = 10")
    execution = lasting.submit("print('on', flush=True)\nimport time; time.sleep(60)")
    assert wait_until(execution.outputs)
    lasting.interrupt()
    result = execution.result(timeout=20)
    assert (result.status, result.state_preserved) == ("interrupted", True)
    assert result.error is not None
    assert result.error.name == "KeyboardInterrupt"
    assert lasting.execute("kept").text == "10"


def test_interrupt_when_nothing_runs_does_nothing(lasting: Executor) -> None:
    lasting.interrupt()
    assert lasting.execute("1").ok


def test_the_users_own_keyboard_interrupt_is_an_error(lasting: Executor) -> None:
    assert lasting.execute("raise KeyboardInterrupt").status == "error"


def test_waiting_for_a_result_has_its_own_bound(lasting: Executor) -> None:
    execution = lasting.submit("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nos.unlink('go'); 5")
    with pytest.raises(ResultNotReady, match="goes on"):
        execution.result(timeout=0.1)
    with pytest.raises(TimeoutError):
        execution.result(timeout=0)
    (lasting.workdir / "go").touch()  # what came and went within a cell is no artifact
    assert execution.result().text == "5"
    assert execution.result(timeout=0).text == "5"


def test_the_session_ends_with_its_lifetime(fresh: Callable[..., Executor]) -> None:
    ex = fresh(lifetime=5)
    pid = host_pid(ex, int(ex.execute("import os; os.getpid()").text))
    running, queued = ex.submit("import time; time.sleep(60)"), ex.submit("1")
    result = running.result()
    assert result.status == "timeout"
    assert "lifetime" in result.text
    assert queued.result().status == "aborted"
    assert wait_until(lambda: not ex.is_alive)
    assert wait_until(lambda: not runs(pid))
    with pytest.raises(RuntimeError, match="lifetime of 5 s"):
        ex.execute("1")
    assert len(code_cells(ex.notebook_path)) == 2


def test_an_idle_session_ends_with_its_lifetime(fresh: Callable[..., Executor]) -> None:
    ex = fresh(lifetime=1)
    assert wait_until(lambda: not ex.is_alive)


@pytest.mark.usefixtures("patient")
async def test_cancelling_an_awaiting_task_interrupts_the_cell(kernel: KernelSettings, tmp_path: Path) -> None:
    async with AsyncExecutor(kernel, workdir=tmp_path) as ex:
        await ex.execute("kept = 11")
        for code in ("while True: pass", "import asyncio; await asyncio.sleep(600)"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await ex.execute(code)
            assert (await ex.execute("kept")).text == "11"
        statuses = [cell.metadata.kernel_exec.status for cell in code_cells(ex.notebook_path)]
        assert statuses == ["ok", "interrupted", "ok", "interrupted", "ok"]


async def test_a_second_cancellation_does_not_wait(
    kernel: KernelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernel_exec.session.GRACE", 60.0)
    async with AsyncExecutor(kernel, workdir=tmp_path) as ex:
        await ex.execute("1")
        task = asyncio.ensure_future(ex.execute(STUBBORN["ignores SIGINT"]))
        while not (tmp_path / "on").exists():
            await asyncio.sleep(0.01)
        start = time.monotonic()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.1)
        assert task.cancelled()
        assert (await ex.execute("2")).text == "2"
        assert time.monotonic() - start < 30


def test_an_interrupt_in_a_callback_before_the_code_ends_the_cell(ex: Executor) -> None:
    code = """
import signal
def once(*_):
    get_ipython().events.unregister('pre_execute', once)
    signal.raise_signal(signal.SIGINT)
get_ipython().events.register('pre_execute', once)
"""
    assert ex.execute(code).ok
    result = ex.execute("import time; time.sleep(20); 'slept'")
    assert result.error is not None
    assert result.error.name == "KeyboardInterrupt"
    assert ex.execute("1 + 1").text == "2"
