"""`python -m tests.benchmarks [ROW...]`: measure, print the table, write it down."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from tests.benchmarks import report, rows
from tests.benchmarks.row import Row

OUTPUT = Path("bench-output")


def main() -> None:
    """Measure the rows that were named (all of them by default), one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    known = {function.__name__: function for function in rows.ALL}
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(known))
    wanted = parser.parse_args().rows or list(known)
    if unknown := set(wanted) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; the rows are {', '.join(known)}")
    OUTPUT.mkdir(exist_ok=True)
    _divert_kernels(OUTPUT / "kernels.log")
    measured: list[Row] = []
    for name in wanted:
        start = time.monotonic()
        print(f"{name} ...", end=" ", flush=True)
        measured += asyncio.run(known[name]())
        print(f"{time.monotonic() - start:.0f} s", flush=True)
    _tell(measured)


def _divert_kernels(log: Path) -> None:
    """Send what kernels of others write to the standard error that they inherit to a file; keep our own."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)


def _tell(measured: list[Row]) -> None:
    (OUTPUT / "benchmarks.json").write_text(report.as_json(measured))
    report.chart(measured, OUTPUT / "benchmarks.png")
    print(f"\n{report.table(measured)}\n")
    print(", ".join(f"{name} {number}" for name, number in report.versions().items()))
    print(f"Medians; contenders take turns. Written to {OUTPUT}/benchmarks.json and {OUTPUT}/benchmarks.png")


if __name__ == "__main__":
    main()
