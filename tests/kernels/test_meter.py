"""What a process uses is that of this process, and of no other that has its number."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kernel_exec.kernels.meter import Meter, meter_inside

BURN = """
import os, sys
held = bytearray(50 << 20)
while sum(os.times()[:2]) < 0.3: pass
del held
print('burnt', flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def burning() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_time_and_peak(burning: subprocess.Popen[str]) -> None:
    meter = Meter(burning.pid)
    with burning:
        assert burning.stdout is not None
        burning.stdout.readline()
        used = meter.usage()
        assert used is not None
        assert used.cpu_seconds >= 0.3
        assert used.peak_memory > 50 << 20
        meter.begin()
        used = meter.usage()
        assert used is not None
        assert used.cpu_seconds < 0.3
    assert meter.usage() is None


def test_another_process_of_that_number() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        meter = Meter(process.pid)
        assert meter.usage() is not None
        meter._process = [b"0"]  # as if it had started at another time
        assert meter.usage() is None
        process.kill()


def test_a_container_that_is_not_there() -> None:
    assert meter_inside(1, 2, "no container's id") is None
    assert meter_inside(2**22 + 1, 2, "no container's id") is None
