"""Kills writers of a recording at random points and looks at what they leave; run by test_crash.py.

Usage: crash.py DIRECTORY ROUNDS SEED. Each round forks a writer, reads the notebook slowly while it is
written, and kills the writer with SIGKILL. Prints what was seen as JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
from pathlib import Path
from typing import Any

import nbformat

from kernel_exec.recording import Recorder, code_cell

METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def cell(number: int, size: int) -> dict[str, Any]:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "line\n" * size},
        {"output_type": "display_data", "data": {"image/png": "iVBO" * size * 8}, "metadata": {}},
    ]
    return code_cell(f"c{number}", f"print({number})", outputs, number)


def write_for_ever(path: Path, acknowledged: int, chance: random.Random) -> None:
    """Write cells, and some earlier ones again; tell each number when its write has returned."""
    recorder = Recorder(path)
    recorder.open(METADATA)
    for number in range(100_000):
        recorder.write(cell(number, chance.randrange(1, 60)))
        os.write(acknowledged, b"%d\n" % number)
        if chance.random() < 0.2:
            recorder.write(cell(chance.randrange(number + 1), chance.randrange(1, 60)))


def read_slowly(path: Path, acknowledged: int, chance: random.Random) -> tuple[bytes, bytes]:
    """Read the notebook through one open file while the writer goes on; return what was read and told."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(chance.randrange(size))
        told = os.read(acknowledged, chance.randrange(1, 40))
        return first + file.read(), told


def attack(path: Path, chance: random.Random) -> dict[str, int]:
    acknowledged, writer_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(acknowledged)
        write_for_ever(path, writer_end, chance)
    os.close(writer_end)
    told = os.read(acknowledged, 1)
    for _ in range(chance.randrange(1, 6)):
        seen, more = read_slowly(path, acknowledged, chance)
        json.loads(seen)
        told += more
    select.select([], [], [], chance.random() * 0.003)  # the random point
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while more := os.read(acknowledged, 65536):
        told += more
    os.close(acknowledged)
    return check(path, told.decode().splitlines())


def check(path: Path, told: list[str]) -> dict[str, int]:
    text = path.read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert nbformat.writes(notebook) + "\n" == text
    ids = [cell["id"] for cell in notebook.cells]
    missing = {f"c{number}" for number in told} - set(ids)
    assert not missing, f"returned, and yet not on disk: {missing}"
    assert ids == [f"c{number}" for number in range(len(ids))]
    return {"cells": len(ids), "told": len(told)}


def main(directory: str, rounds: str, seed: str) -> None:
    chance = random.Random(int(seed))
    seen = [attack(Path(directory) / f"{number}.ipynb", chance) for number in range(int(rounds))]
    cells = sum(round_["cells"] for round_ in seen)
    print(json.dumps({"rounds": len(seen), "cells": cells}))


if __name__ == "__main__":
    main(*sys.argv[1:])
