"""A socket is what appeared under its name first, and nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_exec.wire import pins
from kernel_exec.wire.pins import Pins


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


async def waited(condition: Callable[[], object]) -> bool:
    for _ in range(200):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.fixture(params=[True, False], ids=["events", "no events left"])
def events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(pins, "_watch", lambda _: None)


@pytest.mark.usefixtures("events")
async def test_found_as_they_appear(tmp_path: Path) -> None:
    found: dict[Path, str] = {}
    wrong: list[str] = []
    one, other = tmp_path / "k-1", tmp_path / "k-2"
    before = len(os.listdir("/proc/self/fd"))
    with listen(one):
        waiting = Pins([one, other], found.__setitem__, wrong.append)
        assert await waited(lambda: one in found)
        assert other not in found
        with listen(other) as real:
            assert await waited(lambda: other in found)
            other.unlink()
            with listen(tmp_path / "victim") as victim, socket.socket(socket.AF_UNIX) as client:
                other.symlink_to(tmp_path / "victim")
                client.connect(found[other].removeprefix("ipc://"))
                real.accept()[0].close()
                victim.setblocking(False)
                with pytest.raises(BlockingIOError):
                    victim.accept()
        waiting.close()
        waiting.close()
    assert wrong == []
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("kind", ["link", "fifo", "file", "directory"])
async def test_something_else_lies_there(tmp_path: Path, kind: str) -> None:
    found: dict[Path, str] = {}
    wrong: list[str] = []
    path = tmp_path / "k-1"
    with listen(tmp_path / "victim"):
        waiting = Pins([path], found.__setitem__, wrong.append)
        make = {"link": lambda: path.symlink_to("victim"), "fifo": lambda: os.mkfifo(path)}
        make |= {"file": path.touch, "directory": path.mkdir}
        make[kind]()
        assert await waited(lambda: wrong)
        waiting.close()
    assert found == {}
    assert wrong == ["something else lies in the place of its socket k-1"]


async def test_closed_before_anything_appeared(tmp_path: Path) -> None:
    found: dict[Path, str] = {}
    Pins([tmp_path / "k-1"], found.__setitem__, lambda _: None).close()
    with listen(tmp_path / "k-1"):
        await asyncio.sleep(0.05)
    assert found == {}
