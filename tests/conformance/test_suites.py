"""Suites that others wrote for other kernels and clients, on the stock provisioner and on ours.

Kernels are counted: a provisioner that is silently passed over passes everything.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.suites import OURS, STOCK, Report, lost, run

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]


WELCOME = """
import jupyter_kernel_test as jkt

class Welcome(jkt.IopubWelcomeTests):
    kernel_name = "python3"
    support_iopub_welcome = True
"""
"""The test of the welcome message, which the settings for ipykernel leave out."""


def test_jupyter_kernel_test(kernel_test_source: Path) -> None:
    """The protocol, as the suite for authors of kernels checks it; its own settings for ipykernel."""
    (kernel_test_source / "test_welcome.py").write_text(WELCOME)
    stock, ours = compare(kernel_test_source, "test_ipykernel.py", "test_welcome.py")
    assert len(ours.passed) >= 12, ours.output
    assert len(ours.outcomes) == len(stock.outcomes) >= 13
    # One kernel serves a whole class.
    assert ours.launches["HostProvisioner"] >= stock.launches["LocalProvisioner"] >= 2


def test_nbclient(nbclient_source: Path) -> None:
    """nbclient's own tests, whose kernels it starts through jupyter_client's managers."""
    stock, ours = compare(nbclient_source, "tests")
    assert len(ours.outcomes) == len(stock.outcomes) >= 127
    assert ours.launches["HostProvisioner"] >= 50


def compare(folder: Path, *tests: str) -> tuple[Report, Report]:
    """Run a suite on both provisioners; what passes on the stock one passes on ours."""
    stock, ours = run(folder, tests, STOCK), run(folder, tests, OURS)
    for name, report in (("stock", stock), ("ours", ours)):
        print(f"{folder.name} on {name}: {len(report.passed)} of {len(report.outcomes)} pass, {dict(report.launches)}")
    assert stock.passed, stock.output
    assert set(stock.launches) == {"LocalProvisioner"}
    assert set(ours.launches) == {"HostProvisioner"}, ours.output
    assert not lost(folder, stock, ours), ours.output
    return stock, ours
