"""Suites that others wrote for other kernels and clients, on the stock provisioner and on ours.

Kernels are counted: a provisioner that is silently passed over passes everything.
"""

from __future__ import annotations

import functools
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
    stock, ours = compare(kernel, kernel_test_source, "test_ipykernel.py", "test_welcome.py")
    assert len(ours.passed) >= 12, ours.output
    assert len(ours.outcomes) == len(stock.outcomes) >= 13
    # One kernel serves a whole class.
    assert ours.launches.total() >= stock.launches["LocalProvisioner"] >= 2


def test_nbclient(kernel: KernelSettings, nbclient_source: Path) -> None:
    """nbclient's own tests, whose kernels it starts through jupyter_client's managers."""
    stock, ours = compare(kernel, nbclient_source, "tests")
    assert len(ours.outcomes) == len(stock.outcomes) >= 127
    assert ours.launches.total() >= 50


def compare(kernel: KernelSettings, folder: Path, *tests: str) -> tuple[Report, Report]:
    """Run a suite on both provisioners; what passes on the stock one passes on ours."""
    boxed = isinstance(kernel, DockerKernel)
    provisioner, name = (
        ("kernel-exec-docker", "DockerProvisioner") if boxed else ("kernel-exec-host", "HostProvisioner")
    )
    stock, ours = on_stock(folder, tests), run(folder, tests, provisioner)
    for about, report in (("stock", stock), (name, ours)):
        print(f"{folder.name}, {about}: {len(report.passed)} of {len(report.outcomes)} pass, {dict(report.launches)}")
    assert stock.passed, stock.output
    assert set(stock.launches) == {"LocalProvisioner"}
    assert set(ours.launches) == {name}, ours.output
    failed = stock.passed - ours.passed - (set(OF_THE_HOST) if boxed else set())
    assert not lost(folder, failed, provisioner), ours.output
    return stock, ours


@functools.cache
def on_stock(folder: Path, tests: tuple[str, ...]) -> Report:
    """How a suite goes on the stock provisioner."""
    return run(folder, tests, STOCK)
