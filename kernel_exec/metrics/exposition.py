"""Counts as Prometheus reads them.

https://prometheus.io/docs/practices/naming/ - seconds and bytes, `_total` behind what only grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from kernel_exec.errors import KernelExecError
from kernel_exec.metrics.snapshot import BOUNDS, Metrics

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_NEEDED = "Prometheus needs its client: pip install 'kernel-exec[prometheus]'"


def exposed(metrics: Metrics) -> str:
    """Return the counts in the text format of Prometheus.

    Raises:
        KernelExecError: prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError as error:
        raise KernelExecError(_NEEDED) from error
    registry = CollectorRegistry()
    registry.register(Collector(lambda: metrics))
    return generate_latest(registry).decode("utf-8")


class Collector:
    """Gives counts to a registry of prometheus_client, whenever that is asked.

    Args:
        read: returns them as they are then.
    """

    def __init__(self, read: Callable[[], Metrics]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield what Prometheus calls metric families.

        Raises:
            KernelExecError: prometheus-client is not installed.
        """
        try:
            from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
        except ImportError as error:
            raise KernelExecError(_NEEDED) from error
        metrics = self._read()
        names, values = (["executor"], [metrics.name]) if metrics.name else ([], [])
        for family, rows in ((CounterMetricFamily, _counted(metrics)), (GaugeMetricFamily, _gauged(metrics))):
            for name, documentation, value in rows:
                one = family(name, documentation, labels=names)
                one.add_metric(values, value)
                yield one
        for name, documentation, label, by in (
            ("kernel_exec_executions", "Calls that have ended, by status.", "status", metrics.cells),
            ("kernel_exec_messages_refused", "Messages of kernels that were refused.", "reason", metrics.refused),
        ):
            several = CounterMetricFamily(name, documentation, labels=[*names, label])
            for what, count in by.items():
                several.add_metric([*values, what], count)
            yield several
        durations = HistogramMetricFamily("kernel_exec_execution_duration_seconds", "How long cells ran.", labels=names)
        bounds = [*map(str, BOUNDS), "+Inf"]
        counts = list(accumulate(metrics.buckets))
        durations.add_metric(values, list(zip(bounds, counts, strict=True)), metrics.duration)
        yield durations


def _counted(metrics: Metrics) -> list[tuple[str, str, float]]:
    return [
        ("kernel_exec_attempts", "How many times code was run.", metrics.attempts),
        ("kernel_exec_queue_seconds", "How long calls waited.", metrics.queue_time),
        ("kernel_exec_cpu_seconds", "CPU time that cells took.", metrics.cpu_seconds),
        ("kernel_exec_output_characters", "Characters that results had.", metrics.output_length),
        ("kernel_exec_kernel_starts", "Kernels that were started.", metrics.kernels),
        ("kernel_exec_lost_events", "Events that on_metrics was too slow for.", metrics.lost_events),
    ]


def _gauged(metrics: Metrics) -> list[tuple[str, str, float]]:
    return [
        ("kernel_exec_executors", "Executors in use.", metrics.executors),
        ("kernel_exec_waiting_calls", "Calls that wait for their turn.", metrics.waiting),
        ("kernel_exec_running_calls", "Calls whose turn it is.", metrics.running),
        ("kernel_exec_memory_bytes", "What kernels held when last sampled.", metrics.memory),
        ("kernel_exec_peak_memory_bytes", "The most that one execution held.", metrics.peak_memory),
    ]
