"""Kernelspecs that exist for one test."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.provisioning import KernelProvisionerFactory

from kernel_exec import Executor, HostKernel

Install = Callable[..., HostKernel]


@pytest.fixture
def ours_by_default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels of every kernelspec that names no provisioner are started by ours.

    jupyter_client reads the variable once a process, whenever somebody first looks at kernelspecs.
    """
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "kernel-exec-host")
    KernelProvisionerFactory.clear_instance()
    yield
    KernelProvisionerFactory.clear_instance()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a kernelspec and returns the settings that start it."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    def install(name: str, argv: list[str], *, language: str = "python", **spec: Any) -> HostKernel:
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        content = {"argv": argv, "display_name": f"The {name} kernel", "language": language, **spec}
        (folder / "kernel.json").write_text(json.dumps(content))
        return HostKernel(kernel_name=name)

    return install


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Executor]]:
    """Starts executors and closes them."""
    made: list[Executor] = []

    def start(kernel: HostKernel | None = None, **settings: Any) -> Executor:
        made.append(Executor(kernel, **{"workdir": tmp_path / "work", "timeout": 30, **settings}).start())
        return made[-1]

    yield start
    for executor in made:
        executor.close()


@pytest.fixture
def echo(install: Install) -> HostKernel:
    """A kernel for a language of its own, without IPython."""
    return install(
        "echo", [sys.executable, str(Path(__file__).parent / "echo_kernel.py"), "{connection_file}"], language="echo"
    )
