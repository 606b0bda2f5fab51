"""What executions take and executors count: objects, tables, a chart, and what other systems read."""

from kernel_exec.metrics.counters import PROCESS, Counters, process_metrics
from kernel_exec.metrics.events import CallerContext, EventKind, MetricsEvent, OnMetrics
from kernel_exec.metrics.history import Samples
from kernel_exec.metrics.snapshot import Metrics

__all__ = [
    "PROCESS",
    "CallerContext",
    "Counters",
    "EventKind",
    "Metrics",
    "MetricsEvent",
    "OnMetrics",
    "Samples",
    "process_metrics",
]
