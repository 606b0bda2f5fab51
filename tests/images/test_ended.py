"""Builds that are ended in the middle, and builds of the same at once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.prepared import prepare
from tests.containers.forwarder import forwarder
from tests.executor.looks import children, wait_until
from tests.images.conftest import Layered, dangling, own_containers

BUILD = [sys.executable, "-m", "kernel_exec.cli", "image", "build"]
SOON = [0.15, pytest.param(0.0, marks=pytest.mark.long)]


@pytest.mark.parametrize("moment", ["looking at", "getting wheels", "installing"])
@pytest.mark.parametrize("delay", SOON)
async def test_cancelled(
    engine: Any, here: Engine, layered: Layered, wheels: Path, cache: Path, said: list[str], moment: str, delay: float
) -> None:
    base = layered()
    before = own_containers(engine), dangling(engine), children()
    given = None if moment == "getting wheels" else wheels
    building = asyncio.ensure_future(prepare(here, base, wheels=given))
    while not any(line.startswith(moment) for line in said):
        await asyncio.sleep(0.01)
    await asyncio.sleep(delay)
    assert building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert (own_containers(engine), dangling(engine), children()) == before
    assert made_on(engine, base) == []


@pytest.mark.parametrize(
    ("request_line", "whole"), [("/wait", False), ("/commit", True)], ids=["installing", "written"]
)
async def test_cancelled_before_the_engine_answers(
    engine: Any, here: Engine, layered: Layered, wheels: Path, said: list[str], request_line: str, whole: bool
) -> None:
    """What is being written down is written to its end, and whole; before that there is nothing."""
    base = layered()
    before = own_containers(engine), children()
    asked, answered = threading.Event(), threading.Event()

    def hold(line: str) -> None:
        if request_line in line and any(one.startswith("installing") for one in said):
            asked.set()
            assert answered.wait(30)

    with forwarder(lambda line: None, hold) as address:
        building = asyncio.ensure_future(prepare(Engine(address), base, wheels=wheels))
        assert await asyncio.to_thread(asked.wait, 60)
        assert building.cancel()
        await asyncio.sleep(0)
        answered.set()
        with pytest.raises(asyncio.CancelledError):
            await building
    assert (own_containers(engine), children()) == before
    made = made_on(engine, base)
    assert len(made) == whole
    assert (await prepare(here, base, wheels=wheels)).id in made or not whole


def made_on(engine: Any, base: str) -> list[str]:
    """Ids of the images that were made on another one."""
    return [image.id for image in engine.images.list() if image.labels.get("kernel_exec.base") == base]


@pytest.mark.long
async def test_what_was_cancelled_can_be_made(here: Engine, layered: Layered, wheels: Path) -> None:
    base = layered()
    building = asyncio.ensure_future(prepare(here, base, wheels=wheels))
    await asyncio.sleep(1)
    building.cancel()
    await asyncio.wait([building])
    assert (await prepare(here, base, wheels=wheels)).python.ipykernel


@pytest.mark.long
def test_two_processes_make_one_image(engine: Any, layered: Layered, wheels: Path) -> None:
    command = [*BUILD, layered(), "--wheels", str(wheels)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert sum(errors.count("installing") for _, errors in told) == 1
    assert sum(errors.count("waiting for another") for _, errors in told) == 1


async def test_tasks_of_one_process_make_one_image(
    here: Engine, layered: Layered, wheels: Path, said: list[str]
) -> None:
    base = layered()
    waits = [asyncio.ensure_future(prepare(here, base, wheels=wheels)) for _ in range(4)]
    while not any(line.startswith("waiting") for line in said):
        await asyncio.sleep(0.01)
    waits[-1].cancel()  # it waits, or makes the image; either way it gives up the right to
    images = await asyncio.gather(*waits, return_exceptions=True)
    assert len({image.id for image in images if not isinstance(image, BaseException)}) == 1
    assert isinstance(images[-1], asyncio.CancelledError)


SLOW = "import sys, time; any('kernel-exec-wheels' in one for one in sys.orig_argv) and time.sleep(60)\n"
"""A line of a .pth file, which Python runs when it begins: where wheels are installed, not where it is looked at."""


@pytest.fixture
def installing(engine: Any, layered: Layered, wheels: Path) -> Callable[[], subprocess.Popen[str]]:
    """Starts a build, and returns when its container is there."""

    def start() -> subprocess.Popen[str]:
        before = own_containers(engine)
        base = layered({"usr/local/lib/python3.11/dist-packages/slow.pth": SLOW.encode()})  # else it may end before
        process = subprocess.Popen([*BUILD, base, "--wheels", str(wheels)], stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("installing"):
                break
        assert wait_until(lambda: own_containers(engine) > before)
        return process

    return start


def test_a_builder_that_is_killed(engine: Any, installing: Callable[[], subprocess.Popen[str]]) -> None:
    before = own_containers(engine)
    process = installing()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = subprocess.run(
        [sys.executable, "-m", "kernel_exec.cli", "gc", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["containers"]
    assert wait_until(lambda: own_containers(engine) == before)


def test_ctrl_c_ends_the_command(engine: Any, installing: Callable[[], subprocess.Popen[str]]) -> None:
    before = own_containers(engine)
    process = installing()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert own_containers(engine) == before
