"""Traces and metrics of executors for OpenTelemetry (the extra `opentelemetry`).

with Executor(monitoring_interval=1, on_metrics=Telemetry()) as ex:
    with tracer.start_as_current_span("a step of the agent"):
        ex.execute("...")

Each call is a span below the one that was current where it was made, also by `submit`; below it are the time that it
waited, and each of its attempts. Names that others have agreed on are used where there are some: `error.type`,
`code.file.path`, and the event "exception".
https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel_exec.errors import KernelExecError
from kernel_exec.metrics import MetricsEvent
from kernel_exec.results import ExecutionMetrics

try:
    from opentelemetry import context, metrics, trace
except ImportError as error:
    raise KernelExecError("OpenTelemetry needs its API: pip install 'kernel-exec[opentelemetry]'") from error

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

_SCOPE = "kernel_exec"
_NANO = 1_000_000_000


class Telemetry:
    """Makes spans and measurements of what executors tell; for `on_metrics`, of one executor or of many.

    Args:
        tracer_provider: takes the spans; None for the one that is set for the process.
        meter_provider: takes the measurements; None for the one that is set for the process.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._duration = meter.create_histogram("kernel_exec.execution.duration", "s", "How long cells ran.")
        self._waited = meter.create_histogram("kernel_exec.execution.queue_time", "s", "How long calls waited.")
        self._cpu = meter.create_counter("kernel_exec.execution.cpu_time", "s", "CPU time that cells took.")
        self._peak = meter.create_histogram("kernel_exec.execution.peak_memory", "By", "The most that cells held.")
        self._memory = meter.create_gauge("kernel_exec.kernel.memory", "By", "What kernels held when last sampled.")
        self._kernels = meter.create_counter("kernel_exec.kernel.starts", "{kernel}", "Kernels that were started.")

    def __call__(self, event: MetricsEvent) -> None:
        """Take an event."""
        about = {"kernel_exec.executor": event.executor} if event.executor else {}
        if event.sample is not None:
            self._memory.set(event.sample.memory, about)
        elif event.kind == "kernel_started":
            self._kernels.add(1, about)
        elif event.metrics is not None:
            self._measure(event.metrics, about)
            self._trace(event.metrics, about, event.context.run(context.get_current))

    def _measure(self, ended: ExecutionMetrics, about: dict[str, str]) -> None:
        attributes = {**about, "kernel_exec.status": ended.status, **_error_type(ended)}
        self._duration.record(ended.duration, attributes)
        self._waited.record(ended.queue_time, attributes)
        if ended.cpu_seconds is not None:
            self._cpu.add(ended.cpu_seconds, attributes)
        if ended.peak_memory is not None:
            self._peak.record(ended.peak_memory, attributes)

    def _trace(self, ended: ExecutionMetrics, about: dict[str, str], parent: Context) -> None:
        """Make the spans afterwards: there are none that nobody ends, and whoever exports them delays no cell."""
        whole = self._span("execute", parent, ended.queued, {**about, **_attributes(ended)})
        below = trace.set_span_in_context(whole, parent)
        self._span("queue", below, ended.queued, about).end(_nanoseconds(ended.started))
        for attempt, run in enumerate(ended.runs or (ended,), 1):
            if run.attempts:
                attributes = {**about, **_attributes(run), "kernel_exec.attempt": attempt}
                self._end(self._span("run", below, run.started, attributes), run)
        self._end(whole, ended)

    def _span(self, name: str, parent: Context, start: float, attributes: dict[str, Any]) -> Span:
        start_time = _nanoseconds(start)
        return self._tracer.start_span(f"{_SCOPE}.{name}", parent, attributes=attributes, start_time=start_time)

    def _end(self, span: Span, ended: ExecutionMetrics) -> None:
        if ended.status != "ok":
            _, _, message = ended.error.partition(": ")
            about = {"exception.type": _error_type(ended)["error.type"], "exception.message": message}
            span.add_event("exception", about, _nanoseconds(ended.ended))
            span.set_status(trace.StatusCode.ERROR, ended.error)
        span.end(_nanoseconds(ended.ended))


def _attributes(ended: ExecutionMetrics) -> dict[str, Any]:
    known = {
        "kernel_exec.number": ended.number,
        "kernel_exec.cell_id": ended.cell_id,
        "kernel_exec.status": ended.status,
        "kernel_exec.attempts": ended.attempts,
        "kernel_exec.duration": ended.duration,
        "kernel_exec.cpu_seconds": ended.cpu_seconds,
        "kernel_exec.peak_memory": ended.peak_memory,
        "kernel_exec.output_length": ended.output_length,
        "code.file.path": ended.filename,
    }
    return {**{name: value for name, value in known.items() if value is not None}, **_error_type(ended)}


def _error_type(ended: ExecutionMetrics) -> dict[str, str]:
    return {"error.type": ended.error.partition(": ")[0] or ended.status} if ended.status != "ok" else {}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANO)
