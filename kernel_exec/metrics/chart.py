"""A session as a picture: what it held while it ran, and how long each cell took."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kernel_exec.metrics.snapshot import Metrics
from kernel_exec.results import ExecutionMetrics, Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MIB = 2**20
_GAP = 0.1
"""Between two cells, in the mean of the seconds that they ran."""
_WIDE_ENOUGH = 0.02
"""Of all that time, for a number above a cell."""
_WIDE = 50
"""Where the longest cell took this many times as long as the shortest, seconds are drawn in powers of ten."""
_MANY = 60
"""Cells beyond which there is no room between them, and for the number of each."""
_INK, _WAIT, _CPU = "#37474f", "#cfd8dc", "#263238"
_COLOURS = {"ok": "#4c8dae", "error": "#d1495b", "timeout": "#edae49", "died": "#8d2a3a"}
_OTHER = "#9aa5ad"


def chart_of(metrics: Metrics, path: Path | None) -> Image:
    """Draw it; write it to `path` as well, if that is one.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure  # takes a while; and no pyplot: what the caller draws there is his

    figure = Figure(figsize=(9, 5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    executions = metrics.executions
    _draw_memory(above, executions)
    _draw_times(below, executions)
    about = f"{len(executions)} cell{'s' if len(executions) != 1 else ''}"
    if metrics.name and metrics.name.isascii() and metrics.name.isprintable():  # what each font has
        about = f"{metrics.name}: {about}"
    above.set_title(about, loc="left", fontsize=10, parse_math=False)
    _legend(figure, executions)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    if path is not None:
        path.write_bytes(picture.getvalue())
    return Image(picture.getvalue(), "image/png", path)


def _draw_memory(axes: Axes, executions: Sequence[ExecutionMetrics]) -> None:
    """Cells side by side, as wide as they ran; in each what was held."""
    from matplotlib.collections import LineCollection, PolyCollection

    total = sum(execution.duration for execution in executions)
    gap = _GAP * total / len(executions) if 0 < len(executions) <= _MANY else 0.0
    lines: list[list[tuple[float, float]]] = []
    colours: list[str] = []
    left = 0.0
    for execution in executions:
        right = left + execution.duration
        if line := _line(execution, left, right):
            lines.append(line)
            colours.append(_colour(execution))
        if right - left > _WIDE_ENOUGH * total:
            _name(axes, execution, (left + right) / 2)
        left = right + gap
    areas = [[(line[0][0], 0.0), *line, (line[-1][0], 0.0)] for line in lines]
    axes.add_collection(PolyCollection(areas, facecolors=colours, alpha=0.35, linewidth=0, antialiased=False))
    axes.add_collection(LineCollection(lines, colors=colours, linewidth=1.6, capstyle="butt"))
    most = max((held for line in lines for _, held in line), default=0.0)
    axes.set_xlim(0, max(left - gap, 1e-3))
    axes.set_ylim(0, most * 1.15 or 1)
    _label(axes, "seconds that cells ran", "memory (MiB)")


def _name(axes: Axes, execution: ExecutionMetrics, at: float) -> None:
    axes.annotate(
        str(execution.number),
        (at, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, -3),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
        color=_INK,
    )


def _line(execution: ExecutionMetrics, left: float, right: float) -> list[tuple[float, float]]:
    """Return times and mebibytes: as they were sampled, or the most that was held, for all of it."""
    if not execution.samples:
        peak = execution.peak_memory
        return [] if peak is None else [(left, peak / _MIB), (right, peak / _MIB)]
    # Of several attempts, the waits between them are left out, as those between cells are.
    scale = execution.duration / max(execution.ended - execution.started, execution.duration, 1e-9)
    times = [left + scale * (sample.time - execution.started) for sample in execution.samples]
    held = [sample.memory / _MIB for sample in execution.samples]
    inside = [min(max(at, left), right) for at in times]
    return list(zip([left, *inside, right], [held[0], *held, held[-1]], strict=True))


def _draw_times(axes: Axes, executions: Sequence[ExecutionMetrics]) -> None:
    """A bar for each cell: what it waited, what it ran, and what of that processors worked for it."""
    numbers = [execution.number for execution in executions]
    ran = [execution.duration for execution in executions]
    waited = [execution.queue_time for execution in executions]
    cpu = [execution.cpu_seconds or 0.0 for execution in executions]
    longest, shortest = max(ran, default=0.0), min(filter(None, ran), default=0.0)
    least = 0.0
    if longest > _WIDE * shortest > 0:
        axes.set_yscale("log")
        least = shortest / 2
    many = len(executions) > _MANY
    tops, width = ran, 1.0 if many else 0.8
    if any(seconds > longest / 100 for seconds in waited):
        tops = [sum(both) for both in zip(ran, waited, strict=True)]
        _bars(axes, numbers, tops, width, [_WAIT] * len(numbers), least)
    _bars(axes, numbers, ran, width, list(map(_colour, executions)), least)
    if many:
        axes.plot(numbers, cpu, color=_CPU, linewidth=1)
    else:
        _bars(axes, numbers, cpu, 0.25, [_CPU] * len(numbers), least)
    if numbers:
        axes.set_xlim(numbers[0] - 0.6, numbers[-1] + 0.6)
        axes.set_ylim(least, max(*tops, *cpu, 1e-3) * 1.1)
    if not many:
        axes.set_xticks(numbers)
    _label(axes, "cell", "seconds")


def _bars(
    axes: Axes, at: Sequence[float], tops: Sequence[float], width: float, colours: Sequence[str], least: float
) -> None:
    """Draw bars as one thing: one by one, thousands of them take seconds."""
    from matplotlib.collections import PolyCollection

    boxes = [
        [(x - width / 2, least), (x - width / 2, top), (x + width / 2, top), (x + width / 2, least)]
        for x, top in zip(at, (max(top, least) for top in tops), strict=True)
    ]
    axes.add_collection(PolyCollection(boxes, facecolors=colours, linewidth=0, antialiased=width < 1))


def _legend(figure: Figure, executions: Sequence[ExecutionMetrics]) -> None:
    from matplotlib.patches import Patch

    kinds: dict[str, str] = {
        status: _COLOURS.get(status, _OTHER) for status in dict.fromkeys(one.status for one in executions)
    }
    kinds.update({"of that, processors": _CPU, "before, waiting": _WAIT} if executions else {})
    patches = [Patch(color=colour, label=label) for label, colour in kinds.items()]
    if patches:
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=8, frameon=False)


def _label(axes: Axes, horizontal: str, vertical: str) -> None:
    axes.set_xlabel(horizontal, fontsize=9, color=_INK)
    axes.set_ylabel(vertical, fontsize=9, color=_INK)
    axes.tick_params(labelsize=8, colors=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#eceff1", linewidth=0.8)
    axes.set_axisbelow(True)


def _colour(execution: ExecutionMetrics) -> str:
    return _COLOURS.get(execution.status, _OTHER)
