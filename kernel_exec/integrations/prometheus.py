"""Counts of this process for Prometheus (the extra `prometheus`).

from prometheus_client import REGISTRY, start_http_server

REGISTRY.register(KernelExecCollector())
start_http_server(9000)
"""

from __future__ import annotations

from collections.abc import Callable

from kernel_exec.metrics import Metrics, process_metrics
from kernel_exec.metrics.exposition import Collector


class KernelExecCollector(Collector):
    """Gives a registry what was counted, whenever that is asked.

    Args:
        read: returns the counts, such as `lambda: executor.metrics`; those of all executors of this process when not
            given.
    """

    def __init__(self, read: Callable[[], Metrics] = process_metrics) -> None:
        super().__init__(read)
