"""`kernel-exec image`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.kernels.container import DEFAULT_IMAGE
from kernel_exec.kernels.images.inventory import BASE_IMAGE
from tests.images.conftest import Layered


def image(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kernel_exec.cli", "image", *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=env)
    assert "Traceback" not in done.stderr
    return done


def test_build_list_prune(layered: Layered, wheels: Path, engine: Any) -> None:
    base = layered()
    command = ["build", base, "-r", "ipykernel", "--wheels", str(wheels)]
    done = image(*command)
    assert done.returncode == 0, done.stderr
    name = done.stdout.strip()
    assert engine.images.get(name).labels["kernel_exec.base"] == base
    assert f"looking at the Python of {base}" in done.stderr
    assert "ipykernel 6.30.0" in done.stderr
    again = image(*command)
    assert (again.stdout, len(again.stderr.splitlines())) == (done.stdout, 1)
    assert f"would remove {name}" in image("prune", "--dry-run").stdout
    assert engine.images.get(name)


def test_bootstrap_when_all_is_there(engine: Any) -> None:
    done = image("bootstrap")
    assert (done.returncode, done.stdout) == (0, f"{DEFAULT_IMAGE}\n")


def test_list(engine: Any) -> None:
    [line] = [line for line in image("list").stdout.splitlines() if line.startswith(DEFAULT_IMAGE)]
    assert "pandas" in line
    [found] = [one for one in json.loads(image("list", "--json").stdout)["images"] if one["name"] == DEFAULT_IMAGE]
    assert found["base"] == BASE_IMAGE
    assert found["python"]["ipykernel"].startswith("7.")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["build", "kernel-exec/no-such:image"], 3, "image list"),
        (["build", DEFAULT_IMAGE, "-r", "??"], 2, "no requirement"),
        (["build", DEFAULT_IMAGE, "--wheels", "/proc/none"], 2, "does not exist"),
        (["build"], 2, "IMAGE"),
        (["build", DEFAULT_IMAGE, "--platform", "linux/arm64"], 3, "is for linux/amd64"),
        ([], 2, "COMMAND"),
    ],
)
def test_what_cannot_be_done(engine: Any, arguments: list[str], status: int, message: str) -> None:
    done = image(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


@pytest.mark.parametrize("command", ["list", "bootstrap"])
def test_without_an_engine(tmp_path: Path, command: str) -> None:
    done = image(command, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 3
    assert "DOCKER_HOST" in done.stderr
