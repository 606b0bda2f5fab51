"""What was counted as a table, as a picture, and as Prometheus reads it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.image import imread
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kernel_exec import Image, InvalidArgument, KernelExecError, process_metrics
from kernel_exec.integrations.prometheus import KernelExecCollector
from kernel_exec.metrics import Metrics
from kernel_exec.metrics.snapshot import BOUNDS
from tests.metrics.made import MIB, execution, session


def test_a_table_of_executions() -> None:
    table = session().dataframe()
    assert list(table.number) == [1, 2, 3, 4, 5]
    assert list(table.status) == ["ok", "error", "timeout", "died", "denied"]
    assert table.started[0] - table.queued[0] == pd.Timedelta(seconds=0.5)
    assert str(table.queued.dtype.tz) == "UTC"
    assert table.queue_time[0] == 0.5
    assert list(table.peak_memory.isna()) == [False, False, False, True, True]
    assert table.peak_memory.dtype == "Int64"
    assert table.cpu_seconds.sum() == 4.5


def test_a_table_of_samples() -> None:
    table = session().dataframe(samples=True)
    assert list(table.number) == [1] * 4 + [3] * 3
    assert list(table.columns) == ["number", "cell_id", "time", "cpu_seconds", "memory", "processes"]
    assert table.groupby("number").memory.max().to_dict() == {1: 240 * MIB, 3: 220 * MIB}


def test_tables_of_nothing() -> None:
    assert len(Metrics().dataframe()) == len(Metrics().dataframe(samples=True)) == 0
    assert "queue_time" in Metrics().dataframe()


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(KernelExecError, match=r"kernel-exec\[data\]"):
        session().dataframe()


def pixels(picture: Image) -> list[tuple[int, ...]]:
    """The colours of a picture, but for the very rare ones."""
    image = (imread(io.BytesIO(picture.data), "png")[..., :3] * 255).round().astype(int)
    colours, counts = zip(*pd.Series(list(map(tuple, image.reshape(-1, 3)))).value_counts().items(), strict=True)
    return [colour for colour, count in zip(colours, counts, strict=True) if count > 20]


def test_a_chart(tmp_path: Path) -> None:
    picture = session("a session").chart(tmp_path / "chart.png")
    assert picture.mime == "image/png"
    assert picture.path == tmp_path / "chart.png"
    assert (tmp_path / "chart.png").read_bytes() == picture.data
    assert "image/png" in picture._repr_mimebundle_()
    height, width, _ = imread(io.BytesIO(picture.data), "png").shape
    assert (width, height) == (990, 550)
    seen = pixels(picture)
    for colour in ((0x4C, 0x8D, 0xAE), (0xD1, 0x49, 0x5B), (0xED, 0xAE, 0x49), (0x8D, 0x2A, 0x3A)):
        assert colour in seen  # a bar, or a mark in the legend, of each status


@pytest.mark.parametrize(
    "metrics",
    [
        Metrics(),
        Metrics(executions=(execution(1, duration=0.0, cpu_seconds=None, peak_memory=None),)),
        Metrics(executions=tuple(execution(number, duration=0.001 * number) for number in range(1, 500))),
        Metrics(name="$x_{y$ 销售 \x00", executions=(execution(7),)),
    ],
    ids=["nothing", "denied", "many", "name"],
)
def test_charts_of_odd_sessions(metrics: Metrics) -> None:
    assert metrics.chart().data.startswith(b"\x89PNG")


def families(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """The values of what Prometheus reads, by name and labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_as_prometheus_reads_it() -> None:
    found = families(session("mine").prometheus())
    assert found["kernel_exec_executions_total"] == {
        ("mine", "ok"): 1,
        ("mine", "error"): 1,
        ("mine", "timeout"): 1,
        ("mine", "died"): 1,
        ("mine", "denied"): 1,
    }
    assert found["kernel_exec_messages_refused_total"] == {("mine", 'its "type" is\nunknown'): 1}
    assert found["kernel_exec_attempts_total"] == {("mine",): 4}
    assert found["kernel_exec_cpu_seconds_total"] == {("mine",): 4.5}
    assert found["kernel_exec_kernel_starts_total"] == {("mine",): 1}
    assert found["kernel_exec_peak_memory_bytes"] == {("mine",): 100 * MIB}
    buckets = {labels[1]: value for labels, value in found["kernel_exec_execution_duration_seconds_bucket"].items()}
    assert list(map(float, buckets)) == [*BOUNDS, float("inf")]
    assert (buckets["0.005"], buckets["0.025"], buckets["1.0"], buckets["2.5"], buckets["+Inf"]) == (0, 1, 2, 3, 4)
    assert found["kernel_exec_execution_duration_seconds_sum"] == {("mine",): 6.52}
    assert found["kernel_exec_execution_duration_seconds_count"] == {("mine",): 4}


def test_in_a_registry() -> None:
    registry = CollectorRegistry()
    registry.register(KernelExecCollector())
    before = families(generate_latest(registry).decode())["kernel_exec_attempts_total"]
    assert before == {(): process_metrics().attempts}


def test_without_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    with pytest.raises(KernelExecError, match=r"kernel-exec\[prometheus\]"):
        session().prometheus()
    with pytest.raises(KernelExecError, match=r"kernel-exec\[prometheus\]"):
        list(KernelExecCollector().collect())


@pytest.mark.parametrize("path", ["chart.svg", "chart", 3, ""])
def test_a_path_that_is_none_of_a_png(path: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match="path must"):
        session().chart(path)
    assert not list(tmp_path.iterdir())


def test_tables_have_the_same_kinds_whatever_is_in_them() -> None:
    kinds = session().dataframe().dtypes.astype(str).to_dict()
    nothing = Metrics().dataframe().dtypes.astype(str).to_dict()
    denied = Metrics(executions=(execution(1, cpu_seconds=None, peak_memory=None),)).dataframe().dtypes.astype(str)
    words = {"cell_id", "filename", "status", "error"}
    assert {name: kind for name, kind in kinds.items() if name not in words} == {
        name: kind for name, kind in nothing.items() if name not in words
    }
    assert (denied["cpu_seconds"], denied["peak_memory"]) == ("float64", "Int64")
