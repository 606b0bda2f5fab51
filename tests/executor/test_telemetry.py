"""OpenTelemetry sees each call below the span in which it was made."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from kernel_exec import AsyncExecutor, Executor, Policy, Retry
from kernel_exec.integrations.opentelemetry import Telemetry


@dataclass
class Seen:
    """What is exported."""

    telemetry: Telemetry
    tracer: Tracer
    spans_of: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans_of.get_finished_spans() if span.name == name]

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}


@pytest.fixture
def seen() -> Iterator[Seen]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    yield Seen(Telemetry(tracers, meters), tracers.get_tracer("test"), exporter, reader)
    tracers.shutdown()
    meters.shutdown()


def below(child: ReadableSpan, parent: ReadableSpan) -> bool:
    """Whether one is the other's child, in time as well."""
    assert child.parent is not None
    assert parent.context is not None
    inside = parent.start_time <= child.start_time <= child.end_time <= parent.end_time
    return child.parent.span_id == parent.context.span_id and inside


def test_across_submit(seen: Seen) -> None:
    with Executor(on_metrics=seen.telemetry, name="mine") as ex, seen.tracer.start_as_current_span("step"):
        first, second = ex.submit("import time; time.sleep(2)"), ex.submit("1 / 0")
        first.result()
        second.result()
    (step,) = seen.spans("step")
    executes, queues, runs = (seen.spans(f"kernel_exec.{name}") for name in ("execute", "queue", "run"))
    assert len(executes) == len(queues) == len(runs) == 2
    for execute, queue, run in zip(executes, queues, runs, strict=True):
        assert execute.parent is not None
        assert execute.parent.span_id == step.context.span_id
        assert below(queue, execute)
        assert below(run, execute)
        assert queue.end_time == run.start_time
    ok, failed = executes
    assert ok.attributes is not None
    assert failed.attributes is not None
    assert (ok.attributes["kernel_exec.executor"], ok.attributes["kernel_exec.status"]) == ("mine", "ok")
    assert ok.status.status_code is StatusCode.UNSET
    assert failed.attributes["error.type"] == "ZeroDivisionError"
    assert failed.status.status_code is StatusCode.ERROR
    (event,) = failed.events
    assert event.name == "exception"
    assert dict(event.attributes or {}) == {
        "exception.type": "ZeroDivisionError",
        "exception.message": "division by zero",
    }
    assert (queues[1].end_time or 0) - (queues[1].start_time or 0) > 0.2e9  # it waited for the first


async def test_of_tasks_side_by_side(seen: Seen) -> None:
    async with AsyncExecutor(on_metrics=seen.telemetry) as ex:

        async def step(number: int) -> str:
            with seen.tracer.start_as_current_span(f"step {number}"):
                return (await ex.execute(f"{number}")).cell_id

        ids = await asyncio.gather(*map(step, range(4)))
    executes = {(span.attributes or {})["kernel_exec.cell_id"]: span for span in seen.spans("kernel_exec.execute")}
    assert len(executes) == 4
    for number, cell_id in enumerate(ids):
        assert below(executes[cell_id], seen.spans(f"step {number}")[0])


def test_of_threads_side_by_side(seen: Seen) -> None:
    with Executor(on_metrics=seen.telemetry) as ex, ThreadPoolExecutor(4) as pool:

        def step(number: int) -> str:
            with seen.tracer.start_as_current_span(f"step {number}"):
                return ex.execute("1", filename=f"file_{number}.py").cell_id

        ids = list(pool.map(step, range(4)))
    executes = {(span.attributes or {})["kernel_exec.cell_id"]: span for span in seen.spans("kernel_exec.execute")}
    for number, cell_id in enumerate(ids):
        (parent,) = seen.spans(f"step {number}")
        execute = executes[cell_id]
        assert execute.parent is not None
        assert execute.parent.span_id == parent.context.span_id
        assert (execute.attributes or {})["code.file.path"] == f"file_{number}.py"


def test_of_attempts_and_of_what_never_ran(seen: Seen) -> None:
    with Executor(on_metrics=seen.telemetry, policy=Policy(patterns=["forbidden"])) as ex:
        ex.execute("1 / 0", retry=Retry(attempts=3, backoff=0))
        ex.execute("forbidden")
    tried, denied = seen.spans("kernel_exec.execute")
    runs = seen.spans("kernel_exec.run")
    assert [(run.attributes or {})["kernel_exec.attempt"] for run in runs] == [1, 2, 3]
    assert all(below(run, tried) for run in runs)
    assert tried.parent is None  # nobody's span was current
    assert (denied.attributes or {})["error.type"] == "PolicyDenied"


@pytest.mark.usefixtures("patient")
def test_measurements(seen: Seen) -> None:
    with Executor(on_metrics=seen.telemetry, monitoring_interval=0.05) as ex:
        ex.execute("import time; time.sleep(0.3)")
        ex.execute("1 / 0")
    points = seen.points()
    by_status = {point.attributes["kernel_exec.status"]: point for point in points["kernel_exec.execution.duration"]}
    assert (by_status["ok"].count, by_status["error"].count) == (1, 1)
    assert by_status["error"].attributes["error.type"] == "ZeroDivisionError"
    assert by_status["ok"].sum > 0.3
    assert points["kernel_exec.kernel.starts"][0].value == 1
    assert points["kernel_exec.kernel.memory"][0].value > 10 * 2**20
    assert sum(point.count for point in points["kernel_exec.execution.queue_time"]) == 2
    assert sum(point.count for point in points["kernel_exec.execution.peak_memory"]) == 2
    assert "kernel_exec.execution.cpu_time" in points


def test_an_exporter_that_fails_disturbs_nobody(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("nobody listens")

    monkeypatch.setattr(seen.telemetry._tracer, "start_span", fail)
    with Executor(on_metrics=seen.telemetry) as ex:
        assert ex.execute("1").ok


def test_without_the_api() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from kernel_exec import KernelExecError\n"
        "try:\n    import kernel_exec.integrations.opentelemetry\n"
        "except KernelExecError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "kernel-exec[opentelemetry]" in done.stdout
