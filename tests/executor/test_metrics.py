"""What executions take is told while they run and afterwards, and whoever is told disturbs nobody."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import os
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import (
    AsyncExecutor,
    Executor,
    InvalidArgument,
    Limits,
    MetricsEvent,
    Policy,
    Retry,
    TransferError,
    WrongType,
    process_metrics,
)
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import children, ended_by_its_deadline, wait_until

pytestmark = pytest.mark.everywhere

MIB = 2**20
BURN = "import time\nuntil = time.process_time() + {}\nwhile time.process_time() < until: pass"
HOLD = "held = bytearray({} << 20)\nfor at in range(0, len(held), 4096): held[at] = 1"
CHILD = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', {(HOLD + chr(10) + BURN).format(150, 0.6)!r} + '''
print('done', flush=True)
time.sleep(60)'''], stdout=subprocess.PIPE)
child.stdout.readline()
"""


class Told:
    """Takes events, and lets a test wait for them."""

    def __init__(self) -> None:
        self.events: list[MetricsEvent] = []

    def __call__(self, event: MetricsEvent) -> None:
        self.events.append(event)

    def kinds(self, number: int | None = None) -> list[str]:
        """Their kinds, samples left out; of one call only, where it is named."""
        return [e.kind for e in self.events if e.kind != "sample" and number in (None, e.number)]

    def ended(self, count: int) -> bool:
        return wait_until(lambda: self.kinds().count("ended") == count)


class Held(Told):
    """Does not come back from the first event before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_go = threading.Event(), threading.Event()

    def __call__(self, event: MetricsEvent) -> None:
        super().__call__(event)
        self.begun.set()
        self.may_go.wait(30)


@pytest.fixture(autouse=True)
def _answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks may stand still before he answers."""
    monkeypatch.setattr("kernel_exec.kernels.link.SIGNAL_TIMEOUT", 20.0)


@pytest.fixture
def watched(fresh: Callable[..., Executor]) -> tuple[Executor, Told]:
    told = Told()
    return fresh(monitoring_interval=0.05, on_metrics=told), told


