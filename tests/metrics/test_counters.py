"""What is kept of very many executions is bounded, and no peak is lost."""

from __future__ import annotations

import threading

from kernel_exec.metrics import Counters, Samples
from kernel_exec.metrics.history import MANY_EXECUTIONS, MANY_SAMPLES, SAMPLES_OF_ONE, History
from kernel_exec.results import Sample
from tests.metrics.made import execution


def test_the_latest_executions_are_kept() -> None:
    history = History()
    for number in range(1, MANY_EXECUTIONS + 11):
        history.add(execution(number))
    kept = history.all()
    assert len(kept) == MANY_EXECUTIONS
    assert (kept[0].number, kept[-1].number) == (11, MANY_EXECUTIONS + 10)


def test_samples_of_the_oldest_are_forgotten() -> None:
    history = History()
    samples = tuple(Sample(float(at), 0.0, 1, 1) for at in range(1000))
    for number in range(1, 2 * MANY_SAMPLES // 1000 + 1):
        history.add(execution(number, samples=samples, runs=(execution(number, samples=samples),)))
        if number % 37 == 0:
            history.all()
        assert sum(len(one.samples) for one in history._sampled.values()) <= MANY_SAMPLES
    kept = history.all()
    assert len(kept) == 2 * MANY_SAMPLES // 1000
    assert sum(len(run.samples) for one in kept for run in one.runs) == MANY_SAMPLES
    assert sum(len(one.samples) for one in kept) == MANY_SAMPLES
    assert (kept[0].samples, kept[-1].samples) == ((), samples)


def test_of_very_many_samples_no_peak_is_forgotten() -> None:
    samples = Samples()
    for at in range(10 * SAMPLES_OF_ONE):
        samples.add(Sample(float(at), 0.0, 10**9 if at == 777 else at, 1))
        assert len(samples.all()) <= SAMPLES_OF_ONE
    kept = samples.all()
    assert max(sample.memory for sample in kept) == 10**9
    assert [sample.time for sample in kept] == sorted(sample.time for sample in kept)
    assert kept[-1].time == 10 * SAMPLES_OF_ONE - 1


def test_counters_above_count_for_all_from_any_thread() -> None:
    above = Counters()
    below = [Counters(f"number {number}", above) for number in range(4)]

    def count(one: Counters) -> None:
        for number in range(2000):
            one.ran(execution(number))
            one.refuse("it is a lie")
            one.sampled(Sample(0.0, 0.0, number, 1))

    threads = [threading.Thread(target=count, args=(one,)) for one in below]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert above.snapshot().cells == {"ok": 8000}
    assert above.snapshot().refused == {"it is a lie": 8000}
    assert above.snapshot().memory == 4 * 1999
    assert below[0].news() == "2,000 messages of the kernel were refused: it is a lie (2,000)"
    for one in below:
        one.sampled(None)
    assert above.snapshot().memory == 0
