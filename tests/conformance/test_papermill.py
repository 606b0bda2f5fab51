"""papermill's own tests of engines, execution, parameters and autosave, with our engine in the place of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.observed import ENGINE
from tests.conformance.suites import STOCK, lost, run

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

TESTS = [f"papermill/tests/test_{part}.py" for part in ("engines", "execute", "parameterize", "autosave")]


def test_with_our_engine(papermill_source: Path) -> None:
    theirs = run(papermill_source, TESTS, STOCK)
    ours = run(papermill_source, TESTS, STOCK, **{ENGINE: "yes"})
    for about, report in (("its own engine", theirs), ("ours", ours)):
        print(f"papermill, {about}: {len(report.passed)} of {len(report.outcomes)} pass, {dict(report.launches)}")
        print({name for name, outcome in report.outcomes.items() if outcome == "failed"})
    assert len(theirs.passed) >= 80, theirs.output
    assert len(ours.outcomes) == len(theirs.outcomes) >= 89
    # Nothing fell back to papermill's engine, whose kernels the stock provisioner launches, but the tests that name it.
    assert set(theirs.launches) == {"LocalProvisioner"}
    assert set(ours.launches) == {"HostProvisioner"}, ours.output
    assert ours.launches.total() >= theirs.launches.total() * 0.9
    assert not lost(papermill_source, theirs.passed - ours.passed, STOCK, **{ENGINE: "yes"}), ours.output
