"""Executors in containers that tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor
from tests.containers.elsewhere import elsewhere


@pytest.fixture(scope="module")
def far(engine: Any) -> Iterator[str]:
    """The address of the engine as one that is elsewhere, for a module; it is the one that is found."""
    with elsewhere() as (port, _), pytest.MonkeyPatch.context() as patch:
        address = f"tcp://127.0.0.1:{port}"
        patch.setenv("DOCKER_HOST", address)
        yield address


@pytest.fixture(scope="module")
def box(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One executor in a container for a module; tests that harm it take `fresh`."""
    with Executor(kernel=DockerKernel(), workdir=tmp_path_factory.mktemp("box"), timeout=30) as executor:
        yield executor


@pytest.fixture
def fresh(engine: Any, tmp_path: Path) -> Iterator[Callable[..., Executor]]:
    """Makes executors of this test's own, and closes them. Arguments that are none of its are the container's."""
    made: list[Executor] = []

    def make(**settings: Any) -> Executor:
        own = {name: settings.pop(name) for name in ("limits", "timeout", "notebook") if name in settings}
        executor = Executor(
            kernel=DockerKernel(**settings), **{"timeout": 30, "workdir": tmp_path / f"work{len(made)}", **own}
        )
        made.append(executor)
        return executor.start()

    yield make
    for executor in made:
        executor.close()


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


def containers(engine: Any, *names: str) -> list[Any]:
    """All containers with one of these names, whatever their state."""
    return [found for found in engine.containers.list(all=True, ignore_removed=True) if found.name in names]


def name_of(executor: Executor) -> str:
    """The name of an executor's container."""
    session = executor._core._conductor.kernels.session
    assert session is not None
    return str(session.kernel._provisioner.container)
