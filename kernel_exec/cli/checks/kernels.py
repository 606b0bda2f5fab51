"""Kernels: one is started and used; of the installed ones it is told what they would start."""

from __future__ import annotations

import shutil
import time

from kernel_exec.cli.checks.finding import Finding
from kernel_exec.errors import KernelExecError
from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.specs import find_kernel_spec, installed_kernels, kernel_command, with_launcher
from kernel_exec.kernels.supervised import LAUNCHER
from kernel_exec.sync import Executor

NATIVE = "python3"
_INSTALL = "python -m pip install ipykernel && python -m ipykernel install --user"


def python_kernel() -> list[Finding]:
    """Start a kernel, and have it compute something."""
    name = f"kernel {NATIVE}"
    start = time.monotonic()
    try:
        with Executor(HostKernel(kernel_name=NATIVE), notebook=False) as executor:
            result = executor.execute("1 + 1")
    except KernelExecError as error:
        return [Finding(name, "failed", str(error), f"install one that works: {_INSTALL}")]
    seconds = time.monotonic() - start
    if result.text != "2":
        return [Finding(name, "failed", f"1 + 1 gave {result!r}", f"install one that works: {_INSTALL}")]
    return [Finding(name, "ok", f"started, computed 1 + 1 and ended in {seconds:.2f} s")]


def specs() -> list[Finding]:
    """Look at each installed kernelspec."""
    return [_spec(name) for name in sorted({NATIVE, *installed_kernels()})]


def _spec(name: str) -> Finding:
    title = f"kernelspec {name}"
    try:
        spec = find_kernel_spec(name)
        command = kernel_command(spec, "connection.json")
        language, program = spec.language or "no language named", shutil.which(command[0])
    except KernelExecError as error:
        return Finding(title, "warning", str(error), f"jupyter kernelspec remove {name}")
    except Exception as error:  # whatever a file that somebody wrote by hand makes of those who read it
        detail = f"it cannot be used: {type(error).__name__}: {error}"
        return Finding(title, "warning", detail, f"mend its kernel.json, or: jupyter kernelspec remove {name}")
    if program is None:
        remedy = f"install it, or remove the kernelspec: jupyter kernelspec remove {name}"
        return Finding(title, "warning", f"{language}; its command {command[0]!r} does not exist", remedy)
    how = "through our launcher" if with_launcher(command, LAUNCHER) else "as it is, without our launcher"
    return Finding(title, "ok", f"{language}, {program}, started {how}")
