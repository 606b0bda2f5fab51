"""papermill's own tests of engines, execution, parameters and autosave, with our engine in the place of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.observed import ENGINE
from tests.conformance.suites import STOCK, lost, run

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

TESTS = [f"papermill/tests/test_{part}.py" for part in ("engines", "execute", "parameterize", "autosave")]

OF_ITS_OWN = 3
"""Kernels that `TestNBClientEngine` starts, which calls papermill's engine by the name of its class."""


def test_with_our_engine(papermill_source: Path) -> None:
    theirs = run(papermill_source, TESTS, STOCK)
    ours = run(papermill_source, TESTS, STOCK, **{ENGINE: "yes"})
    for about, report in (("its own engine", theirs), ("ours", ours)):
        print(f"papermill, {about}: {len(report.passed)} of {len(report.outcomes)} pass, {dict(report.launches)}")
    assert len(theirs.passed) >= 80, theirs.output
    assert len(ours.outcomes) == len(theirs.outcomes) >= 89
    # The stock provisioner starts the kernels of papermill's engine: nothing fell back to it but its own tests.
    assert theirs.launches["LocalProvisioner"] == theirs.launches.total() >= 20
    assert set(ours.launches) == {"HostProvisioner", "LocalProvisioner"}, ours.output
    assert ours.launches["LocalProvisioner"] == OF_ITS_OWN
    assert ours.launches["HostProvisioner"] >= theirs.launches.total() - OF_ITS_OWN
    assert not lost(papermill_source, theirs.passed - ours.passed, STOCK, **{ENGINE: "yes"}), ours.output
