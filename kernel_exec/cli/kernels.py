"""The kernel that the command line asks for."""

from __future__ import annotations

from kernel_exec.cli.notebook_arguments import KernelChoice
from kernel_exec.kernels.docker import DockerKernel
from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.kinds import KernelSettings


def chosen(choice: KernelChoice) -> KernelSettings | None:
    """Return the kernel's settings; None where that is left to the notebook.

    Raises:
        InvalidArgument: there can be no such kernel.
    """
    if choice.image is not None:
        return DockerKernel(image=choice.image) if choice.image else DockerKernel()
    return None if choice.name is None else HostKernel(kernel_name=choice.name)
