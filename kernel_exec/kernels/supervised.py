"""What the provisioners of all kinds of kernels have in common: a process beside the host that leaves nothing behind.

They work below jupyter_client's managers as well (JupyterLab, nbclient, papermill).
"""

from __future__ import annotations

import os
import signal
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import zmq
from jupyter_client.connect import KernelConnectionInfo, write_connection_file
from jupyter_client.provisioning import KernelProvisionerBase  # type: ignore[attr-defined]

from kernel_exec.kernels.death import Death, Usage, death_of, exit_code
from kernel_exec.kernels.link import Role, SupervisorLink
from kernel_exec.kernels.modes import BARE
from kernel_exec.kernels.specs import kernel_command
from kernel_exec.settings import Limits

LAUNCHER = Path(__file__).parent.parent / "inkernel" / "launcher.py"
OPTIONS = {
    # The file of IPython's history is the user's own, where a program has no business, nor many kernels at once.
    "--HistoryManager.hist_file": ":memory:",
    # Beside a cell that computes, the first completion of jedi takes more than four seconds.
    "--IPCompleter.use_jedi": "False",
}
"""Settings of IPython for kernels that no manager has started, unless the kernelspec has others."""

LEAN = {"MIMALLOC_ARENA_RESERVE": "0"}  # pyarrow: 1 GiB at once
"""Variables for libraries that reserve much more than they use, where what is reserved counts."""

_PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


class SupervisedProvisioner(KernelProvisionerBase):
    """Starts kernels below a process that leaves nothing of them behind: a supervisor, or the keeper of a container.

    The order of the calls is jupyter_client's: `pre_launch`, `launch_kernel`, ..., `cleanup`; after
    `cleanup(restart=True)` another round on the same object, in the same runtime directory.
    """

    role: ClassVar[Role] = "supervisor"
    """What kind of process that is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.link: SupervisorLink | None = None
        self.extra_env: Mapping[str, str] = {}
        """Variables that are ours, and win."""
        self.asked_env: Mapping[str, str] = {}
        """Variables that the caller has set for this kernel."""
        self.mode = BARE
        self.limits = Limits()
        self.expires: float | None = None
        """The second since 1970 after which nobody wants the kernel any more, where that is known."""
        self.cleanup_paths: list[Path] = []
        self.own_paths: Sequence[Path] = ()
        """The recording, and what belongs to it: no kernel needs them."""
        self.launches_ours = False
        """Whether the command of the last launch starts ipykernel through our launcher."""
        self._given: set[str] = set()
        """The addresses and files that a manager has from here."""
        self._cwd = os.curdir
        self._reaped = True

    @property
    def environment(self) -> dict[str, Any]:
        """What is known of where the kernel runs, for the recording; once `prepare` is done."""
        return {"kernel": "host"}

    @property
    def has_process(self) -> bool:
        """Whether a kernel was launched whose end nobody has waited for."""
        return not self._reaped

    async def prepare(self) -> None:
        """Do what may take minutes before the first start, such as making an image.

        Raises:
            KernelStartError: it cannot be done.
        """

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel; return its connection info.

        Raises:
            KernelStartError: it cannot be executed, or its directory cannot be entered.
        """
        self._cwd = absolute(kwargs.get("cwd") or os.curdir)
        await self._launch(cmd, kwargs["env"])
        self._reaped = False
        return self.connection_info

    @abstractmethod
    async def _launch(self, command: list[str], env: dict[str, str]) -> None:
        """Start the kernel."""

    @abstractmethod
    def begin_cell(self) -> None:
        """A cell begins: what the kernel uses is counted from now on."""

    async def bring_in(self) -> None:
        """Let the kernel see what has changed in the work directory, where that takes anything.

        Raises:
            KernelStartError: it cannot be done.
        """

    async def bring_home(self) -> Sequence[str]:
        """Let the host see what the kernel has written; return what it does not see of that, and why."""
        return ()

    @abstractmethod
    async def cell_usage(self) -> Usage | None:
        """Return what the kernel has used since then; None when that is not known."""

    def death(self) -> Death:
        """Return how the kernel ended; it has."""
        assert self.link is not None
        return death_of(self.link.status)

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

    def add_cleanup(self, path: Path) -> None:
        """Have `path` removed when this process ends without cleaning up."""
        self.cleanup_paths.append(path)
        if self.link is not None:
            self.link.send(_cleanup(path))

    async def _opened(self) -> SupervisorLink:
        """The supervisor: the one there is, or a new one."""
        if self.link is None or self.link.gone:
            if self.link is not None:
                await self.stop(0)  # what a supervisor that was killed has left
            self.link = SupervisorLink.spawn(self.role)
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


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path that does not depend on the current directory, with `~` filled in."""
    return os.path.abspath(os.path.expanduser(path))
