"""`kernel-exec image`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.kernels.images import DEFAULT_IMAGE
from tests.images.conftest import Layered


def image(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kernel_exec.cli", "image", *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=env)
    assert "Traceback" not in done.stderr
    return done


def test_build(layered: Layered, wheels: Path, engine: Any) -> None:
    base = layered()
    done = image("build", base, "-r", "ipykernel", "--wheels", str(wheels))
    assert done.returncode == 0, done.stderr
    name = done.stdout.strip()
    assert engine.images.get(name).labels["kernel_exec.requirements"] == "ipykernel"
    assert f"looking at the Python of {base}" in done.stderr
    assert "ipykernel 6.30.0" in done.stderr
    again = image("build", base, "-r", "ipykernel", "--wheels", str(wheels))
    assert (again.stdout, len(again.stderr.splitlines())) == (done.stdout, 1)


def test_bootstrap_when_all_is_there(engine: Any) -> None:
    done = image("bootstrap")
    assert (done.returncode, done.stdout) == (0, f"{DEFAULT_IMAGE}\n")


def test_list(engine: Any, ipykernel6: str) -> None:
    lines = image("list").stdout.splitlines()
    assert any(line.startswith(DEFAULT_IMAGE) and "pandas" in line for line in lines)
    [found] = [one for one in json.loads(image("list", "--json").stdout)["images"] if one["name"] == ipykernel6]
    assert found["ipykernel"] == "6.29.5"
    assert found["requirements"] == ["ipykernel==6.29.5"]


def test_prune_tells_first(engine: Any, ipykernel6: str) -> None:
    assert "nothing" in image("prune", "--older-than", "9999").stdout
    document = json.loads(image("prune", "--dry-run", "--json").stdout)
    assert document["removed"] is False
    assert ipykernel6 in {one["name"] for one in document["images"]}
    assert engine.images.get(ipykernel6)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["build", "kernel-exec/no-such:image"], 3, "image list"),
        (["build", DEFAULT_IMAGE, "-r", "??"], 2, "no requirement"),
        (["build", DEFAULT_IMAGE, "--wheels", "/proc/none"], 2, "does not exist"),
        (["build"], 2, "IMAGE"),
        (["prune", "--older-than", "-1"], 2, "below zero"),
        ([], 2, "COMMAND"),
    ],
)
def test_what_cannot_be_done(engine: Any, arguments: list[str], status: int, message: str) -> None:
    done = image(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


@pytest.mark.parametrize("command", ["list", "prune", "bootstrap"])
def test_without_an_engine(tmp_path: Path, command: str) -> None:
    done = image(command, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 3
    assert "DOCKER_HOST" in done.stderr
