"""papermill's own tests of engines, execution, parameters and autosave, with our engine in the place of its own.

What does not pass so does not pass with its own either.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.observed import ENGINE
from tests.conformance.suites import STOCK, lost, run

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

TESTS = [f"papermill/tests/test_{part}.py" for part in ("engines", "execute", "parameterize", "autosave")]

KERNELS = 20
"""Kernels that its tests start, at the least."""
OF_ITS_OWN = 3
"""Kernels that `TestNBClientEngine` starts, which calls papermill's engine by the name of its class."""


def test_with_our_engine(papermill_source: Path) -> None:
    ours = run(papermill_source, TESTS, STOCK, **{ENGINE: "yes"})
    print(f"papermill: {len(ours.passed)} of {len(ours.outcomes)} pass, {dict(ours.launches)}")
    assert len(ours.passed) >= 80, ours.output
    assert len(ours.outcomes) >= 89
    # The stock provisioner starts the kernels of papermill's engine: nothing fell back to it but its own tests.
    assert set(ours.launches) == {"HostProvisioner", "LocalProvisioner"}, ours.output
    assert ours.launches["LocalProvisioner"] == OF_ITS_OWN
    assert ours.launches["HostProvisioner"] >= KERNELS
    if others := ours.outcomes.keys() - ours.passed:
        theirs = run(papermill_source, sorted(others), STOCK)
        assert not lost(papermill_source, theirs.passed & others, STOCK, **{ENGINE: "yes"}), ours.output
