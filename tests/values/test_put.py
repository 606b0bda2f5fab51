"""What `put` writes down: a replay in a kernel that knows nothing of us has the same values."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kernel_exec import AsyncExecutor, Executor, InvalidArgument, RecordingError, ValueRefused, WrongType
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells, host_pid, wait_until
from tests.values.kinds import KEPT, make, same

pytestmark = pytest.mark.everywhere


def test_replayed_in_another_kernel(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    first = fresh(workdir=tmp_path / "work", notebook=tmp_path / "work" / "my session.ipynb")
    for number, source in enumerate(KEPT.values()):
        first.put(f"v{number}", make(source))
    first.close()
    second = fresh(workdir=tmp_path / "work", notebook=False)
    for cell in code_cells(tmp_path / "work" / "my session.ipynb"):
        second.execute(cell.source).raise_for_error()
    for number, source in enumerate(KEPT.values()):
        assert same(second.get(f"v{number}"), make(source)), source


def test_literals_and_files(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.put("small", {"a": [1, float("nan"), "é"], "b": -float("inf")})
    ex.put("large", ["x"] * 1000)
    ex.put("df", pd.DataFrame({"a": [1]}))
    ex.put("df", pd.DataFrame({"a": [2]}))
    ex.put("array", np.arange(3))
    sources = [cell.source for cell in code_cells(ex.notebook_path)]
    assert sources[0] == "small = {'a': [1, float(\"nan\"), 'é'], 'b': float(\"-inf\")}"
    assert "'session_files/put-1-large.json'" in sources[1]
    assert "'session_files/put-2-df.arrow'" in sources[2]
    assert "'session_files/put-3-df.arrow'" in sources[3]
    assert sources[4] == "array = __import__(\"numpy\").load('session_files/put-4-array.npy')"
    files = sorted(path.name for path in (ex.workdir / "session_files").iterdir())
    assert files == ["put-1-large.json", "put-2-df.arrow", "put-3-df.arrow", "put-4-array.npy"]
    facts = [cell.metadata.kernel_exec for cell in code_cells(ex.notebook_path)]
    assert facts[2] == {"event": "put", "name": "df", "kind": "frame"}


def test_a_recording_elsewhere_is_named_in_full(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    ex = fresh(notebook=tmp_path / "elsewhere" / "n.ipynb")
    ex.put("array", np.arange(3))
    (cell,) = code_cells(ex.notebook_path)
    assert repr(str(tmp_path / "elsewhere" / "n_files" / "put-1-array.npy")) in cell.source


def test_no_file_is_overwritten(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    (ex.workdir / "session_files").mkdir()
    taken = ex.workdir / "session_files" / "put-1-a.npy"
    taken.write_bytes(b"mine")
    ex.put("a", np.arange(3))
    assert taken.read_bytes() == b"mine"
    (cell,) = code_cells(ex.notebook_path)
    ex.execute("del a")
    ex.execute(cell.source).raise_for_error()
    assert ex.get("a").tolist() == [0, 1, 2]


def test_a_file_that_cannot_be_written_is_told(fresh: Callable[..., Executor], tmp_path: Path) -> None:
    ex = fresh(notebook=tmp_path / ("x" * 250))  # so the name of the folder is too long
    with pytest.raises(RecordingError, match="a replay will lack it"):
        ex.put("a", np.arange(3))
    assert ex.get("a").tolist() == [0, 1, 2]


def test_nothing_is_written_without_a_recording(fresh: Callable[..., Executor]) -> None:
    ex = fresh(notebook=False)
    ex.put("a", np.arange(3))
    assert ex.get("a").tolist() == [0, 1, 2]
    assert list(ex.workdir.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "1a",
        "a.b",
        "a;b",
        "x=1\n",
        "class",
        "None",
        "__builtins__",
        "__x",
        "In",
        "get_ipython",
        "_",
        "_i",
        "_3",
    ],
)
def test_names_that_are_refused(ex: Executor, name: str) -> None:
    with pytest.raises(InvalidArgument, match="name must"):
        ex.put(name, 1)


@pytest.mark.parametrize("name", [None, 3, b"x"])
def test_names_that_are_no_strings(ex: Executor, name: Any) -> None:
    with pytest.raises(WrongType, match="name must be a string"):
        ex.put(name, 1)
    with pytest.raises(WrongType, match="name must be a string"):
        ex.get(name)


@pytest.mark.parametrize("name", ["print", "_private", "ünïcödé", "ﬁne", "match"])
def test_names_that_are_taken(ex: Executor, name: str) -> None:
    """Also those that Python writes in another way than they were given."""
    ex.put(name, 7)
    assert ex.get(name) == 7
    assert ex.execute(name).text == "7"
    assert ex.execute(f"del {name}").ok


def test_what_is_of_the_hosts_own_classes_is_refused(ex: Executor) -> None:
    class Mine(list[int]):
        pass

    with pytest.raises(ValueRefused, match="Mine"):
        ex.put("mine", Mine())
    with pytest.raises(ValueRefused, match="Mine"):
        ex.put("mine", {"a": [Mine()]})


def test_without_the_libraries_the_kernel_says_what_is_missing(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("import sys; sys.modules['numpy'] = sys.modules['pyarrow'] = None")
    with pytest.raises(ValueRefused, match="missing in the kernel: `%pip install numpy`"):
        ex.put("a", np.arange(3))
    assert ex.variables() == []


def test_what_is_put_while_a_cell_runs_stands_below_it(fresh: Callable[..., Executor]) -> None:
    """Also before the running cell has been written for the first time."""
    ex = fresh()
    for wait in (0.0, 1.5):
        ex.execute("'before'")
        running = ex.submit("import time\nprint('runs', flush=True)\nwhile 'go' not in globals(): time.sleep(0.01)")
        wait_until(running.outputs)
        time.sleep(wait)
        ex.put("go", value=1)
        result = running.result(10)
        ex.execute("del go")
        cells = code_cells(ex.notebook_path)
        assert [cell.source.splitlines()[0] for cell in cells[-4:]] == [
            "'before'",
            "import time",
            f"# Set while In[{result.execution_count}] was running, which may have seen it or not.",
            "del go",
        ]
        assert cells[-2].source.splitlines()[1:] == ["go = 1"]
        assert cells[-2].metadata.kernel_exec["during"] == result.cell_id == cells[-3].id


async def cancelled_put(ex: AsyncExecutor, after: float | None) -> None:
    """Stop waiting for a `put` of the name `big` that takes a while.

    Args:
        ex: whose.
        after: so many seconds; None for once the kernel was asked.
    """
    putting = asyncio.ensure_future(ex.put("big", np.arange(3_000_000)))
    if after is not None:
        await asyncio.sleep(after)
    else:
        session = ex._conductor.kernels.session
        assert session is not None
        async with asyncio.timeout(60):
            while not session._replies:
                await asyncio.sleep(0.01)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting


async def settled(ex: AsyncExecutor) -> None:
    """Wait until what is being put is set and recorded, or is not: nobody else waits for it."""
    if puts := tuple(ex._conductor.puts):
        _, late = await asyncio.wait(puts, timeout=60)
        assert not late


@pytest.mark.long
@pytest.mark.host_only("which comes first is decided here, and it takes ten seconds")
def test_a_cancelled_put_is_set_and_recorded_or_neither(kernel: KernelSettings, tmp_path: Path) -> None:
    async def attempts() -> list[int]:
        seen = []
        for number, after in enumerate((0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)):
            async with AsyncExecutor(kernel, workdir=tmp_path / str(number)) as ex:
                await cancelled_put(ex, after) if after < 0.1 else await ex.put("big", np.arange(3))
                await settled(ex)
                names = [variable.name for variable in await ex.variables()]
            kept = [cell.metadata.kernel_exec["name"] for cell in code_cells(ex.notebook_path)]
            assert names == kept
            seen.append(len(names))
        return seen

    seen = asyncio.run(attempts())
    assert seen[0] == 0
    assert seen[-1] == 1


def test_a_put_that_was_sent_is_recorded_though_nobody_waits(kernel: KernelSettings, tmp_path: Path) -> None:
    """Cancelled while the kernel is stopped, so certainly after it was asked; closed before it answers or not."""

    async def attempt() -> None:
        async with AsyncExecutor(kernel, workdir=tmp_path) as ex:
            pid = host_pid(ex, int((await ex.execute("import os; os.getpid()")).text))
            os.kill(pid, signal.SIGSTOP)
            await cancelled_put(ex, None)
            os.kill(pid, signal.SIGCONT)
            await settled(ex)
            assert (await ex.get("big")).size == 3_000_000
            assert [cell.source.split(" ")[0] for cell in code_cells(ex.notebook_path)] == ["import", "big"]
            os.kill(pid, signal.SIGSTOP)
            await cancelled_put(ex, None)
        assert len(code_cells(ex.notebook_path)) == 2

    asyncio.run(attempt())


def test_ctrl_c_during_a_put(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    pid = host_pid(ex, int(ex.execute("import os; os.getpid()").text))
    os.kill(pid, signal.SIGSTOP)
    session = ex._core._conductor.kernels.session
    assert session is not None

    def meddle() -> None:
        if wait_until(lambda: session._replies, 60):  # the kernel was asked
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        os.kill(pid, signal.SIGCONT)

    meddling = threading.Thread(target=meddle)
    meddling.start()
    with pytest.raises(KeyboardInterrupt):
        ex.put("kept", 7)
    meddling.join()
    assert wait_until(lambda: [cell.source for cell in code_cells(ex.notebook_path)][1:] == ["kept = 7"])
    assert ex.get("kept") == 7
