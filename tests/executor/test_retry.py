"""A cell that failed is run again as its caller wants that, and never when nobody wants it any more."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import (
    AsyncExecutor,
    ExecutionResult,
    Executor,
    InvalidArgument,
    KernelDiedError,
    Policy,
    Proposal,
    Retry,
    WrongType,
)
from kernel_exec.attempts import Attempts
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells, host_pid, notebook, wait_until

pytestmark = pytest.mark.everywhere

AT_ONCE = Retry(attempts=3, backoff=0)
LONG = Retry(attempts=3, backoff=600, max_backoff=600)
FLAKY = """
from pathlib import Path
tries = len(list(Path('.').glob('try-*')))
Path(f'try-{tries}').touch()
print('try', tries)
if tries < 2:
    raise ConnectionResetError('gone')
"""
DEATHS = """
from pathlib import Path
import os
tries = len(list(Path('.').glob('try-*')))
Path(f'try-{tries}').touch()
if tries < 2:
    os._exit(3)
"""


def test_a_flaky_cell_succeeds_at_last(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    shown: list[str] = []
    result = ex.execute(FLAKY, retry=AT_ONCE, on_output=lambda output: shown.append(output["output_type"]))
    assert result.ok
    assert (result.attempts, result.stdout) == (3, "try 2\n")
    assert [earlier.stdout for earlier in result.earlier] == ["try 0\n", "try 1\n"]
    assert {earlier.status for earlier in result.earlier} == {"error"}
    assert result.state_preserved
    (note,) = result.notes
    assert note == "earlier attempts failed: ConnectionResetError: gone; ConnectionResetError: gone"
    assert shown == ["stream", "error", "stream", "error", "stream"]
    cells = code_cells(ex.notebook_path)
    assert [cell.metadata.kernel_exec.attempt for cell in cells] == [1, 2, 3]
    assert [cell.metadata.kernel_exec.status for cell in cells] == ["error", "error", "ok"]
    assert [cell.id for cell in cells] == [*(earlier.cell_id for earlier in result.earlier), result.cell_id]
    assert ex.metrics.cells == {"ok": 1}


def test_who_dies_is_tried_in_a_fresh_kernel(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("x = 1")
    result = ex.execute(DEATHS, retry=Retry(attempts=3, backoff=0, on=("died",)))
    assert result.ok
    assert [earlier.status for earlier in result.earlier] == ["died", "died"]
    assert (result.attempts, result.state_preserved) == (3, False)
    assert ex.metrics.kernels == 3
    after = ex.execute("x")
    assert (after.error and after.error.name, after.state_preserved) == ("NameError", True)


def test_who_was_found_dead_is_run_after_all(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    os.kill(host_pid(ex, int(ex.execute("import os; os.getpid()").text)), signal.SIGKILL)
    assert wait_until(lambda: not ex.is_alive)
    result = ex.execute("print('here')", retry=Retry(attempts=2, backoff=0, on=(KernelDiedError,)))
    assert (result.status, result.stdout, result.attempts) == ("ok", "here\n", 1)
    assert not result.state_preserved


@pytest.mark.parametrize(("state", "counted"), [("keep", "3"), ("restart", "1")])
def test_what_becomes_of_the_state(fresh: Callable[..., Executor], state: Any, counted: str) -> None:
    ex = fresh()
    code = "count = globals().get('count', 0) + 1\nprint(count)\n1 / 0"
    result = ex.execute(code, retry=Retry(attempts=3, backoff=0, state=state))
    assert (result.stdout.strip(), result.attempts) == (counted, 3)
    assert result.state_preserved is (state == "keep")
    assert result.notes[-1] == "it is not tried again: retry.attempts is 3"
    told = [cell.metadata.kernel_exec.event for cell in notebook(ex.notebook_path).cells if cell.cell_type != "code"]
    assert told == ([] if state == "keep" else ["restart", "restart"])
    assert ex.execute("count").text == counted


@pytest.mark.parametrize(
    ("on", "attempts"),
    [
        ((ConnectionError,), 3),
        (("ConnectionError",), 3),
        ("ConnectionResetError", 3),
        ((OSError,), 3),
        (("error",), 3),
        ((lambda result: "gone" in result.text,), 3),
        (lambda result: "gone" in result.text, 3),
        ((ValueError, "TimeoutError", "died", "timeout"), 1),
        ((lambda result: result.attempts > 1,), 1),
        ((), 1),
    ],
)
def test_which_failures(ex: Executor, on: Any, attempts: int) -> None:
    result = ex.execute("raise ConnectionResetError('gone')", retry=Retry(attempts=3, backoff=0, on=on))
    assert (result.status, result.attempts) == ("error", attempts)


@pytest.mark.usefixtures("patient")
def test_a_timeout_is_tried_again(ex: Executor) -> None:
    result = ex.execute("while True: pass", timeout=0.2, retry=Retry(attempts=2, backoff=0, on=("timeout",)))
    assert (result.status, result.attempts) == ("timeout", 2)
    assert [earlier.status for earlier in result.earlier] == ["timeout"]


def test_a_predicate_that_raises_ends_the_call(ex: Executor) -> None:
    def judge(result: ExecutionResult) -> bool:
        raise LookupError(result.status)

    with pytest.raises(LookupError, match="error"):
        ex.execute("1 / 0", retry=Retry(on=judge))
    assert ex.execute("1").text == "1"


def test_the_deadline_of_all_ends_the_last_one(ex: Executor) -> None:
    code = "import time\nprint('on', flush=True)\ntime.sleep(1.1)\n1 / 0"
    result = ex.execute(code, retry=Retry(attempts=1000, backoff=0, deadline=4))
    assert 1 < result.attempts < 5
    assert result.status in ("timeout", "error")
    if result.status == "timeout":
        assert result.error is not None
        assert "longer than its timeout" in result.error.value


def test_no_wait_that_would_go_beyond_the_deadline(ex: Executor) -> None:
    result = ex.execute("1 / 0", retry=Retry(attempts=3, backoff=600, max_backoff=600, deadline=100))
    assert (result.status, result.attempts) == ("error", 1)
    assert result.notes == ("it is not tried again: retry.deadline is 100 s",)


def waiting(ex: AsyncExecutor | Executor) -> bool:
    core = getattr(ex, "_core", ex)
    return any(execution.pausing for execution in core._conductor._calls)


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
def test_cancelled_while_it_waits(ex: Executor, how: str) -> None:
    execution = ex.submit("1 / 0", retry=LONG)
    wait_until(lambda: waiting(ex))
    if how == "cancel":
        execution.cancel()
    else:
        ex.interrupt()
    result = execution.result(60)
    assert (result.status, result.attempts, result.earlier) == ("error", 1, ())
    assert result.notes == ("it is not tried again: the call was cancelled while it waited",)
    assert ex.execute("1").text == "1"


async def test_a_cancelled_task_ends_the_wait(kernel: KernelSettings, tmp_path: Path) -> None:
    async with AsyncExecutor(kernel, workdir=tmp_path) as ex:
        task = asyncio.ensure_future(ex.execute("1 / 0", retry=LONG, on_output=lambda _: None))
        while not waiting(ex):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ex.execute("1")).text == "1"
        assert len(code_cells(ex.notebook_path)) == 2


def test_closed_while_it_waits(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    execution = ex.submit("1 / 0", retry=LONG)
    wait_until(lambda: waiting(ex))
    ex.close()
    assert (execution.result(60).status, execution.result(60).attempts) == ("error", 1)


def test_who_interrupts_wants_no_other_attempt(ex: Executor) -> None:
    code = "import time\ntry:\n    print('on', flush=True)\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    1 / 0"
    execution = ex.submit(code, retry=AT_ONCE)
    wait_until(lambda: bool(execution.outputs()))
    ex.interrupt()
    result = execution.result(60)
    assert (result.status, result.error and result.error.name, result.attempts) == ("error", "ZeroDivisionError", 1)


def test_a_cancelled_cell_is_not_run_again(ex: Executor) -> None:
    execution = ex.submit("print('on', flush=True)\nwhile True: pass", retry=AT_ONCE)
    wait_until(lambda: bool(execution.outputs()))
    result = execution.cancel()
    assert (result.status, result.attempts) == ("interrupted", 1)


def test_nothing_else_runs_between_two_attempts(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("seen = []")
    first = ex.submit("seen.append('a')\nif len(seen) < 3: 1 / 0", retry=Retry(attempts=5, backoff=0.05))
    second = ex.submit("seen.append('b')")
    assert first.result(60).ok
    assert second.result(60).ok
    assert ex.execute("seen").text == "['a', 'a', 'a', 'b']"


def test_more_time_for_an_attempt_that_is_waited_for(ex: Executor) -> None:
    code = "import time\nbegan = globals().get('began', 0) + 1\nif began == 1: 1 / 0\ntime.sleep(3.5)\ndel began"
    execution = ex.submit(code, timeout=3, retry=Retry(attempts=2, backoff=2))
    wait_until(lambda: waiting(ex))
    execution.extend(60)
    assert execution.result(60).ok


@pytest.mark.host_only("no kernel")
class TestPure:
    """Without a kernel."""

    def test_waits_double_up_to_a_cap_with_jitter(self) -> None:
        retry = Retry(attempts=10, backoff=2, max_backoff=10)
        for attempt, longest in ((1, 2), (2, 4), (3, 8), (4, 10), (9, 10)):
            waits = [retry.delay(attempt) for _ in range(200)]
            assert longest / 2 <= min(waits) < max(waits) <= longest
        assert Retry(backoff=0).delay(3) == 0
        assert Retry(attempts=1000, backoff=2).delay(999) <= 60

    def test_the_deadline_bounds_each_attempt(self) -> None:
        now = 0.0
        attempts = Attempts(Retry(attempts=5, backoff=4, deadline=10), 7, lambda: now)
        assert attempts.timeout == 7
        now = 3
        attempts.add(ExecutionResult("error"))
        delay = attempts.delay()
        assert delay is not None
        assert attempts.timeout == pytest.approx(min(7, 10 - 3 - delay))

    @pytest.mark.parametrize("status", ["interrupted", "aborted", "denied", "ok"])
    def test_what_is_never_tried_again(self, status: Any) -> None:
        assert not Retry(on=(lambda _: True, status)).wants(ExecutionResult(status))

    @pytest.mark.parametrize(
        ("settings", "error"),
        [
            ({"attempts": 0}, InvalidArgument),
            ({"attempts": 10**6}, InvalidArgument),
            ({"attempts": 2.5}, WrongType),
            ({"attempts": True}, WrongType),
            ({"backoff": -1}, InvalidArgument),
            ({"backoff": float("inf")}, InvalidArgument),
            ({"backoff": float("nan")}, InvalidArgument),
            ({"backoff": "2"}, WrongType),
            ({"max_backoff": None}, WrongType),
            ({"deadline": 0}, InvalidArgument),
            ({"on": (3,)}, WrongType),
            ({"on": 3}, WrongType),
            ({"on": (int,)}, InvalidArgument),
            ({"on": ("no name",)}, InvalidArgument),
            ({"state": "rollback"}, InvalidArgument),
        ],
    )
    def test_what_cannot_work(self, settings: dict[str, Any], error: type[Exception]) -> None:
        with pytest.raises(error, match=rf"retry\.{next(iter(settings))}"):
            Retry(**settings)

    def test_something_else_than_a_retry(self, tmp_path: Path) -> None:
        with Executor(workdir=tmp_path) as ex, pytest.raises(WrongType, match="retry must be a Retry"):
            ex.execute("1", retry=3)  # type: ignore[arg-type]


@pytest.mark.host_only("whoever is asked is the host's")
@pytest.mark.usefixtures("patient")
def test_the_deadline_holds_for_who_is_asked_as_well(fresh: Callable[..., Executor]) -> None:
    def review(proposal: Proposal) -> bool:
        if proposal.attempt == 2:
            time.sleep(4.5)
        return True

    ex = fresh(policy=Policy(review=review))
    result = ex.execute("import time; time.sleep(0.3); 1 / 0", retry=Retry(attempts=2, backoff=0, deadline=4))
    assert (result.status, result.attempts) == ("timeout", 2)


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_closed_while_its_kernel_is_restarted(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    running = ex.submit("1 / 0", retry=Retry(attempts=1000, backoff=0, state="restart"))
    assert wait_until(lambda: ex.metrics.kernels > 2, 60)
    ex.close()
    result = running.result()
    assert result.status in ("error", "aborted", "interrupted")
    assert result.attempts >= 1
