"""Kernels on this machine: how they are set up, and the provisioner that starts them.

The provisioner works below jupyter_client's managers as well (JupyterLab, nbclient, papermill): its entry point is
`kernel-exec-host`. A kernel on the host is no sandbox: its code may do what its user may do.
"""

from __future__ import annotations

import os
import random
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import zmq
from jupyter_client.connect import KernelConnectionInfo, write_connection_file
from jupyter_client.provisioning import KernelProvisionerBase  # type: ignore[attr-defined]
from traitlets import List, Unicode

from kernel_exec.errors import InvalidArgument, WrongType
from kernel_exec.kernels.environment import kernel_environment
from kernel_exec.kernels.link import SupervisorLink, marker
from kernel_exec.kernels.specs import kernel_command, with_launcher
from kernel_exec.settings import Limits

LAUNCHER = Path(__file__).parent.parent / "inkernel" / "launcher.py"
SHUTDOWN_GRACE = 0.5
"""Seconds that a kernel has to end by itself when nobody waits for it any more."""
OPTIONS = {
    # The file of IPython's history is the user's own, where a program has no business, nor many kernels at once.
    "--HistoryManager.hist_file": ":memory:",
    # Beside a cell that computes, the first completion of jedi takes more than four seconds.
    "--IPCompleter.use_jedi": "False",
}
"""Settings of IPython for kernels that no manager has started, unless the kernelspec has others."""

_PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


@dataclass(frozen=True, kw_only=True)
class HostKernel:
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
            _check_variable(name, value)
        object.__setattr__(self, "env", MappingProxyType(dict(self.env)))


def checked_kernel(kernel: HostKernel | None) -> HostKernel:
    """Return the kernel's settings, the default ones for None.

    Raises:
        WrongType: it is something else.
    """
    if kernel is None:
        return HostKernel()
    if not isinstance(kernel, HostKernel):
        raise WrongType(
            f"kernel must be a HostKernel or None, not {type(kernel).__name__}; HostKernel(kernel_name=...)"
        )
    return kernel


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
    if limits.cpus is not None:
        _check_processors(limits.cpus)


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


