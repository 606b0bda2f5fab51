"""Whoever is killed, and whoever reads: the notebook is valid, and what was written is in it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

CRASH = Path(__file__).with_name("crash.py")


def crash(directory: Path, rounds: int) -> None:
    seed = random.randrange(10**6)  # another one each time; the report of a failure shows it
    command = [sys.executable, str(CRASH), str(directory), str(rounds), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert json.loads(done.stdout)["rounds"] == rounds


def test_a_writer_killed_at_100_random_points_leaves_a_valid_notebook(tmp_path: Path) -> None:
    crash(tmp_path, 100)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_writer_killed_at_1000_random_points_leaves_a_valid_notebook(tmp_path: Path) -> None:
    crash(tmp_path, 1000)
