"""Questions while a cell runs, before there is a kernel, and when there is none any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernel_exec import (
    AsyncExecutor,
    Execution,
    Executor,
    ExecutorClosed,
    InvalidArgument,
    KernelDiedError,
    RequestFailed,
    RequestTimeout,
    WrongType,
)
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.sync import Execution as Running
from tests.executor.looks import code_cells, quickest, wait_until

pytestmark = pytest.mark.everywhere

BUSY = {
    "computing": "while True: pass",
    "sleeping": "import time\ntime.sleep(600)",
    "awaiting": "import asyncio\nawait asyncio.sleep(600)",
}


@pytest.fixture(params=BUSY)
def busy(request: pytest.FixtureRequest, ex: Executor, patient: None) -> Iterator[Running]:
    """A cell that runs for ever, and is interrupted in the end: the kernel and its state stay."""
    ex.execute("kept = 'value'; frame = pd.DataFrame({'a': [1, 2]})\ndef greet(who): 'Says hello.'").raise_for_error()
    running = ex.submit(f"print('on', flush=True)\n{BUSY[request.param]}")
    assert wait_until(running.outputs)
    yield running
    result = running.cancel()
    assert (result.status, result.state_preserved, result.stdout) == ("interrupted", True, "on\n")
    assert ex.get("kept") == "value"
    assert ex.execute("import sys; sys.getswitchinterval()").text == "0.005"


def test_all_of_it_while_a_cell_runs(ex: Executor, busy: Running) -> None:
    """In under a second each, as is promised: a stuck answer would take ten each time."""
    for ask, expected in (
        (lambda: ex.complete("kept.upp").matches, (".upper",)),
        (lambda: ex.complete("gre", 3).matches, ("greet",)),
        (lambda: "Says hello." in ex.inspect("greet(").text, True),
        (lambda: "def greet" in ex.inspect("greet", detail=1).text, True),
        (lambda: [v.preview for v in ex.variables() if v.name == "kept"], ["'value'"]),
        (lambda: ex.get("kept"), "value"),
        (lambda: list(ex.get("frame").a), [1, 2]),
        (lambda: ex.put("given", [1, None]), None),
        (lambda: ex.get("given"), [1, None]),
    ):
        assert quickest(ask, expected, 1) < 1
    assert not busy.done


def test_a_cell_that_waits_for_a_value(ex: Executor) -> None:
    running = ex.submit("import time\nwhile 'signal' not in globals(): time.sleep(0.01)\nprint(signal)")
    ex.put("signal", "go")
    assert running.result(20).stdout == "go\n"
    assert [cell.source for cell in code_cells(ex.notebook_path) if cell.execution_count is None][-1].endswith(
        "\nsignal = 'go'"
    )


def test_before_the_kernel_is_started(kernel: KernelSettings, tmp_path: Path) -> None:
    ex = Executor(kernel, workdir=tmp_path)
    try:
        assert ex.variables() == []
        assert ex.is_alive
    finally:
        ex.close()


def test_beside_the_very_first_cell(kernel: KernelSettings, tmp_path: Path) -> None:
    with contextlib.closing(Executor(kernel, workdir=tmp_path)) as ex:
        running = ex.submit("x = 1\nprint('on', flush=True)\nwhile True: pass")
        assert ex.complete("print").matches == ("print",)  # asked before the kernel is there
        assert wait_until(running.outputs)
        assert [variable.name for variable in ex.variables()] == ["x"]
        assert not running.done


def test_late_output_stays_where_it_is(ex: Executor) -> None:
    """Of a thread, and of a descriptor."""
    code = "import os, threading, time\ndef late():\n    while 'go' not in globals(): time.sleep(0.01)\n"
    ex.execute(f"{code}    print('by print'); os.write(1, b'by write')\nthreading.Thread(target=late).start()")
    for _ in range(20):
        ex.variables()
        ex.complete("go")
    ex.put("go", value=True)
    assert wait_until(lambda: "by write" in str(code_cells(ex.notebook_path)[-2].outputs))
    outputs = str(code_cells(ex.notebook_path)[-2].outputs)
    assert "by print" in outputs


async def test_many_at_once_before_and_after_the_start(kernel: KernelSettings, tmp_path: Path) -> None:
    async with AsyncExecutor(kernel, workdir=tmp_path) as ex:
        await ex.execute("x = 1; import os")
        assert await asyncio.gather(*(ex.get("x") for _ in range(100))) == [1] * 100
        running: Execution = await ex.submit("os._exit(3)")
        await running.result()
        asked = await asyncio.gather(*(ex.variables() for _ in range(5)))  # all wait for the kernel that follows
        assert asked == [[]] * 5


def test_a_dead_kernel_and_a_closed_executor(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("import os, threading\nclass Deadly:\n    def __dir__(self): os._exit(3)\nx = Deadly()")
    with pytest.raises(KernelDiedError, match="exited with status 3"):
        ex.complete("x.")
    with pytest.raises(KernelDiedError, match="fresh one"):
        ex.variables()
    assert ex.execute("1").status == "died"
    assert ex.variables() == []
    ex.close()
    for ask in (ex.variables, lambda: ex.get("x"), lambda: ex.put("x", 1), lambda: ex.complete("x")):
        with pytest.raises(ExecutorClosed):
            ask()


async def test_closed_while_a_question_is_open(kernel: KernelSettings, tmp_path: Path) -> None:
    ex = AsyncExecutor(kernel, workdir=tmp_path)
    await ex.execute("import time\nclass Slow:\n    def __dir__(self): time.sleep(600)\nx = Slow()")
    asked = asyncio.ensure_future(ex.complete("x."))
    await asyncio.sleep(0)
    await ex.close()
    with pytest.raises(ExecutorClosed):
        await asked


def test_a_kernel_that_can_start_no_thread(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute(
        "import threading\nstart = threading.Thread.start\n"
        "def refuse(self): raise RuntimeError('no more threads')\nthreading.Thread.start = refuse"
    )
    for _ in range(20):
        with pytest.raises(RequestFailed, match="no more threads"):
            ex.variables()
    ex.execute("threading.Thread.start = start")
    assert "start" in [variable.name for variable in ex.variables()]


def test_a_question_that_is_not_answered_in_time(ex: Executor) -> None:
    ex.execute(
        "import threading\ngate = threading.Event()\nclass Gate:\n    def __dir__(self): gate.wait()\ng = Gate()"
    )
    with pytest.raises(RequestTimeout, match="in time"):
        ex.complete("g.", timeout=0.05)
    assert isinstance(RequestTimeout(), TimeoutError)
    with ThreadPoolExecutor(5) as pool:  # the fifth waits for the four before it
        for asked in [pool.submit(ex.complete, "g.", timeout=0.3) for _ in range(5)]:
            assert isinstance(asked.exception(), RequestTimeout)
    ex.execute("gate.set()")
    assert ex.complete("kept.upp", timeout=None) is not None


@pytest.mark.parametrize(("cursor", "error"), [(-1, InvalidArgument), (5, InvalidArgument), ("1", WrongType)])
def test_places_that_are_not_in_the_code(ex: Executor, cursor: int, error: type[Exception]) -> None:
    for ask in (ex.complete, ex.inspect):
        with pytest.raises(error, match="cursor"):
            ask("abc", cursor)  # type: ignore[operator]


def test_where_warnings_are_errors(ex: Executor) -> None:
    ex.execute("import warnings; kept = ''; warnings.simplefilter('error')").raise_for_error()
    assert ex.complete("kept.upp").matches == (".upper",)
    assert ex.inspect("kept.upper").found
    assert ex.variables()
    assert ex.execute("filters = warnings.filters[0][0]; warnings.resetwarnings(); filters").text == "'error'"


def test_the_users_own_switch_interval_is_kept(ex: Executor) -> None:
    ex.execute("import sys\nclass Sets:\n    def __dir__(self): sys.setswitchinterval(0.25); return []\nsets = Sets()")
    ex.complete("sets.")
    assert ex.execute("sys.getswitchinterval()").text == "0.25"
    ex.execute("sys.setswitchinterval(0.005)")


def test_places_in_the_code(ex: Executor) -> None:
    ex.execute("alphabet = 1\nδέλτα = 2")
    found = ex.complete("# é日本\nx = alph + 1", 14)
    assert (found.matches, found.start, found.end) == (("alphabet",), 10, 14)
    assert ex.complete("δέλ").matches == ("δέλτα",)
    assert ex.complete("nothing_like_this").matches == ()
    assert not ex.inspect("nothing_like_this").found
    assert ex.inspect("len").found
    with pytest.raises(WrongType):
        ex.complete(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="detail"):
        ex.inspect("len", detail=2)
    with pytest.raises(InvalidArgument, match="timeout"):
        ex.variables(timeout=0)