def test_what_a_call_took(fresh: Callable[..., Executor]) -> None:
    ex, before = fresh(), time.time()
    result = ex.execute(BURN.format(0.3) + "\nprint('x' * 50_000)")
    metrics = result.metrics
    assert (metrics.number, metrics.cell_id, metrics.filename, metrics.status) == (1, result.cell_id, None, "ok")
    assert before <= metrics.queued <= metrics.started < metrics.ended <= time.time()
    assert (metrics.duration, metrics.cpu_seconds, metrics.peak_memory) == (
        result.duration,
        result.cpu_seconds,
        result.peak_memory,
    )
    assert 0.3 <= metrics.duration <= metrics.ended - metrics.started
    assert 0.25 <= metrics.cpu_seconds < 5
    assert metrics.peak_memory > 20 * MIB
    assert (metrics.output_length, len(result.text) < 50_000) == (50_000, True)
    assert (metrics.error, metrics.attempts, metrics.samples, metrics.runs) == ("", 1, (), ())
    assert ex.metrics.executions == (metrics,)


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_what_waited(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    first = ex.submit("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    second = ex.submit("1 / 0")
    assert wait_until(lambda: ex.metrics.running == 1)
    assert ex.metrics.waiting == 1
    time.sleep(1.5)
    (ex.workdir / "go").touch()
    waited = second.result().metrics
    assert first.result().metrics.queue_time < 1.4 < waited.queue_time
    assert (waited.error, waited.number) == ("ZeroDivisionError: division by zero", 2)
    counted = ex.metrics
    assert (counted.waiting, counted.running, counted.cells) == (0, 0, {"ok": 1, "error": 1})
    assert counted.duration == pytest.approx(sum(one.duration for one in counted.executions))
    assert counted.queue_time == pytest.approx(sum(one.queue_time for one in counted.executions))
    assert sum(counted.buckets) == counted.attempts == 2


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_what_never_ran(fresh: Callable[..., Executor]) -> None:
    told = Told()
    ex = fresh(policy=Policy(patterns=["forbidden"]), on_metrics=told)
    running, waiting = ex.submit("import time; time.sleep(3)"), ex.submit("1")
    waiting.cancel()
    running.result()
    denied = ex.execute("forbidden")
    (one, two, three) = ex.metrics.executions
    assert [(m.status, m.attempts, m.cpu_seconds, m.duration > 0) for m in (one, two, three)] == [
        ("ok", 1, one.cpu_seconds, True),
        ("aborted", 0, None, False),
        ("denied", 0, None, False),
    ]
    assert denied.metrics == three
    assert "PolicyDenied" in three.error
    assert told.ended(3)
    assert [told.kinds(number) for number in (1, 2, 3)] == [["queued", "started", "ended"], *[["queued", "ended"]] * 2]


def test_samples_while_a_cell_runs(watched: tuple[Executor, Told]) -> None:
    ex, told = watched

    def seen() -> list[Any]:
        return [event.sample for event in told.events if event.sample]

    # It goes on when it was looked at: how often that is in a second is the machine's affair.
    wait = "while not os.path.exists('{}'): time.sleep(0.01)\n"
    code = f"import os, time\n{wait.format('seen')}{HOLD.format(100)}\n{BURN.format(0.5)}\n{wait.format('again')}"
    running = ex.submit(code, timeout=100)
    assert wait_until(seen)
    assert not running.done
    assert ex.metrics.memory > 20 * MIB
    (ex.workdir / "seen").touch()
    assert wait_until(lambda: len(seen()) >= 3 and seen()[-1].cpu_seconds > 0.4, 60)
    (ex.workdir / "again").touch()
    metrics = running.result().metrics
    samples = metrics.samples
    assert len(samples) >= 3
    assert all(metrics.started <= sample.time <= metrics.ended for sample in samples)
    assert [sample.time for sample in samples] == sorted(sample.time for sample in samples)
    assert [sample.cpu_seconds for sample in samples] == sorted(sample.cpu_seconds for sample in samples)
    assert samples[-1].memory - samples[0].memory > 90 * MIB
    assert samples[-1].cpu_seconds > 0.4 > samples[0].cpu_seconds
    assert {sample.processes for sample in samples} == {1}
    assert told.ended(1)
    assert [event.sample for event in told.events if event.kind == "sample"] == list(samples)
    assert [(e.number, e.attempt) for e in told.events if e.kind == "sample"] == [(1, 1)] * len(samples)


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_no_samples_of_what_is_short_or_not_to_be_sampled(
    fresh: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernel_exec.sampling.LONG", 60.0)  # what is short on a busy machine as well
    assert fresh(monitoring_interval=60).execute("1").metrics.samples == ()
    assert fresh().execute("import time; time.sleep(0.6)").metrics.samples == ()


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_a_long_interval_still_sees_the_end(fresh: Callable[..., Executor]) -> None:
    metrics = fresh(monitoring_interval=60).execute(CHILD).metrics
    (sample,) = metrics.samples
    assert sample.processes == 2
    assert metrics.cpu_seconds > 0.5


def test_children_count(watched: tuple[Executor, Told]) -> None:
    ex, _ = watched
    living = ex.execute(CHILD).metrics
    assert living.cpu_seconds > 0.5
    assert living.peak_memory > 170 * MIB
    assert living.samples[-1].processes == 2
    idle = ex.execute("time.sleep(0.4)").metrics  # what the child had used before is no part of this
    assert idle.cpu_seconds < 0.3
    assert idle.peak_memory > 170 * MIB
    ended = ex.execute("child.kill(); child.wait(); time.sleep(0.3)").metrics
    assert ended.cpu_seconds < 0.3
    assert ended.samples[-1].processes == 1


def test_orphans_count_also_when_they_have_ended(watched: tuple[Executor, Told]) -> None:
    ex, told = watched
    work = f"{BURN.format(1.0)}\nopen('new', 'w').write(str(os.getpid())); os.rename('new', 'done')\n"
    work += "while not os.path.exists('seen'): time.sleep(0.05)"
    orphan = f"import os\nif os.fork() == 0:\n    if os.fork() == 0:\n        exec({work!r})\n    os._exit(0)"
    code = f"import os, subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {orphan!r}])\n"
    code += "while not os.path.exists('done'): time.sleep(0.05)\npid = open('done').read()\n"
    code += f"while os.path.exists('/proc/' + pid): time.sleep(0.05)\n{BURN.format(1.0)}"
    running = ex.submit(code, timeout=100)
    assert wait_until((ex.workdir / "done").exists, 60)
    before = len(told.events)
    assert wait_until(lambda: any(event.sample and event.sample.processes == 2 for event in told.events[before:]), 60)
    (ex.workdir / "seen").touch()
    metrics = running.result().metrics
    assert {1, 2} <= {sample.processes for sample in metrics.samples}
    assert metrics.samples[-1].processes == 1
    assert metrics.cpu_seconds > 1.6  # what the orphan had used and what the kernel has used since


def test_what_processes_share_counts_once(watched: tuple[Executor, Told]) -> None:
    ex, _ = watched
    code = f"{HOLD.format(200)}\nimport os, time, signal\nchildren = []\nfor _ in range(3):\n    pid = os.fork()\n"
    code += "    if pid == 0:\n        time.sleep(60); os._exit(0)\n    children.append(pid)\ntime.sleep(0.5)\n"
    metrics = ex.execute(code).metrics
    ex.execute("for pid in children: os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)")
    assert metrics.samples[-1].processes == 4
    assert 200 * MIB < metrics.samples[-1].memory <= metrics.peak_memory < 400 * MIB


def test_of_one_that_dies(watched: tuple[Executor, Told]) -> None:
    ex, told = watched
    # Nobody looks at its end, and more than one that begins anew takes below, or that one would tell nothing.
    code = f"import os\n{HOLD.format(80)}\nwhile not os.path.exists('seen'): pass\nos._exit(3)"
    running = ex.submit(code, timeout=100)
    assert wait_until(lambda: any(event.sample and event.sample.cpu_seconds > 1.2 for event in told.events), 60)
    (ex.workdir / "seen").touch()
    result = running.result()
    metrics = result.metrics
    assert (metrics.status, result.cpu_seconds, result.peak_memory) == (
        "died",
        metrics.cpu_seconds,
        metrics.peak_memory,
    )
    assert metrics.samples
    assert metrics.cpu_seconds > 0.2
    assert metrics.peak_memory > 80 * MIB
    assert "exited with status 3" in metrics.error
    again = ex.execute(BURN.format(0.6)).metrics  # in a kernel whose CPU time begins anew
    assert 0.2 < again.cpu_seconds < 5
    assert wait_until(lambda: told.kinds().count("kernel_started") == 2)


def test_of_one_that_is_killed_for_memory(fresh: Callable[..., Executor]) -> None:
    ex = fresh(limits=Limits(memory=300 * MIB), monitoring_interval=0.05)
    child = "held = []\\nwhile True: held.append(bytearray(10 << 20)); import time; time.sleep(0.02)"
    result = ex.execute(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', '{child}'])")
    metrics = result.metrics
    assert metrics.status in ("died", "interrupted", "ok")  # who is killed, kernel or child, is the system's choice
    assert metrics.samples
    assert metrics.peak_memory > 200 * MIB


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_of_one_that_is_stopped(watched: tuple[Executor, Told]) -> None:
    ex, _ = watched
    code = f"{BURN.format(0.3)}\nprint('on', flush=True)\n{BURN.format(60)}"
    metrics = ended_by_its_deadline(ex, code, 0.5).metrics
    assert metrics.status == "timeout"
    assert metrics.samples
    assert metrics.cpu_seconds > 0.05
    stubborn = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('on', flush=True)\nwhile True: pass"
    killed = ex.submit(stubborn)
    assert wait_until(killed.outputs)
    assert killed.cancel().metrics.status == "interrupted"
    assert ex.execute("1").ok


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_attempts_one_by_one_and_together(watched: tuple[Executor, Told]) -> None:
    ex, told = watched
    result = ex.execute(BURN.format(0.3) + "\n1 / 0", retry=Retry(attempts=3, backoff=0.1))
    metrics = result.metrics
    assert (metrics.attempts, metrics.runs) == (3, (*(one.metrics for one in result.earlier), metrics.runs[-1]))
    assert metrics.runs[-1].duration == result.duration < metrics.duration
    assert metrics.duration == pytest.approx(sum(run.duration for run in metrics.runs))
    assert metrics.duration < metrics.ended - metrics.started  # with the waits between them
    assert metrics.cpu_seconds == pytest.approx(sum(run.cpu_seconds or 0 for run in metrics.runs))
    assert metrics.samples == tuple(sample for run in metrics.runs for sample in run.samples)
    assert told.ended(1)
    assert [e.attempt for e in told.events if e.kind == "started"] == [1, 2, 3]
    assert ex.metrics.attempts == 3


@pytest.mark.host_only("what a callback does has nothing to do with where the kernel is")
class TestCallbacks:
    def test_one_that_raises(self, fresh: Callable[..., Executor], caplog: pytest.LogCaptureFixture) -> None:
        calls: list[str] = []

        def raises(event: MetricsEvent) -> None:
            calls.append(event.kind)
            raise SystemExit if len(calls) == 2 else ValueError("mine")

        with caplog.at_level(logging.WARNING, "kernel_exec"):
            ex = fresh(on_metrics=raises)
            assert all(ex.execute("1").ok for _ in range(3))
            ex.close()
        assert calls == ["kernel_started", *["queued", "started", "ended"] * 3]
        (record,) = caplog.records
        assert "on_metrics raised at 'kernel_started', and goes on being called: ValueError('mine')" in record.message

    def test_one_that_is_slow(self, fresh: Callable[..., Executor]) -> None:
        held = Held()
        ex = fresh(on_metrics=held)
        assert held.begun.wait(10)
        assert all(ex.execute(str(number)).ok for number in range(5))
        assert len(held.events) == 1  # it has not come back from the first
        held.may_go.set()
        assert held.ended(5)

    def test_one_that_never_comes_back(self, fresh: Callable[..., Executor]) -> None:
        may_go = threading.Event()
        ex = fresh(on_metrics=lambda event: may_go.wait(60))
        assert ex.execute("1").ok
        start = time.monotonic()
        ex.close()
        assert time.monotonic() - start < 15  # of the 60 that it would take
        may_go.set()

    async def test_one_that_is_asynchronous(self) -> None:
        events: list[str] = []

        async def told(event: MetricsEvent) -> None:
            await asyncio.sleep(0)
            events.append(event.kind)
            if len(events) == 1:
                raise asyncio.CancelledError

        async with AsyncExecutor(on_metrics=told) as ex:
            assert (await ex.execute("1")).ok
        assert events == ["kernel_started", "queued", "started", "ended"]

    def test_what_is_left_is_told_when_it_is_closed(
        self, fresh: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kernel_exec.teller.LAST_WORDS", 30.0)
        told = Told()

        def slowly(event: MetricsEvent) -> None:
            time.sleep(0.02)
            told(event)

        ex = fresh(on_metrics=slowly)
        for _ in range(10):
            ex.execute("1")
        ex.close()
        assert told.kinds() == ["kernel_started", *["queued", "started", "ended"] * 10]

    def test_what_waits_is_bounded(self, fresh: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kernel_exec.teller.MANY_EVENTS", 10)
        held = Held()
        ex = fresh(on_metrics=held)
        assert held.begun.wait(10)
        for _ in range(10):
            ex.execute("1")
        held.may_go.set()
        assert wait_until(lambda: len(held.events) == 11)
        assert ex.metrics.lost_events == 20
        assert held.kinds()[-1] == "ended"

    def test_the_end_waits_for_the_event_that_is_being_told(
        self, fresh: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kernel_exec.teller.LAST_WORDS", 30.0)
        done: list[str] = []

        def slowly(event: MetricsEvent) -> None:
            time.sleep(0.2 if event.kind == "ended" else 0)
            done.append(event.kind)

        for _ in range(5):
            ex = fresh(on_metrics=slowly)
            ex.execute("1")
            ex.close()
            assert done[-1] == "ended"

    @pytest.mark.parametrize("given", ["text", 3, object()])
    def test_no_function(self, given: Any) -> None:
        with pytest.raises(WrongType, match="on_metrics must be a function"):
            Executor(on_metrics=given)


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_calls_that_raise_have_an_end_too(fresh: Callable[..., Executor]) -> None:
    told = Told()
    ex = fresh(on_metrics=told)

    def predicate(result: object) -> bool:
        raise LookupError("mine")

    class Wordless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def wordless(result: object) -> bool:
        raise Wordless

    with pytest.raises(LookupError, match="mine"):
        ex.execute("1 / 0", retry=Retry(attempts=2, backoff=0, on=predicate))
    with pytest.raises(Wordless):
        ex.execute("1 / 0", retry=Retry(attempts=2, backoff=0, on=wordless))
    ex.execute("open('file', 'w').close()")
    with pytest.raises(TransferError):
        ex.execute("1", filename="file/below.py")
    assert told.ended(4)
    assert told.kinds(1) == told.kinds(2) == told.kinds(4) == ["queued", "started", "ended"]
    assert ex.metrics.cells == {"ok": 1, "error": 3}
    assert ex.metrics.executions[0].error == "LookupError: mine"


def test_children_of_earlier_cells_count_from_the_beginning(fresh: Callable[..., Executor]) -> None:
    ex = fresh(monitoring_interval=60)
    burn = "def burn(seconds):\n    import time\n    until = time.process_time() + seconds\n"
    burn += "    while time.process_time() < until: pass\n"
    ex.execute(burn + "import os, time\nfrom multiprocessing import get_context\npool = get_context('fork').Pool(2)")
    worked = ex.execute("pool.map(burn, [1.0, 1.0]);")
    assert worked.cpu_seconds is not None
    assert 1.2 < worked.cpu_seconds < 5  # more than one of them
    ex.execute("pool.terminate(); pool.join()")
    fork = "if True:\n    pid = os.fork()\n    if pid == 0:\n        burn(60)\n"
    used = "sum(map(int, open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[11:13]))"
    at_once = ex.execute(f"{fork}while {used} < 0.3 * os.sysconf('SC_CLK_TCK'): time.sleep(0.05)")
    assert at_once.cpu_seconds is not None
    assert at_once.cpu_seconds > 0.1
    ex.execute("time.sleep(0.5); os.kill(pid, 19)")  # stopped: it uses no more, however late it is killed
    waited = ex.execute("os.kill(pid, 9); os.waitpid(pid, 0); time.sleep(0.3)")
    assert waited.cpu_seconds is not None
    assert waited.cpu_seconds < 0.3  # nothing of what it had used before


@pytest.mark.host_only("it is the host's memory")
def test_a_forgotten_executor_whose_callback_refers_to_it_is_closed(tmp_path: Path) -> None:
    told = Told()

    class Watching:
        def __init__(self) -> None:
            self.ex = Executor(workdir=tmp_path, on_metrics=self.told)

        def told(self, event: MetricsEvent) -> None:
            told(event)

    before = children()
    watching = Watching()
    watching.ex.execute("1")
    assert told.ended(1)
    assert children() > before
    del watching
    assert wait_until(lambda: gc.collect() >= 0 and children() <= before)


@pytest.mark.host_only("it is the host's thread")
def test_nothing_is_told_after_the_end(fresh: Callable[..., Executor]) -> None:
    told = Told()

    def slowly(event: MetricsEvent) -> None:
        time.sleep(0.3)
        told(event)

    ex = fresh(on_metrics=slowly)
    for _ in range(10):
        ex.execute("1")
    ex.close()
    there = len(told.events)
    assert wait_until(lambda: not any(thread.name == "kernel-exec-metrics" for thread in threading.enumerate()))
    assert len(told.events) <= there + 1  # the one that it was at
    assert wait_until(lambda: ex.metrics.lost_events + len(told.events) == 31)


@pytest.mark.host_only("it is plain data")
def test_what_is_told_can_be_copied(fresh: Callable[..., Executor]) -> None:
    told = Told()
    ex = fresh(on_metrics=told)
    ex.execute("1")
    assert told.ended(1)
    for thing in (*told.events, ex.metrics):
        assert dataclasses.asdict(thing)
        assert pickle.loads(pickle.dumps(thing)) == thing


@pytest.mark.host_only("it is refused before there is a kernel")
@pytest.mark.parametrize("given", [0, -1, 0.001, float("inf"), float("nan"), "1", True, [1]])
def test_an_interval_that_cannot_be(given: Any) -> None:
    with pytest.raises((InvalidArgument, WrongType), match="monitoring_interval must be"):
        Executor(monitoring_interval=given)


@pytest.mark.host_only("it is the same wherever the kernel is")
def test_all_executors_of_a_process_together(fresh: Callable[..., Executor]) -> None:
    before = process_metrics()
    one, two = fresh(), fresh(monitoring_interval=0.05)
    one.execute("1")
    two.execute("import time; time.sleep(0.3); 1 / 0")
    now = process_metrics()
    assert now.executors - before.executors == 2
    assert now.kernels - before.kernels == 2
    assert now.cells["ok"] - before.cells.get("ok", 0) == 1
    assert now.cells["error"] - before.cells.get("error", 0) == 1
    assert now.duration - before.duration == pytest.approx(one.metrics.duration + two.metrics.duration)
    assert now.memory - before.memory == two.metrics.memory > 0
    assert now.executions == ()
    one.close()
    two.close()
    two.close()
    after = process_metrics()
    assert (after.executors, after.memory) == (before.executors, before.memory)
    assert after.cells == now.cells


@pytest.mark.host_only("no kernel is needed for it")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_has_counted_nothing(fresh: Callable[..., Executor]) -> None:
    fresh().execute("1")
    assert process_metrics().attempts > 0
    if (child := os.fork()) == 0:
        os._exit(process_metrics().attempts + process_metrics().executors)
    assert os.waitpid(child, 0)[1] == 0


def test_secrets_are_in_none_of_it(fresh: Callable[..., Executor]) -> None:
    secret, told = "sk-1234567890", Told()
    ex = fresh(secrets={"KEY": secret}, name=f"for {secret}", on_metrics=told)
    ex.execute(f"raise ValueError('{secret}')")
    ex.execute(f"print('{secret}')", filename=f"{secret}.py")
    assert told.ended(2)
    everything = repr(ex.metrics) + repr(ex.metrics.executions) + repr(told.events) + ex.metrics.prometheus()
    everything += ex.metrics.dataframe().to_csv()
    assert "ValueError" in everything
    assert secret not in everything


@pytest.mark.host_only("a scenario's settings are the same everywhere")
def test_who_goes_on_is_sampled_too(kernel: KernelSettings, tmp_path: Any) -> None:
    with Executor(kernel, workdir=tmp_path) as ex:
        ex.execute("x = 1")
    told = Told()
    with Executor.resume(ex.notebook_path, monitoring_interval=0.05, on_metrics=told) as ex:
        assert ex.execute("import time; time.sleep(0.3); x").metrics.samples
    assert "ended" in told.kinds()
    with Executor.for_scenario("development", monitoring_interval=0.05, workdir=tmp_path) as ex:
        assert ex.execute("import time; time.sleep(0.3)").metrics.samples
