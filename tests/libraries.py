"""Libraries that the image of kernels in containers lacks."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

from kernel_exec import HostKernel
from kernel_exec.kernels.kinds import KernelSettings

PLACE = "/mnt/libraries"


def with_libraries(kernel: KernelSettings, *names: str) -> KernelSettings:
    """Return the kernel with packages that are installed here, where the image's Python is of the same version."""
    if isinstance(kernel, HostKernel):
        return kernel
    mounts = {}
    for name in names:
        spec = find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        mounts[Path(spec.origin).parent] = f"{PLACE}/{name}"
    return dataclasses.replace(kernel, mounts=mounts, env={**kernel.env, "PYTHONPATH": PLACE})
