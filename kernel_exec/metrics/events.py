"""What an executor tells while it works."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from kernel_exec.results import ExecutionMetrics, Sample

T = TypeVar("T")


class CallerContext:
    """The context variables of somebody; of a copy, and of one from another process, none."""

    __slots__ = ("_context",)

    def __init__(self, context: contextvars.Context | None = None) -> None:
        self._context = context or contextvars.Context()

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in it."""
        return self._context.run(function, *arguments)

    def __deepcopy__(self, memo: object) -> CallerContext:
        return self

    def __reduce__(self) -> tuple[type[CallerContext], tuple[()]]:
        return CallerContext, ()


EventKind = Literal["queued", "started", "sample", "ended", "kernel_started"]


@dataclass(frozen=True, slots=True)
class MetricsEvent:
    """Something has happened in an executor.

    Attributes:
        kind: a call was "queued"; an attempt of it has "started"; a "sample" was taken of what it uses; it has
            "ended"; or a kernel was started ("kernel_started").
        time: when, in seconds since 1970.
        executor: name of the executor; "" when it has none.
        number: of the call in its executor, from 1; 0 for an event that is of no call.
        attempt: which one has started, from 1.
        sample: what was taken.
        metrics: what the call has taken, when it has ended.
        context: the context variables of whoever made the call, such as a tracer's span.
    """

    kind: EventKind
    time: float
    executor: str = ""
    number: int = 0
    attempt: int = 0
    sample: Sample | None = None
    metrics: ExecutionMetrics | None = None
    context: CallerContext = field(default_factory=CallerContext, repr=False, compare=False)


OnMetrics = Callable[[MetricsEvent], object]
