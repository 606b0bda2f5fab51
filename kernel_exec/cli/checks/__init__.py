"""What `kernel-exec doctor` looks at: a module for each part of the machine, a function for each check."""

from __future__ import annotations

from collections.abc import Sequence

from kernel_exec.cli.checks.engine import engine
from kernel_exec.cli.checks.extras import extras, versions
from kernel_exec.cli.checks.finding import Check
from kernel_exec.cli.checks.fonts import fonts
from kernel_exec.cli.checks.kernels import python_kernel, specs
from kernel_exec.cli.checks.machine import browser, disk, linux, watches
from kernel_exec.cli.checks.screen import pictures

CHECKS: Sequence[Check] = (
    Check("python", versions, needed=True),
    Check("linux", linux, needed=True),
    Check("kernel python3", python_kernel, needed=True, seconds=20.0),
    Check("kernelspecs", specs),
    Check("container engine", engine, seconds=5.0),
    Check("fonts", fonts, seconds=20.0),
    Check("terminal pictures", pictures),
    Check("browser", browser),
    Check("extras", extras),
    Check("disk", disk),
    Check("file watches", watches),
)
"""In the order in which they are told. They run side by side."""
