"""What was counted, at one moment: as numbers, as a table, as a chart, and for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernel_exec.errors import InvalidArgument
from kernel_exec.results import ExecutionMetrics, Image, Status
from kernel_exec.settings import PathLike, checked_path

if TYPE_CHECKING:
    import pandas as pd

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds up to which executions are counted together."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What an executor has counted since it was made, or all executors of a process.

    Attributes:
        name: of the executor; "" when it has none.
        executors: executors that are in use.
        waiting: calls that wait for their turn.
        running: calls whose turn it is.
        cells: calls that have ended, by their status.
        buckets: of those that ran, how many took no longer than each of `BOUNDS`, and longer than the one before; the
            last took longer than all.
        attempts: how many times code was run.
        duration: seconds that cells ran, together.
        queue_time: seconds that calls waited, together.
        cpu_seconds: CPU time that cells took, as far as it is known.
        memory: bytes that kernels held when they were last sampled.
        peak_memory: the most bytes that one execution was seen to hold.
        output_length: characters that results had before they were cut.
        kernels: kernels that were started.
        refused: messages of kernels, or parts of them, that were refused, by reason.
        lost_events: events that `on_metrics` was too slow for.
        executions: what the latest ones took, the oldest first; not for a whole process.
    """

    name: str = ""
    executors: int = 0
    waiting: int = 0
    running: int = 0
    cells: Mapping[Status, int] = field(default_factory=dict)
    buckets: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    attempts: int = 0
    duration: float = 0.0
    queue_time: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    peak_memory: int = 0
    output_length: int = 0
    kernels: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    lost_events: int = 0
    executions: tuple[ExecutionMetrics, ...] = field(default=(), repr=False)

    def dataframe(self, *, samples: bool = False) -> pd.DataFrame:
        """Return a table with a row for each execution, times as UTC; or for each sample that was taken.

        Raises:
            KernelExecError: pandas is not installed.
        """
        from kernel_exec.metrics.tables import executions_table, samples_table

        return samples_table(self.executions) if samples else executions_table(self.executions)

    def chart(self, path: PathLike | None = None) -> Image:
        """Draw memory and time of the session, cell by cell.

        Args:
            path: where the PNG is written as well ("session.png"); None for nowhere.

        Returns:
            The picture, which a notebook shows.

        Raises:
            InvalidArgument, WrongType: it is no path of a PNG.
            OSError: it cannot be written.
        """
        from kernel_exec.metrics.chart import chart_of

        place = None if path is None else checked_path("path", path)
        if place is not None and place.suffix != ".png":
            raise InvalidArgument(f"path must end in .png, as that is what is written, not be {str(path)!r}")
        return chart_of(self, place)

    def prometheus(self) -> str:
        """Return the counts in the text format that Prometheus reads.

        Raises:
            KernelExecError: prometheus-client is not installed.
        """
        from kernel_exec.metrics.exposition import exposed

        return exposed(self)