def _check_variable(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise WrongType(f"env must map strings to strings, but has {name!r}: {value!r}")
    if not name or "=" in name or "\0" in name + value:
        raise InvalidArgument(f"env cannot have the variable {name!r}: a name is not empty and has no '='; no nulls")


class HostProvisioner(KernelProvisionerBase):
    """Starts kernels below a supervisor process that leaves nothing of them behind.

    The order of the calls is jupyter_client's: `pre_launch`, `launch_kernel`, ..., `cleanup`; after
    `cleanup(restart=True)` another round on the same object, in the same runtime directory.
    """

    pass_environment = List(
        Unicode(),
        help="Names (with wildcards) of further variables of the host that kernels may see; KERNEL_EXEC_PASS_ENV "
        "holds them as well, separated by commas.",
    ).tag(config=True)

    def _pass_environment_default(self) -> list[str]:
        return [name for name in os.environ.get("KERNEL_EXEC_PASS_ENV", "").split(",") if name]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.link: SupervisorLink | None = None
        self.extra_env: Mapping[str, str] = {}
        self.limits = Limits()
        self.cleanup_paths: list[Path] = []
        self.launches_ours = False
        """Whether the command of the last launch starts ipykernel through our launcher."""
        self._given: set[str] = set()
        """The addresses and files that a manager has from here."""
        self._cwd = os.curdir
        self._reaped = True

    @property
    def has_process(self) -> bool:
        """Whether a kernel was launched whose end nobody has waited for."""
        return not self._reaped

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
        if ours is not None and self.parent is None:
            given = {part.partition("=")[0] for part in ours}
            ours += [f"{name}={value}" for name, value in OPTIONS.items() if name not in given]
        self.launches_ours = ours is not None
        env = kernel_environment(
            command,
            given=kwargs.pop("env", None),
            spec=self.kernel_spec.env,
            extra={**self._lean_env(), **self.extra_env, **marker(link.directory)},
            passed=self.pass_environment,
        )
        self._finalize_env(env)
        return {**kwargs, "cmd": ours or command, "env": env}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel; return its connection info.

        Raises:
            KernelStartError: it cannot be executed, or its directory cannot be entered.
        """
        assert self.link is not None
        self._cwd = _absolute(kwargs.get("cwd") or os.curdir)
        cpus = None
        if self.limits.cpus is not None:
            # Each kernel its own ones, as far as there are enough: not all of them the first.
            cpus = random.sample(sorted(os.sched_getaffinity(0)), int(self.limits.cpus))
        await self.link.launch(
            cmd, kwargs["env"], self._cwd, ours=self.launches_ours, memory=self.limits.memory, cpus=cpus
        )
        self._reaped = False
        return self.connection_info

    async def poll(self) -> int | None:
        """Return None while the kernel runs, then its exit code (negative for a signal)."""
        if self.link is None:
            return 0
        self.link.receive()
        return None if self.link.running else exit_code(self.link.status)

    async def wait(self) -> int | None:
        """Wait for the kernel's end; return its exit code."""
        if self.link is not None:
            await self.link.until(lambda: self.link is None or not self.link.running)
        self._reaped = True
        return await self.poll()

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group; nothing happens when it is dead."""
        if self.link is None:
            return
        if signum == 0:
            return
        if signum == signal.SIGKILL:
            await self.link.kill()
        else:
            await self.link.signal(signum)

    async def kill(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of jupyter_client
        """Kill the kernel and all that it started."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002
        """Ask the kernel to end."""
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002
        """Leave nothing behind; before a restart only no process."""
        if self.link is None:
            return
        if restart:
            await self.link.kill()
            await self.wait()
        else:
            await self.stop(0)

    async def stop(self, grace: float, *, release: bool = True) -> None:
        """End the kernel within `grace` seconds or kill it, and leave nothing behind.

        Without `release` the supervisor goes on looking after what is to be cleaned up.
        """
        if self.link is not None:
            try:
                await self.link.stop(grace)
                self._reaped = True
            finally:
                if release:
                    await self.link.release()

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Return what describes this kernel; it cannot be adopted by another process."""
        info = await super().get_provisioner_info()
        return {**info, "pid": self.link.pid if self.link else None}

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Seconds that a manager should wait for an orderly end."""
        return recommended

    def resolve_path(self, path: str) -> str | None:
        """Return an existing path as seen from the kernel's directory."""
        resolved = Path(self._cwd, Path(path).expanduser()).resolve()
        return resolved.as_posix() if resolved.exists() else None

    def add_cleanup(self, path: Path) -> None:
        """Have `path` removed when this process ends without cleaning up."""
        self.cleanup_paths.append(path)
        if self.link is not None:
            self.link.send(_cleanup(path))

    def _lean_env(self) -> dict[str, str]:
        """Variables for libraries that reserve much more than they use, where what is reserved counts."""
        return {} if self.limits.memory is None else {"MIMALLOC_ARENA_RESERVE": "0"}  # pyarrow: 1 GiB at once

    async def _opened(self) -> SupervisorLink:
        """The supervisor: the one there is, or a new one."""
        if self.link is None or self.link.gone:
            if self.link is not None:
                await self.stop(0)  # what a supervisor that was killed has left
            self.link = SupervisorLink.spawn()
            for path in self.cleanup_paths:
                self.link.send(_cleanup(path))
        try:
            await self.link.ready()
        except BaseException:
            await self.stop(0)
            raise
        return self.link

    def _connect(self, directory: Path) -> list[str]:
        """Write a connection file of our own; return the kernel's command."""
        file = str(directory / "connection.json")
        key = uuid.uuid4().hex.encode()
        _, info = write_connection_file(file, ip=str(directory / "k"), transport="ipc", key=key)
        self.connection_info = {**info, "key": key}  # type: ignore[typeddict-item]
        return kernel_command(self.kernel_spec, file)

    def _connect_manager(self, manager: Any, link: SupervisorLink, kwargs: dict[str, Any]) -> list[str]:
        """Let the manager write its connection file; return the kernel's command.

        Its sockets, and its file, lie in the private directory, unless somebody chose where.
        """
        assert link.directory is not None
        chosen = any(getattr(manager, port) for port in _PORTS) or manager.ip not in {"", "127.0.0.1", "localhost"}
        # What an earlier launch gave lies in a directory that may have gone with its supervisor.
        if not chosen or manager.ip in self._given:
            manager.transport, manager.ip = "ipc", str(link.directory / "k")
            self._given.add(manager.ip)
        if not manager.connection_file or manager.connection_file in self._given:
            manager.connection_file = str(link.directory / "connection.json")
            self._given.add(manager.connection_file)
        else:
            self.add_cleanup(Path(manager.connection_file))
        if kwargs.pop("transport_encryption", None) == "required" and manager.curve_publickey is None:
            manager.curve_publickey, manager.curve_secretkey = zmq.curve_keypair()
        session = (kwargs.get("env") or {}).get("JPY_SESSION_NAME", "")
        manager.write_connection_file(jupyter_session=session)
        self.connection_info = manager.get_connection_info()
        return list(manager.format_kernel_cmd(extra_arguments=kwargs.pop("extra_arguments", [])))


def _cleanup(path: Path) -> dict[str, str]:
    """The command to remove a path. It names no link on the way: one that is there later is not followed."""
    return {"cleanup": os.path.join(os.path.realpath(path.parent), path.name)}


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(path)


def exit_code(status: int | None) -> int:
    """Return the exit code of a wait status; that of a killed process when nobody saw its end."""
    return -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
