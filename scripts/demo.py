"""Four years of Seattle's weather, analysed in one live kernel: tables, charts, a slip, and a deadline.

The cells below are what an analyst or an agent would send, one after the other. Two of them go wrong on purpose: one
raises and is put right, one is stopped by its deadline, and what it had computed until then is used afterwards.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

from kernel_exec import DockerKernel, ExecutionResult, Executor, KernelStartError

OUTPUT = Path(__file__).resolve().parent.parent / "demo-output"


@dataclass(frozen=True)
class Step:
    """One cell of the analysis.

    Attributes:
        title: what it is about, for the reader.
        code: the cell.
        timeout: seconds that it may run.
        expected: the status that it must end with.
    """

    title: str
    code: str
    timeout: float = 60.0
    expected: str = "ok"


STEPS = (
    Step(
        "Load 1,461 days of weather",
        """
        import matplotlib.pyplot as plt
        import numpy as np
        import pandas as pd
        from vega_datasets import data

        plt.rcParams.update({
            "figure.dpi": 130, "font.size": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
            "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y",
            "grid.color": "#e6e6e6", "axes.axisbelow": True, "axes.edgecolor": "#999999",
        })
        pd.options.display.width = 100
        MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

        weather = data.seattle_weather()
        weather.groupby(weather.date.dt.year).agg(
            days=("date", "size"), rain_mm=("precipitation", "sum"),
            warmest=("temp_max", "max"), coldest=("temp_min", "min"), windiest=("wind", "max"),
        )
        """,
    ),
    Step(
        "Ask for a column that is not there",
        "weather.groupby(weather.date.dt.month).temperature.mean().round(1)",
        expected="error",
    ),
    Step(
        "Read the error, make the column, ask again: `weather` is still there",
        """
        weather["temperature"] = (weather.temp_max + weather.temp_min) / 2
        monthly = weather.groupby(weather.date.dt.month)[["temp_min", "temperature", "temp_max"]].mean()
        monthly.set_axis(MONTHS).T.round(1)
        """,
    ),
    Step(
        "Chart: the range of temperatures, month by month",
        """
        by_month = weather.groupby(weather.date.dt.month)
        low, high = by_month.temp_min, by_month.temp_max
        x = np.arange(12)

        fig, ax = plt.subplots(figsize=(8, 4))
        ax.vlines(x, low.min(), high.max(), color="#c9c9c9", lw=1.4, label="coldest night to warmest day")
        ax.bar(x, high.mean() - low.mean(), bottom=low.mean(), width=0.56, label="mean low to mean high",
               color=plt.cm.RdYlBu_r((by_month.temperature.mean() - 2) / 19))
        ax.plot(x, by_month.temperature.mean(), "o-", color="#333333", ms=3.5, lw=1, label="mean")
        ax.axhline(0, color="#7aa6c2", lw=0.8, ls="--")
        ax.set_xticks(x, MONTHS)
        ax.set_ylabel("°C")
        ax.set_title("Seattle 2012-2015: mild winters, warm dry summers")
        ax.set_ylim(top=43)
        ax.set_yticks(range(0, 40, 10))
        ax.legend(frameon=False, loc="upper left", ncols=3)
        ax.get_legend().legend_handles[2].set_facecolor("#f4b76a")
        plt.show()
        """,
    ),
    Step(
        "Chart: how much falls in each month, and on what kind of day",
        """
        kinds = {"rain": "#3b7dd8", "fog": "#9db4c0", "drizzle": "#6cc4c9", "snow": "#c3b7e8", "sun": "#f5c542"}
        amount = weather.pivot_table(index=weather.date.dt.month, columns="weather", values="precipitation",
                                     aggfunc="sum", fill_value=0) / 4

        fig, ax = plt.subplots(figsize=(8, 4))
        bottom = np.zeros(12)
        for kind, color in kinds.items():
            if amount[kind].sum() > 1:
                ax.bar(MONTHS, amount[kind], bottom=bottom, color=color, width=0.72, label=f"on days of {kind}")
                bottom += amount[kind].to_numpy()
        for month, total in enumerate(bottom):
            ax.text(month, total + 3, f"{total:.0f}", ha="center", color="#555555", fontsize=8.5)
        ax.set_ylabel("mm in an average year's month")
        winter = 100 * bottom[[9, 10, 11, 0, 1, 2]].sum() / bottom.sum()
        ax.set_title(f"October to March bring {winter:.0f} % of the water")
        ax.legend(frameon=False, loc="upper center")
        plt.show()
        """,
    ),
    Step(
        "Chart: every single day, four years in one picture",
        """
        from matplotlib.colors import BoundaryNorm

        fig, axes = plt.subplots(4, 1, figsize=(8.6, 4.7), layout="constrained")
        levels = BoundaryNorm(np.arange(-3, 37, 3), 256)
        for ax, (year, days) in zip(axes, weather.groupby(weather.date.dt.year)):
            first = days.date.iloc[0].weekday()
            cells = np.full(7 * 54, np.nan)
            cells[first : first + len(days)] = days.temp_max
            image = ax.pcolormesh(cells.reshape(54, 7).T, cmap="RdYlBu_r", norm=levels, edgecolor="white", lw=0.7)
            starts = pd.date_range(f"{year}-01-01", periods=12, freq="MS").day_of_year
            ax.set(aspect="equal", yticks=[], xticks=[(first + day) / 7 + 1.5 for day in starts])
            ax.set_xticklabels(MONTHS if year == 2015 else [], fontsize=8.5)
            ax.set_ylabel(year, rotation=0, ha="right", va="center", fontweight="bold")
            ax.invert_yaxis()
            ax.grid(False)
            ax.spines[:].set_visible(False)
            ax.tick_params(length=0)
        fig.colorbar(image, ax=axes, label="daily high, °C", shrink=0.7, aspect=28)
        fig.suptitle("Each square is a day, each column a week", x=0.045, ha="left", fontweight="bold")
        plt.show()
        """,
    ),
    Step(
        "Was 2015 really warmer? Ten million bootstrap draws, with 3 seconds to do them",
        """
        rng = np.random.default_rng(2015)
        years = {year: days.temperature.to_numpy() for year, days in weather.groupby(weather.date.dt.year)}
        differences = []
        while len(differences) < 10_000_000:
            for _ in range(2_000):
                warm, cool = rng.choice(years[2015], 365), rng.choice(years[2012], 365)
                differences.append(warm.mean() - cool.mean())
            print(f"{len(differences):,} draws so far")
        """,
        timeout=3.0,
        expected="timeout",
    ),
    Step(
        "The deadline stopped the loop, not the session: use the draws that it made",
        """
        draws = np.array(differences)
        low, middle, high = np.percentile(draws, [2.5, 50, 97.5])

        fig, ax = plt.subplots(figsize=(8, 3.4))
        counts, edges, bars = ax.hist(draws, bins=60, color="#cfd8dc")
        for edge, bar in zip(edges, bars):
            bar.set_facecolor("#e4703a" if low <= edge <= high else "#cfd8dc")
        ax.vlines(middle, 0, counts.max(), color="#333333", lw=1)
        ax.text(middle, counts.max() * 1.04, f"+{middle:.2f} °C", ha="center", fontweight="bold")
        ax.set(yticks=[], xlabel="mean temperature of 2015 minus 2012, °C")
        ax.set_ylim(0, counts.max() * 1.14)
        ax.spines["left"].set_visible(False)
        ax.set_title(f"2015 was warmer: 95 % of the draws lie between +{low:.1f} and +{high:.1f} °C")
        plt.show()
        pd.DataFrame({"draws": [f"{len(draws):,}"], "2.5 %": [low], "median": [middle], "97.5 %": [high]}).round(2)
        """,
    ),
)

BOXED = """
    import matplotlib.pyplot as plt
    import pandas as pd

    weather = pd.read_csv("weather.csv", parse_dates=["date"])
    rain = weather.groupby([weather.date.dt.year, weather.date.dt.month]).precipitation.sum().unstack(0)
    fig, ax = plt.subplots(figsize=(8, 3.4), dpi=130, layout="constrained")
    rain.plot.bar(ax=ax, width=0.85, color=["#b7d3e4", "#7fb2d0", "#3f88b5", "#17577f"], rot=0)
    ax.set(title="西雅图每月降雨量 · 시애틀 월별 강수량 · シアトルの月別降水量", xlabel="月", ylabel="毫米")
    fig.savefig("rain.png")
    plt.close(fig)
    rain.sum().round(1).to_dict()
