"""Suites that others wrote for other kernels and clients, on our provisioners; what fails there fails on the stock one.

Kernels are counted: a provisioner that is silently passed over passes everything.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_exec import DockerKernel
from kernel_exec.kernels.kinds import KernelSettings
from tests.conformance.suites import STOCK, Report, lost, run

pytestmark = [pytest.mark.conformance, pytest.mark.everywhere(soon=True), pytest.mark.timeout(900)]


WELCOME = """
import jupyter_kernel_test as jkt

class Welcome(jkt.IopubWelcomeTests):
    kernel_name = "python3"
    support_iopub_welcome = True
"""
"""The test of the welcome message, which the settings for ipykernel leave out."""
CLIENT = "tests/test_client.py::"
OF_THE_HOST = {
    f"{CLIENT}test_run_all_notebooks[JupyterWidgets.ipynb-opts7]": "ipywidgets is not in the image",
    f"{CLIENT}TestExecute::test_widgets": "ipywidgets is not in the image",
    f"{CLIENT}test_run_all_notebooks[Skip Exceptions with Cell Tags.ipynb-opts8]": "sets a variable of the host",
    f"{CLIENT}test_parallel_notebooks": "names a directory of the host in a variable of the host",
    f"{CLIENT}test_async_parallel_notebooks": "names a directory of the host in a variable of the host",
}
"""Tests that need what a container has not, and why. Their notebooks run in one in `test_notebooks.py`."""


def test_jupyter_kernel_test(kernel: KernelSettings, kernel_test_source: Path) -> None:
    """The protocol, as the suite for authors of kernels checks it; its own settings for ipykernel."""
    (kernel_test_source / "test_welcome.py").write_text(WELCOME)
    ours = checked(kernel, kernel_test_source, "test_ipykernel.py", "test_welcome.py")
    assert len(ours.passed) >= 12, ours.output
    assert len(ours.outcomes) >= 13
    assert ours.launches.total() >= 2  # one kernel serves a whole class


def test_nbclient(kernel: KernelSettings, nbclient_source: Path) -> None:
    """nbclient's own tests, whose kernels it starts through jupyter_client's managers."""
    ours = checked(kernel, nbclient_source, "tests")
    assert len(ours.passed) >= 110, ours.output
    assert len(ours.outcomes) >= 127
    assert ours.launches.total() >= 50


def checked(kernel: KernelSettings, folder: Path, *tests: str) -> Report:
    """Run a suite on our provisioner; whatever of it does not pass does not pass on the stock one either."""
    boxed = isinstance(kernel, DockerKernel)
    provisioner, name = (
        ("kernel-exec-docker", "DockerProvisioner") if boxed else ("kernel-exec-host", "HostProvisioner")
    )
    ours = run(folder, tests, provisioner)
    print(f"{folder.name}, {name}: {len(ours.passed)} of {len(ours.outcomes)} pass, {dict(ours.launches)}")
    assert set(ours.launches) == {name}, ours.output
    others = ours.outcomes.keys() - ours.passed - (set(OF_THE_HOST) if boxed else set())
    if others:
        stock = run(folder, sorted(others), STOCK)
        assert set(stock.launches) <= {"LocalProvisioner"}
        assert not lost(folder, stock.passed & others, provisioner), ours.output
    return ours
