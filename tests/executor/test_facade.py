"""The synchronous facade: Ctrl-C, event loops, threads, forks, forgotten executors; nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_exec import AsyncExecutor, Execution, ExecutionResult, Executor, ExecutorClosed, KernelExecError
from kernel_exec import sync as facade
from kernel_exec.stream import Stream
from tests.executor.looks import children, code_cells, descriptors, python_threads, tasks, wait_until


@pytest.mark.parametrize(
    ("ours", "core", "renamed"),
    [
        (Executor, AsyncExecutor, {"__aenter__": "__enter__", "__aexit__": "__exit__"}),
        (facade.Execution, Execution, {}),
        (facade.Stream, Stream, {"aclose": "close", "__aiter__": "__iter__", "__anext__": "__next__"}),
    ],
)
def test_the_facade_has_the_surface_of_the_core(ours: type, core: type, renamed: dict[str, str]) -> None:
    inner = {"feed", "show", "finish", "fail", "settled", "ended_result", "fold", "over"}
    inner |= {"unwanted", "begin_again", "paused"}
    for name, member in vars(core).items():
        if (name.startswith("_") and name not in ("__init__", *renamed)) or name in inner:
            continue
        if name == "__init__" and core is not AsyncExecutor:
            continue
        twin = vars(ours)[renamed.get(name, name)]
        if inspect.isfunction(member):
            parameters = inspect.signature(member).parameters.values()
            assert [(p.name, p.kind, p.default) for p in inspect.signature(twin).parameters.values()] == [
                (p.name, p.kind, p.default) for p in parameters
            ]
        assert inspect.getdoc(twin) or name.startswith("__"), name


@pytest.mark.usefixtures("patient")
def test_ctrl_c_interrupts_the_cell_and_not_the_session(ex: Executor) -> None:
    ex.execute("kept = 12")
    for call in (ex.execute, lambda code: list(ex.stream(code)), lambda code: ex.execute(code, on_output=print)):
        timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            call("import time; time.sleep(60)")  # type: ignore[operator]
        timer.join()
        last = code_cells(ex.notebook_path)[-1]
        assert last.metadata.kernel_exec.status == "interrupted"
        assert ex.execute("kept").text == "12"


def test_a_second_ctrl_c_does_not_wait(fresh: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_exec.session.GRACE", 60.0)
    ex = fresh()
    second: list[float] = []

    def interrupt_twice() -> None:
        assert wait_until((ex.workdir / "on").exists, 60)
        running = ex._core._conductor.running
        assert running is not None
        os.kill(os.getpid(), signal.SIGINT)
        assert wait_until(running.stop.wanted.done, 60)  # two that nobody has looked at yet would be one
        time.sleep(0.3)
        second.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt_twice)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        ex.execute(
            "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nopen('on', 'w').close()\nwhile True: time.sleep(1)"
        )
    interrupting.join()
    assert time.monotonic() - second[0] < 8
    assert ex.execute("1").text == "1"


def test_inside_a_running_event_loop(ex: Executor) -> None:
    async def main() -> str:
        return ex.execute("6 * 7").text

    assert asyncio.run(main()) == "42"


def test_from_its_own_event_loop_it_refuses(ex: Executor) -> None:
    async def inside() -> None:
        ex.execute("1")

    with pytest.raises(KernelExecError, match="AsyncExecutor"):
        ex._portal.call(inside)
    assert ex.execute("1").ok


def test_after_a_fork_it_refuses_and_the_parent_goes_on(ex: Executor) -> None:
    ex.execute("kept = 13")
    pid = os.fork()
    if not pid:
        status = 1
        try:
            ex.execute("1")
        except ExecutorClosed as error:
            ex.close()
            status = 0 if "fork" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ex.execute("kept").text == "13"


def test_closed_during_a_call(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    running = ex.submit("print('on', flush=True)\nwhile True: pass")
    queued = ex.submit("1")
    results = []
    waiting = threading.Thread(target=lambda: results.append(ex.execute("2")))
    waiting.start()
    assert wait_until(lambda: running.outputs() and len(ex._core._conductor._calls) == 3)
    ex.close()
    waiting.join()
    assert (running.result().status, running.result().stdout) == ("interrupted", "on\n")
    assert not running.result().state_preserved
    assert queued.result().status == results[0].status == "aborted"
    assert code_cells(ex.notebook_path)[-1].metadata.kernel_exec.status == "interrupted"
    with pytest.raises(ExecutorClosed, match="make a new one"):
        ex.execute("3")
    ex.close()


def test_close_from_many_threads_at_once(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("1")
    threads = [threading.Thread(target=ex.close) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert not ex.is_alive


@pytest.mark.usefixtures("patient")
def test_a_stream_left_early_interrupts_its_cell(ex: Executor) -> None:
    ex.execute("kept = 14")
    code = "while True: print('x', flush=True)"
    for item in ex.stream(code):
        assert item
        break
    with ex.stream(code) as stream:
        next(stream)
    gc.collect()
    assert ex.execute("kept", timeout=20).text == "14"


@pytest.mark.usefixtures("patient")
def test_a_stream_cancelled_goes_on_to_its_result(ex: Executor) -> None:
    code = "try:\n    print('on\\n', end='')\n    while True: pass\nfinally: print('cleaned up\\n', end='')"
    with ex.stream(code) as stream:
        assert next(stream)["text"] == "on\n"  # type: ignore[index]
        stream.cancel()
        *outputs, result = stream
    assert "cleaned up\n" in [output.get("text") for output in outputs]  # type: ignore[union-attr]
    assert isinstance(result, ExecutionResult)
    assert (result.status, result.state_preserved, result.steps) == ("interrupted", True, ("interrupt",))
    stream.cancel()
    assert ex.execute("6 * 7").text == "42"


def test_a_stream_cancelled_from_another_thread_may_kill(fresh: Callable[..., Executor]) -> None:
    with fresh().stream("print('on')\nwhile True: pass") as stream:
        next(stream)
        thread = threading.Thread(target=stream.cancel, kwargs={"kill": True})
        thread.start()
        *_, result = stream
        thread.join()
    assert isinstance(result, ExecutionResult)
    assert (result.status, result.state_preserved) == ("interrupted", False)
    assert "kill" in result.steps


def test_closed_while_its_kernel_starts(tmp_path: Path) -> None:
    executor = Executor(workdir=tmp_path)
    first, second = executor.submit("1"), executor.submit("2")
    executor.close()
    assert [first.result().status, second.result().status] == ["aborted", "aborted"]
    assert first.result().attempts == 0


def test_a_forgotten_stream_interrupts_its_cell(ex: Executor) -> None:
    stream = ex.stream("import time; time.sleep(600)")
    del stream
    gc.collect()
    assert ex.execute("'free'").text == "'free'"


def grown(before: tuple[int, int, list[str], set[int]]) -> bool:
    """Is there more than before? A thread that has just ended is the system's for a moment longer: `<`, not `!=`."""
    return before[0] < descriptors() or before[1] < tasks() or before[2:] != (python_threads(), children())


