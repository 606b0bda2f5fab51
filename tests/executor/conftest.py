"""Executors that tests share: a kernel takes half a second, and most tests need only a living one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor, HostKernel
from kernel_exec.kernels.kinds import KernelSettings


@pytest.fixture(scope="module")
def ex(kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One executor for a module; tests that harm it take `fresh`."""
    with Executor(kernel, workdir=tmp_path_factory.mktemp("shared"), timeout=30) as executor:
        yield executor


@pytest.fixture
def fresh(kernel: KernelSettings, tmp_path: Path) -> Iterator[Callable[..., Executor]]:
    """Makes executors of this test's own, and closes them."""
    made: list[Executor] = []

    def make(**settings: Any) -> Executor:
        settings.setdefault("workdir", tmp_path / f"work{len(made)}")
        made.append(Executor(**{"kernel": kernel, "timeout": 30, **settings}).start())
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture(scope="module")
def stock(kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> KernelSettings:
    """A kernel in which our launcher cannot work, so that the stock ipykernel starts."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['_kernel_exec.spool'] = None\n", encoding="utf-8")
    if isinstance(kernel, DockerKernel):
        return dataclasses.replace(kernel, mounts={site: "/mnt/site"}, env={"PYTHONPATH": "/mnt/site"})
    return HostKernel(env={"PYTHONPATH": str(site)})
