"""The kinds of kernels: what each is set up with, and what starts it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

from jupyter_client.kernelspec import KernelSpec

from kernel_exec.errors import UnknownKernel, WrongType
from kernel_exec.kernels import docker, host
from kernel_exec.kernels.docker import DockerKernel, DockerProvisioner
from kernel_exec.kernels.host import HostKernel, HostProvisioner
from kernel_exec.kernels.modes import STANDARD, Mode
from kernel_exec.kernels.specs import find_kernel_spec
from kernel_exec.kernels.supervised import SupervisedProvisioner
from kernel_exec.settings import Limits

KernelSettings = HostKernel | DockerKernel


def checked_kernel(kernel: KernelSettings | None) -> KernelSettings:
    """Return the kernel's settings, the default ones for None.

    Raises:
        WrongType: it is something else.
    """
    if kernel is None:
        return HostKernel()
    if not isinstance(kernel, KernelSettings):
        raise WrongType(
            f"kernel must be a HostKernel, a DockerKernel or None, not {type(kernel).__name__}; "
            f"HostKernel(kernel_name=...)"
        )
    return kernel


def check_limits(kernel: KernelSettings, limits: Limits) -> None:
    """Refuse limits that nobody can hold such a kernel to.

    Raises:
        InvalidArgument: one of them cannot be enforced.
    """
    if isinstance(kernel, HostKernel):  # a container can be held to all of them
        host.check_limits(limits)


def language_of(kernel: KernelSettings) -> str:
    """Return the language of such a kernel.

    Raises:
        UnknownKernel: there is no such kernelspec.
    """
    return "python" if isinstance(kernel, DockerKernel) else find_kernel_spec(kernel.kernel_name).language


def _of_spec(name: str, spec: KernelSpec) -> Callable[..., SupervisedProvisioner]:
    """Return what makes the provisioner of an installed kernel: one that is meant for a container starts in no other.

    Raises:
        UnknownKernel: it wants to be started by a provisioner of others.
    """
    said = spec.metadata.get("kernel_provisioner")
    wanted = said if isinstance(said, dict) else {}  # as jupyter_client has it
    match wanted.get("provisioner_name"):
        case None | "local-provisioner" | "kernel-exec-host":
            return HostProvisioner
        case "kernel-exec-docker":
            return partial(DockerProvisioner, **wanted.get("config") or {})
        case other:
            raise UnknownKernel(f"the kernel {name!r} is started by the provisioner {other!r}, which is none of ours")


def provisioner_for(kernel: KernelSettings, limits: Limits, mode: Mode = STANDARD) -> SupervisedProvisioner:
    """Return what starts such a kernel.

    Raises:
        UnknownKernel: there is no such kernelspec, or others start it.
        InvalidArgument, WrongType: it is meant for a container that cannot be.
    """
    kernel_id = str(uuid.uuid4())
    provisioner: SupervisedProvisioner
    if isinstance(kernel, DockerKernel):
        spec = docker.kernel_spec(kernel)
        provisioner = DockerProvisioner(settings=kernel, kernel_id=kernel_id, kernel_spec=spec, parent=None)
    else:
        spec = find_kernel_spec(kernel.kernel_name)
        provisioner = _of_spec(kernel.kernel_name, spec)(kernel_id=kernel_id, kernel_spec=spec, parent=None)
    sizes = f"{limits.output_bytes},{limits.image_bytes},{limits.artifact_bytes}"
    provisioner.asked_env, provisioner.extra_env = kernel.env, {"KERNEL_EXEC_OUTPUT_LIMITS": sizes}
    provisioner.mode = mode
    provisioner.limits = limits
    return provisioner
