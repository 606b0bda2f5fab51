"""The table for people, the JSON for machines, the chart for both."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.row import Row

COMPARED = ("kernel-exec", "nbclient", "papermill", "autogen-ext", "jupyter-client", "nbformat", "ipykernel", "pyzmq")
_OURS, _OTHERS = "#e4703a", "#b8c4cc"


def versions() -> dict[str, str]:
    """Return the versions of everything that was compared or stood below it."""
    return {"Python": platform.python_version()} | {name: version(name) for name in COMPARED}


def table(rows: Sequence[Row]) -> str:
    """Return the table in Markdown, which reads well on a terminal too."""
    lines: list[tuple[str, ...]] = [("measure", "ours", "against", "ratio", "target", ""), ("---",) * 6]
    lines += [_line(row) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    return "\n".join(_joined(line, widths) for line in lines)


def as_json(rows: Sequence[Row]) -> str:
    """Return all of it for machines."""
    return json.dumps({"versions": versions(), "rows": [_facts(row) for row in rows]}, indent=2) + "\n"


def chart(rows: Sequence[Row], path: Path) -> None:
    """Draw each row as bars, ours in colour, and write the picture to `path`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    bars = [len(row.medians) for row in rows]
    figure, axes = plt.subplots(
        len(rows),
        figsize=(9, 0.24 * sum(bars) + 0.42 * len(rows)),
        height_ratios=[count + 0.4 for count in bars],
        layout="constrained",
        squeeze=False,
    )
    for axis, row in zip(axes.flat, rows, strict=True):
        _panel(axis, row)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _line(row: Row) -> tuple[str, ...]:
    bound = ("at least" if row.at_least else "at most") + f" {row.target or 0:g}"
    if row.rival is None:
        others = ", ".join(f"{name} {_number(value)}" for name, value in list(row.medians.items())[1:])
        return (
            row.measure,
            f"{_number(row.ours)} {row.unit}",
            f"({others})",
            "-",
            f"{bound} {row.unit}",
            _verdict(row),
        )
    rival = f"{row.rival} {_number(row.medians[row.rival])} {row.unit}"
    wanted = "-" if row.target is None else f"{bound}x"
    return (row.measure, f"{_number(row.ours)} {row.unit}", rival, _ratio(row), wanted, _verdict(row))


def _joined(line: tuple[str, ...], widths: Sequence[int]) -> str:
    fill = "-" if line[0] == "---" else " "
    return "| " + " | ".join(text.ljust(width, fill) for text, width in zip(line, widths, strict=True)) + " |"


def _verdict(row: Row) -> str:
    if row.target is None:
        return ""
    return "met" if row.met else "MISSED"


def _ratio(row: Row) -> str:
    return f"{row.value:.2f}x" if row.value >= 0.1 else f"{row.value:.3f}x"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _facts(row: Row) -> dict[str, Any]:
    return {
        "measure": row.measure,
        "unit": row.unit,
        "medians": row.medians,
        "samples": row.rounds,
        "rival": row.rival,
        "ratio": row.value if row.rival else None,
        "target": row.target,
        "at_least": row.at_least,
        "met": row.met,
    }


def _panel(axis: Any, row: Row) -> None:
    names, values = list(row.medians), list(row.medians.values())
    bars = axis.barh(names, values, color=[_OURS] + [_OTHERS] * (len(names) - 1), height=0.7)
    labels = [f" {_number(value)} {row.unit}" for value in values]
    labels[0] += f"  ({_ratio(row)} of {row.rival})" if row.rival else ""
    axis.bar_label(bars, labels, fontsize=8.5)
    better = "more is better" if row.at_least else "less is better"
    axis.set_title(f"{row.measure} ({better})", fontsize=9, fontweight="bold", loc="left")
    axis.set_xlim(0, max(values) * 1.45)
    axis.set_xticks([])
    axis.invert_yaxis()
    axis.tick_params(length=0, labelsize=8.5)
    axis.spines[:].set_visible(False)
