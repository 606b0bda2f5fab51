"""Many callers of one executor, many executors of one process: no call is mixed up, none waits for another's death."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernel_exec import AsyncExecutor, ExecutionResult, Executor
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells

pytestmark = pytest.mark.everywhere


def test_20_threads_on_one_executor(ex: Executor) -> None:
    ex.execute("counter = 0")

    def work(thread: int) -> list[ExecutionResult]:
        return [ex.execute(f"counter += 1\nprint({thread}, {number})") for number in range(5)]

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(work, range(20)))
    for thread, mine in enumerate(results):
        assert [result.stdout for result in mine] == [f"{thread} {number}\n" for number in range(5)]
    assert ex.execute("counter").text == "100"


async def test_20_tasks_on_one_executor_in_the_order_of_the_calls(kernel: KernelSettings, tmp_path: Path) -> None:
    async with AsyncExecutor(kernel, workdir=tmp_path) as ex:
        await ex.execute("order = []")
        results = await asyncio.gather(*(ex.execute(f"order.append({n}); print({n})") for n in range(20)))
        assert [result.stdout for result in results] == [f"{n}\n" for n in range(20)]
        assert (await ex.execute("order == list(range(20))")).text == "True"
        recorded = [cell.source for cell in code_cells(ex.notebook_path)]
        assert recorded[1:21] == [f"order.append({n}); print({n})" for n in range(20)]


def test_order_of_submitted_cells(ex: Executor) -> None:
    ex.execute("order = []")
    executions = [ex.submit(f"order.append({n})") for n in range(20)]
    assert all(execution.result().ok for execution in executions)
    assert ex.execute("order == list(range(20))").text == "True"


@pytest.mark.host_only("20 containers are as many as two processors start in time: tests/containers/test_deaths.py")
@pytest.mark.timeout(400)  # fifty kernels
async def test_50_executors_in_one_process_one_of_them_dying(tmp_path: Path) -> None:
    executors = [AsyncExecutor(workdir=tmp_path / str(number)) for number in range(50)]
    try:
        for start in range(0, 50, 10):
            await asyncio.gather(*(ex.start() for ex in executors[start : start + 10]))
        await asyncio.gather(*(ex.execute(f"me = {number}") for number, ex in enumerate(executors)))
        victim = int((await executors[7].execute("import os; os.getpid()")).text)
        # Who is killed runs until then, however late that is.
        calls = [
            asyncio.ensure_future(
                ex.execute(f"import time; time.sleep({600 if number == 7 else 0.5}); print(me)", timeout=None)
            )
            for number, ex in enumerate(executors)
        ]
        await asyncio.sleep(0.2)
        os.kill(victim, signal.SIGKILL)
        results = await asyncio.gather(*calls)
        assert [n for n, result in enumerate(results) if not result.ok] == [7]
        assert results[7].status == "died"
        assert [result.stdout for n, result in enumerate(results) if n != 7] == [f"{n}\n" for n in range(50) if n != 7]
        assert (await executors[7].execute("1")).ok
    finally:
        await asyncio.gather(*(ex.close() for ex in executors))


@pytest.mark.long
@pytest.mark.host_only("what may wait are threads of this process; many containers: tests/containers/test_deaths.py")
async def test_kernels_that_end_while_they_are_closed_hold_up_nobody(tmp_path: Path) -> None:
    """All executors of a process share zmq's thread: who lets it wait for him, lets all wait."""

    async def live(number: int) -> None:
        async with AsyncExecutor(workdir=tmp_path / str(number), timeout=20) as ex:
            assert (await ex.execute("1")).ok
            if number % 2:
                await ex.submit("import os; os.kill(os.getpid(), 9)")

    async with AsyncExecutor(workdir=tmp_path / "other", timeout=20) as other:
        for _ in range(4):
            await asyncio.gather(*map(live, range(6)))
            assert (await other.execute("1")).text == "1"


def test_calls_from_two_threads_of_one_name(ex: Executor) -> None:
    results = {}

    def work(number: int) -> None:
        for _ in range(5):
            results[number] = ex.execute(f"{number}").text

    threads = [threading.Thread(target=work, args=(number,), name="same") for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: "0", 1: "1"}
