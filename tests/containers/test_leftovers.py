"""Containers that a crashed engine left, and who may remove them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor
from kernel_exec.kernels.leftovers import EXPIRES, HOST, OWNER, SESSION, labels
from kernel_exec.kernels.link import SupervisorLink
from tests.containers.conftest import containers, name_of


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
    here, _, own, *_ = labels("s", kept=False)[HOST].split(":")
    rebooted = left(dead() | {HOST: f"{here}:another-boot:{own}:1:1"})
    expired = left(labels("s", kept=False, expires=time.time() - 2))
    unseen = left(dead() | {HOST: f"another-machine:another-boot:{own}:1:1"})
    boxed = left(dead() | {HOST: labels("s", kept=False)[HOST].replace(f":{own}:", ":another-space:")})
    again = left(dead() | {HOST: labels("s", kept=False)[HOST].rpartition(":")[0] + ":1"})  # its number is used again
    kept = left(dead() | {"kernel_exec.kept": "yes"})
    others = left(dead() | {OWNER: str(os.getuid() + 1)})
    strange = left({"some": "label"})
    broken = left({SESSION: "s", OWNER: str(os.getuid()), HOST: "nonsense"})
    assert {gone, rebooted, again, broken, expired} <= set(gc("--dry-run"))
    assert containers(engine, gone)
    removed = set(gc())
    assert {gone, rebooted, again, broken, expired} <= removed
    assert not removed & {living, kept, others, strange, unseen, boxed}
    assert not containers(engine, gone, rebooted, again, broken, expired)
    assert len(containers(engine, living, kept, others, strange, unseen, boxed)) == 6
    assert kept in gc("--all", "--dry-run")  # it would take those of whoever runs this


def test_the_first_start_of_a_process_removes_them(engine: Any, left: Callable[[dict[str, str]], str]) -> None:
    gone, kept = left(dead()), left(dead() | {"kernel_exec.kept": "yes"})
    code = "from kernel_exec import DockerKernel, Executor\nwith Executor(kernel=DockerKernel()): pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not containers(engine, gone)
    assert containers(engine, kept)


def test_a_session_with_an_end_carries_it(engine: Any, tmp_path: Path) -> None:
    with Executor(kernel=DockerKernel(), workdir=tmp_path, lifetime=1000) as executor:
        expires = int(engine.containers.get(name_of(executor)).labels[EXPIRES])
    assert 900 < expires - time.time() < 1001


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
async def test_mounts_without_a_keeper_are_taken_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("the user's")
    link = SupervisorLink.spawn("keeper")
    await link.ready()
    point = await link.mount(tmp_path, (12345, 23456))
    assert point is not None
    gc()
    assert (point / "file").exists()  # its keeper lives
    os.kill(link._supervisor, signal.SIGKILL)
    os.waitid(os.P_PID, link._supervisor, os.WEXITED | os.WNOWAIT)
    gc("--dry-run")
    assert (point / "file").exists()
    gc()
    assert not point.parent.exists()
    assert (tmp_path / "file").read_text() == "the user's"
    await link.stop(0)


def test_without_an_engine(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    done = subprocess.run([sys.executable, "-m", "kernel_exec.cli", "gc"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "DOCKER_HOST" in done.stderr
    assert "Traceback" not in done.stderr
