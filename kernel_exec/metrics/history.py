"""What the latest executions took."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from kernel_exec.results import ExecutionMetrics, Sample

MANY_EXECUTIONS = 10_000
MANY_SAMPLES = 100_000
SAMPLES_OF_ONE = 4_000
"""Beyond each of these bounds the oldest are forgotten, or of one execution every other."""

T = TypeVar("T")


class History:
    """Keeps what the latest executions took, in bounded memory; the samples only of the latest of these."""

    def __init__(self) -> None:
        self._executions: deque[ExecutionMetrics] = deque(maxlen=MANY_EXECUTIONS)
        self._sampled: dict[int, ExecutionMetrics] = {}  # by number, the oldest first: the same, with their samples
        self._samples = 0

    def add(self, execution: ExecutionMetrics) -> None:
        """Keep one."""
        self._executions.append(_bare(execution))
        if not execution.samples:
            return
        self._sampled[execution.number] = execution
        self._samples += len(execution.samples)
        while self._samples > MANY_SAMPLES:
            oldest = self._sampled.pop(next(iter(self._sampled)))
            self._samples -= len(oldest.samples)

    def all(self) -> tuple[ExecutionMetrics, ...]:
        """Return them, the oldest first; those whose samples are too long ago have none any more."""
        return tuple(self._sampled.get(execution.number, execution) for execution in self._executions)


def _bare(execution: ExecutionMetrics) -> ExecutionMetrics:
    if not execution.samples:
        return execution
    return replace(execution, samples=(), runs=tuple(replace(run, samples=()) for run in execution.runs))


class Samples:
    """The samples of one execution; of very many, every other of the older ones is forgotten, and no peak."""

    def __init__(self) -> None:
        self._all: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Keep one."""
        self._all.append(sample)
        if len(self._all) > SAMPLES_OF_ONE:
            self._all = [max(pair, key=lambda one: one.memory) for pair in _pairs(self._all)]

    def all(self) -> tuple[Sample, ...]:
        """Return them, the oldest first."""
        return tuple(self._all)


def _pairs(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[index : index + 2] for index in range(0, len(items), 2)]
