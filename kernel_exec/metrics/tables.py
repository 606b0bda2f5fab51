"""Executions and samples as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from kernel_exec.errors import KernelExecError
from kernel_exec.results import ExecutionMetrics, Sample

if TYPE_CHECKING:
    import pandas as pd

_TIMES = ("queued", "started", "ended", "time")
_KINDS = {
    **dict.fromkeys(("number", "output_length", "attempts", "processes"), "int64"),
    **dict.fromkeys(("queue_time", "duration", "cpu_seconds"), "float64"),
    **dict.fromkeys(("peak_memory", "memory"), "Int64"),  # with room for what is not known
}
"""The same kinds, whatever is in the columns."""


def executions_table(executions: Sequence[ExecutionMetrics]) -> pd.DataFrame:
    """Return a row for each execution."""
    names = [part.name for part in fields(ExecutionMetrics) if part.name not in ("samples", "runs")]
    names.insert(names.index("ended") + 1, "queue_time")
    return _table(names, [[getattr(execution, name) for name in names] for execution in executions])


def samples_table(executions: Sequence[ExecutionMetrics]) -> pd.DataFrame:
    """Return a row for each sample."""
    names = [part.name for part in fields(Sample)]
    rows = [
        [execution.number, execution.cell_id, *(getattr(sample, name) for name in names)]
        for execution in executions
        for sample in execution.samples
    ]
    return _table(["number", "cell_id", *names], rows)


def _table(names: list[str], rows: list[list[Any]]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise KernelExecError("a data frame needs pandas: pip install 'kernel-exec[data]'") from error
    table = pd.DataFrame(rows, columns=names)
    for name in names:
        if name in _TIMES:
            table[name] = pd.to_datetime(table[name], unit="s", utc=True).astype("datetime64[us, UTC]")
        elif name in _KINDS:
            table[name] = table[name].astype(_KINDS[name])
    return table
