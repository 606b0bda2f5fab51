"""Counts of this process for Prometheus (the extra `prometheus`).

from prometheus_client import REGISTRY, start_http_server

REGISTRY.register(KernelExecCollector())
start_http_server(9000)
"""

from __future__ import annotations

from kernel_exec.metrics import process_metrics
from kernel_exec.metrics.exposition import Collector


class KernelExecCollector(Collector):
    """Gives a registry what all executors of this process have counted, whenever that is asked.

    One executor's own is the text of `executor.metrics.prometheus()`.
    """

    def __init__(self) -> None:
        super().__init__(process_metrics)