def test_nothing_is_left_of_a_closed_executor(tmp_path: Path) -> None:
    def session() -> None:
        with Executor(workdir=tmp_path) as ex:
            ex.execute("1")
            list(ex.stream("print(1)"))
            ex.execute("input()", on_input=lambda *_: "x")
            ex.submit("1").result()
            ex.restart()
            ex.execute("import os; os._exit(1)")

    session()
    before = descriptors(), tasks(), python_threads(), children()
    for _ in range(3):
        session()
    gc.collect()
    assert wait_until(lambda: not grown(before))


async def test_nothing_is_left_of_a_closed_async_executor(tmp_path: Path) -> None:
    async def session() -> None:
        async with AsyncExecutor(workdir=tmp_path) as ex:
            await ex.execute("1")
            async for _ in ex.stream("print(1)"):
                break
            await ex.restart()

    await session()
    before, running = (descriptors(), tasks(), python_threads(), children()), len(asyncio.all_tasks())
    for _ in range(3):
        await session()
    assert len(asyncio.all_tasks()) == running
    assert wait_until(lambda: not grown(before))


def test_a_forgotten_executor_is_closed(tmp_path: Path) -> None:
    before = children(), python_threads()
    ex = Executor(workdir=tmp_path)
    ex.execute("1")
    assert children() != before[0]
    del ex
    gc.collect()
    assert wait_until(lambda: (children(), python_threads()) == before)


def test_an_execution_keeps_its_executor(tmp_path: Path) -> None:
    execution = Executor(workdir=tmp_path).submit("import time; time.sleep(0.3); 5")
    gc.collect()
    assert execution.result().text == "5"
    execution._executor.close()


def run_script(body: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body)], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_script_that_never_closes_ends_and_leaves_nothing(tmp_path: Path) -> None:
    done = run_script(
        """
        from kernel_exec import Executor
        ex = Executor(workdir="w")
        print(ex.execute("import os; os.getpid()").text)
        late = ex.submit("print('on', flush=True); import time; time.sleep(60)")
        while not late.outputs(): pass
        """,
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    from tests.executor.looks import runs

    assert wait_until(lambda: not runs(int(done.stdout)))
    cells = code_cells(tmp_path / "w" / "session.ipynb")
    assert [cell.metadata.kernel_exec.status for cell in cells] == ["ok", "interrupted"]
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["session.ipynb"]


def test_nothing_the_kernel_does_reaches_our_stdout(tmp_path: Path) -> None:
    done = run_script(
        """
        import os
        from kernel_exec import Executor
        with Executor() as ex:
            ex.execute("import os; os.system('echo leak; echo leak >&2'); os.write(1, b'leak'); print('leak')")
            ex.execute("import os; os.write(2, b'leak'); os._exit(1)")
        os.write(1, b"only this")
        """,
        tmp_path,
    )
    assert (done.stdout, done.stderr) == ("only this", "")


async def test_an_executor_belongs_to_its_loop(tmp_path: Path) -> None:
    async with AsyncExecutor(workdir=tmp_path) as ex:
        await ex.execute("1")

        def elsewhere() -> None:
            with pytest.raises(ExecutorClosed, match="another event loop"):
                asyncio.run(ex.execute("1"))

        await asyncio.to_thread(elsewhere)
