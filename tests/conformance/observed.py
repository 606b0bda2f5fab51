"""Runs pytest and writes down what it saw: how each test ended, and which provisioner launched each kernel.

Run as `python -P observed.py PYTEST_ARGUMENT...`. The file that KERNEL_EXEC_OBSERVED names gets one JSON list a line:
["test", id, outcome] or ["launch", class of the provisioner]. Processes that the tests fork write to it as well.
Where KERNEL_EXEC_ENGINE is set, papermill's default engine is ours.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from jupyter_client.provisioning import LocalProvisioner

from kernel_exec.kernels.docker import DockerProvisioner
from kernel_exec.kernels.host import HostProvisioner

FILE = "KERNEL_EXEC_OBSERVED"
ENGINE = "KERNEL_EXEC_ENGINE"
PROVISIONERS = (HostProvisioner, DockerProvisioner, LocalProvisioner)


def launch_noted(provisioner: type, note: Callable[[str], object]) -> Callable[..., Any]:
    """Return the provisioner's `launch_kernel`, which then notes each kernel that was launched."""
    launch = provisioner.launch_kernel  # type: ignore[attr-defined]

    async def launch_kernel(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = await launch(self, *args, **kwargs)
        note(provisioner.__name__)
        return connection

    return launch_kernel


def pytest_collection_finish() -> None:
    """Have papermill run everything in our engine that names none (a hook of pytest).

    Before the tests are found papermill would not be the one that they belong to.
    """
    if ENGINE in os.environ:
        from papermill.engines import papermill_engines

        from kernel_exec.integrations.papermill import KernelExecEngine

        papermill_engines.register(None, KernelExecEngine)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended, also in its set-up or tear-down (a hook of pytest)."""
    if report.when == "call" or report.outcome != "passed":
        _write("test", report.nodeid, report.outcome)


def _write(*line: str) -> None:
    with open(os.environ[FILE], "a") as file:
        file.write(json.dumps(line) + "\n")


if __name__ in ("__main__", "__mp_main__"):  # the second where a pool of the tests starts its processes afresh
    for provisioner in PROVISIONERS:
        provisioner.launch_kernel = launch_noted(provisioner, lambda name: _write("launch", name))
if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:], plugins=[sys.modules[__name__]]))
