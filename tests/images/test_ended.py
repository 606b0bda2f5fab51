"""Builds that are ended in the middle, and builds of the same at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import prepare
from tests.executor.looks import children, wait_until
from tests.images.conftest import Layered, dangling, own_containers

BUILD = [sys.executable, "-m", "kernel_exec.cli", "image", "build"]


@pytest.mark.parametrize("moment", ["getting wheels", "Collecting", "looking at", "installing"])
@pytest.mark.parametrize("delay", [0.15, *(pytest.param(delay, marks=pytest.mark.long) for delay in (0.0, 1.0))])
async def test_cancelled(engine: Any, here: Engine, layered: Layered, cache: Path, moment: str, delay: float) -> None:
    base = layered()
    before = own_containers(engine), dangling(engine), children()
    reached = asyncio.Event()

    def tell(line: str) -> None:
        if line.startswith(moment):
            reached.set()

    building = asyncio.ensure_future(prepare(here, base, ["ipykernel==6.29.5"], on_progress=tell))
    await asyncio.wait_for(reached.wait(), 60)
    await asyncio.sleep(delay)
    assert building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert (own_containers(engine), dangling(engine), children()) == before
    assert not [image for image in engine.images.list() if image.labels.get("kernel_exec.base") == base]


async def test_what_was_cancelled_can_be_made(here: Engine, layered: Layered, wheels: Path) -> None:
    base = layered()
    building = asyncio.ensure_future(prepare(here, base, wheels=wheels))
    await asyncio.sleep(1)
    building.cancel()
    await asyncio.wait([building])
    assert (await prepare(here, base, wheels=wheels)).ipykernel_version


def test_two_processes_make_one_image(engine: Any, layered: Layered, wheels: Path) -> None:
    base = layered()
    command = [*BUILD, base, "--wheels", str(wheels)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert sum(errors.count("installing") for _, errors in told) == 1
    assert sum(errors.count("waiting for another") for _, errors in told) == 1


async def test_tasks_of_one_process_make_one_image(here: Engine, layered: Layered, wheels: Path) -> None:
    base = layered()
    said: list[str] = []
    made = await asyncio.gather(*(prepare(here, base, wheels=wheels, on_progress=said.append) for _ in range(3)))
    assert len({image.id for image in made}) == 1
    assert sum(line.startswith("installing") for line in said) == 1


def test_a_builder_that_is_killed(engine: Any, layered: Layered, wheels: Path) -> None:
    before = own_containers(engine)
    process = subprocess.Popen([*BUILD, layered(), "--wheels", str(wheels)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("installing"):
            break
    assert wait_until(lambda: own_containers(engine) > before)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    done = subprocess.run(
        [sys.executable, "-m", "kernel_exec.cli", "gc", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["containers"]
    assert wait_until(lambda: own_containers(engine) == before)


def test_ctrl_c_ends_the_command(engine: Any, layered: Layered, wheels: Path) -> None:
    before = own_containers(engine)
    process = subprocess.Popen([*BUILD, layered(), "--wheels", str(wheels)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("installing"):
            break
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert own_containers(engine) == before