"""
"""What runs in a container as well."""


class Progress:
    """Tells what happens: the line under way is redrawn on a terminal, and printed once when it is done elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._live = sys.stdout.isatty()

    def begin(self, number: int, title: str) -> None:
        """Say which step runs now."""
        print(f"[{number}/{self._total}] {title}", flush=True)

    def output(self, output: dict[str, object]) -> None:
        """Show the last line that the running cell printed, on a terminal."""
        text = str(output.get("text", "")).strip()
        if self._live and output.get("output_type") == "stream" and text:
            print(f"\r\033[K      {text.splitlines()[-1][:90]}", end="", flush=True)

    def end(self, result: ExecutionResult) -> None:
        """Show what the step brought."""
        if self._live:
            print("\r\033[K", end="")
        if text := _shortened(result):
            print(indent(text, "      "))
        for image in result.images:
            print(f"      picture: {_relative(image.path)} ({len(image.data) / 1000:.0f} kB)")
        kept = "state kept" if result.state_preserved else "state lost"
        print(f"      -> {result.status}, {result.duration:.2f} s, {kept}\n", flush=True)


def main() -> int:
    """Run the analysis; return 0 when every step ended as it should."""
    shutil.rmtree(OUTPUT, ignore_errors=True)  # what an earlier demo left
    progress = Progress(len(STEPS))
    surprises = 0
    pictures = 0
    start = time.monotonic()
    with Executor(workdir=OUTPUT, notebook=OUTPUT / "seattle.ipynb", name="Seattle's weather") as executor:
        print(f"A live kernel after {time.monotonic() - start:.2f} s.\n")
        for number, step in enumerate(STEPS, start=1):
            progress.begin(number, step.title)
            executor.annotate(f"### {step.title}")
            result = executor.execute(dedent(step.code).strip(), timeout=step.timeout, on_output=progress.output)
            progress.end(result)
            surprises += result.status != step.expected or not result.state_preserved
            pictures += len(result.images)
        executor.execute("import os; os.makedirs('box', exist_ok=True); weather.to_csv('box/weather.csv', index=False)")
    print(f"{len(STEPS)} cells, {pictures} pictures, {time.monotonic() - start:.1f} s in all.")
    print(f"Notebook: {_relative(OUTPUT / 'seattle.ipynb')} (open it in Jupyter: all of this is in it)")
    print(f"Pictures: {_relative(OUTPUT / 'seattle_files')}")
    surprises += not in_a_container(OUTPUT / "box")
    if surprises:
        print(f"{surprises} steps did not end as they should.", file=sys.stderr)
    return 1 if surprises else 0


def in_a_container(folder: Path) -> bool:
    """Draw the rain once more where the code can reach nothing else; return whether that went well, where it can."""
    start = time.monotonic()
    try:
        executor = Executor(kernel=DockerKernel(), workdir=folder, name="Seattle's weather, in a container").start()
    except KernelStartError as error:
        print(f"\nNot in a container: {error}. `make engine` brings up what that needs.")
        return True
    with executor:
        result = executor.execute(dedent(BOXED).strip())
        print(f"\nIn a container without network, after {time.monotonic() - start:.2f} s: {result.status}")
        print(indent(_shortened(result), "      "))
        for file in result.artifacts:
            print(f"      file: {_relative(file.path)} ({file.size / 1000:.0f} kB)")
    return result.ok and bool(result.artifacts)


def _shortened(result: ExecutionResult) -> str:
    """Return what there is to read: the error in a line, or the last lines of the text."""
    if result.error is not None:
        last = result.stdout.strip().splitlines()[-1:]
        return "\n".join([*last, str(result.error)])
    lines = [line.rstrip() for line in result.text.splitlines() if not line.startswith("[image/")]
    return "\n".join(lines[-8:])


def _relative(path: Path | None) -> str:
    return "-" if path is None else str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    sys.exit(main())
