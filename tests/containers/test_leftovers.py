"""Containers that a crashed engine left, and who may remove them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kernel_exec import Executor
from kernel_exec.kernels.leftovers import HOST, OWNER, SESSION, labels
from tests.containers.conftest import containers, name_of


@pytest.fixture
def left(engine: Any) -> Iterator[Callable[[dict[str, str]], str]]:
    """Makes a container with these labels, as one that was created and never started; returns its name."""
    made: list[str] = []

    def make(given: dict[str, str]) -> str:
        name = f"kx-left-{os.urandom(4).hex()}"
        engine.containers.create("kernel-exec/python:latest", "true", name=name, labels=given)
        made.append(name)
        return name

    yield make
    for container in containers(engine, *made):
        container.remove(force=True)


def gc(*options: str) -> Any:
    command = [sys.executable, "-m", "kernel_exec.cli", "gc", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one["name"] for one in json.loads(done.stdout)["containers"]]


def dead(**more: str) -> dict[str, str]:
    """The labels of a host that has ended."""
    code = "from kernel_exec.kernels.leftovers import labels; import json; print(json.dumps(labels('s', kept=False)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout), **more}


def test_only_what_nobody_owns_is_removed(
    engine: Any, left: Callable[[dict[str, str]], str], fresh: Callable[..., Executor]
) -> None:
    living = name_of(fresh())
    gone = left(dead())
    rebooted = left(dead() | {HOST: "another-boot:1:1"})
    again = left(dead() | {HOST: labels("s", kept=False)[HOST].rpartition(":")[0] + ":1"})  # its number is used again
    kept = left(dead() | {"kernel_exec.kept": "yes"})
    others = left(dead() | {OWNER: str(os.getuid() + 1)})
    strange = left({"some": "label"})
    broken = left({SESSION: "s", OWNER: str(os.getuid()), HOST: "nonsense"})
    assert {gone, rebooted, again, broken} <= set(gc("--dry-run"))
    assert containers(engine, gone)
    removed = set(gc())
    assert {gone, rebooted, again, broken} <= removed
    assert not removed & {living, kept, others, strange}
    assert not containers(engine, gone, rebooted, again, broken)
    assert len(containers(engine, living, kept, others, strange)) == 4
    assert kept in gc("--all", "--dry-run")  # it would take those of whoever runs this


def test_without_an_engine(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    done = subprocess.run([sys.executable, "-m", "kernel_exec.cli", "gc"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "DOCKER_HOST" in done.stderr
    assert "Traceback" not in done.stderr
