"""Kernels on this machine: how they are set up, and the provisioner that starts them.

The entry point of the provisioner is `kernel-exec-host`. A kernel on the host is no sandbox: its code may do what its
user may do.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from traitlets import List, Unicode

from kernel_exec.errors import InvalidArgument, WrongType
from kernel_exec.kernels.death import Death, Usage, megabytes
from kernel_exec.kernels.environment import kernel_environment, substituted
from kernel_exec.kernels.link import marker
from kernel_exec.kernels.meter import Meter
from kernel_exec.kernels.plain import Plain
from kernel_exec.kernels.specs import with_launcher
from kernel_exec.kernels.supervised import LAUNCHER, LEAN, OPTIONS, SupervisedProvisioner, absolute
from kernel_exec.settings import Limits, check_variable

NEARLY = 0.75
"""The part of the limit beyond which a crash is taken for one for lack of memory."""

_REFUSED = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})
"""How code ends that does not expect to be refused memory."""
_BAD_ALLOC = "bad_alloc"


@dataclass(frozen=True, kw_only=True)
class HostKernel(Plain):
    """A kernel on this machine.

    Attributes:
        kernel_name: the kernelspec to start; any installed one works, not only Python.
        env: variables for the kernel. Of the host's own it sees only those that are known to be harmless.

    Raises:
        InvalidArgument, WrongType: one of them cannot work.
    """

    kernel_name: str = "python3"
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.kernel_name, str):
            raise WrongType(f"kernel_name must be a string, not {type(self.kernel_name).__name__}")
        if not self.kernel_name:
            raise InvalidArgument("kernel_name must not be empty; `jupyter kernelspec list` shows what is installed")
        if not isinstance(self.env, Mapping):
            raise WrongType(f"env must be a mapping of names to values, not {type(self.env).__name__}")
        for name, value in self.env.items():
            check_variable(name, value)
        object.__setattr__(self, "env", MappingProxyType(dict(self.env)))


def check_limits(limits: Limits) -> None:
    """Refuse limits that nobody can hold a kernel on the host to.

    Raises:
        InvalidArgument: one of them cannot be enforced here.
    """
    for name, what in (("pids", "processes and threads"), ("disk", "bytes on disk")):
        if getattr(limits, name) is not None:
            raise InvalidArgument(
                f"limits.{name} cannot be enforced: the system counts {what} by user, not by kernel, when it runs on "
                f"the host; leave it out, or run the kernel in a container"
            )
    if limits.processors is not None:
        _check_processors(limits.processors)


def _check_processors(cpus: float) -> None:
    there = len(os.sched_getaffinity(0))
    if cpus != int(cpus):
        raise InvalidArgument(
            f"limits.cpus cannot be {cpus:g}: a kernel on the host is given whole processors; name a whole number, or "
            f"run the kernel in a container"
        )
    if cpus > there:
        raise InvalidArgument(
            f"limits.cpus is {cpus:g}, but this process has {there}: name at most that, or leave it out"
        )


class HostProvisioner(SupervisedProvisioner):
    """Starts kernels on this machine."""

    pass_environment = List(
        Unicode(),
        help="Names (with wildcards) of further variables of the host that kernels may see; KERNEL_EXEC_PASS_ENV "
        "holds them as well, separated by commas.",
    ).tag(config=True)

    def _pass_environment_default(self) -> list[str]:
        return [name for name in os.environ.get("KERNEL_EXEC_PASS_ENV", "").split(",") if name]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._meter: tuple[int, Meter] | None = None  # of the kernel with that process id

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Make the runtime directory and decide command, connection and environment.

        Raises:
            KernelStartError: the supervisor cannot start, or has no place for its directory.
        """
        link = await self._opened()
        assert link.directory is not None
        if self.parent is None:
            command = self._connect(link.directory)
        else:
            command = self._connect_manager(self.parent, link, kwargs)
        ours = with_launcher(command, LAUNCHER)
        if self.parent is None:
            ours = self.mode.command(ours, OPTIONS)
        self.launches_ours = ours is not None
        given = kwargs.pop("env", None)
        path = substituted(self.kernel_spec.env).get("PYTHONPATH") or (given or os.environ).get("PYTHONPATH", "")
        cpus = self.limits.processors or len(os.sched_getaffinity(0))
        asked = self.mode.environment(absolute(kwargs.get("cwd") or os.curdir), cpus, self.asked_env, path)
        env = kernel_environment(
            command,
            given=given,
            spec=self.kernel_spec.env,
            extra={**self._lean_env(), **asked, **self.extra_env, **marker(link.directory)},
            passed=self.pass_environment,
        )
        self._finalize_env(env)
        return {**kwargs, "cmd": ours or command, "env": env}

    async def _launch(self, command: list[str], env: dict[str, str]) -> None:
        assert self.link is not None
        cpus = None
        if self.limits.processors is not None:
            # Each kernel its own ones, as far as there are enough: not all of them the first.
            cpus = random.sample(sorted(os.sched_getaffinity(0)), int(self.limits.processors))
        memory = self.limits.memory_bytes
        await self.link.launch(command, env, self._cwd, ours=self.launches_ours, memory=memory, soft=memory, cpus=cpus)

    def begin_cell(self) -> None:
        """A cell begins: what the kernel uses is counted from now on, where the system can do that."""
        if self.link is None or not self.link.running:
            return
        if self._meter is None or self._meter[0] != self.link.pid:
            self._meter = self.link.pid, Meter(self.link.pid)
        self._meter[1].begin()
        if self.limits.memory_bytes is not None:
            self.link.forget_peak()

    async def cell_usage(self) -> Usage | None:
        """Return what the kernel has used since then; None when it has ended."""
        used = None if self._meter is None else self._meter[1].usage()
        if used is None or self.link is None or self.limits.memory_bytes is None:
            return used
        self.link.receive()
        return replace(used, peak_memory=max(used.peak_memory, self.link.peak))

    def death(self) -> Death:
        """Return how the kernel ended: of too little memory, or of something else."""
        assert self.link is not None
        death = super().death()
        limit = self.limits.memory_bytes
        if limit is None:
            return death
        held = f"{megabytes(self.link.peak)} were held, and limits.memory is {megabytes(limit)}"
        if self.link.outgrown:
            return Death(
                None, signal.SIGKILL, f"it and its processes went on holding too much memory ({held})", oom=True
            )
        if death.signal in _REFUSED and (self.link.peak > limit * NEARLY or _BAD_ALLOC in self.link.rest[1]):
            return replace(death, reason=f"{death.reason}, probably for lack of memory ({held})", oom=True)
        return death

    def resolve_path(self, path: str) -> str | None:
        """Return an existing path as seen from the kernel's directory."""
        resolved = Path(self._cwd, Path(path).expanduser()).resolve()
        return resolved.as_posix() if resolved.exists() else None

    def _lean_env(self) -> dict[str, str]:
        """Variables for libraries that reserve much more than they use, where what is reserved counts."""
        return {} if self.limits.memory_bytes is None else LEAN
