"""Kernels in containers: how they are set up, and the provisioner that starts them.

The entry point of the provisioner is `kernel-exec-docker`. The box is closed: what is not granted here is not there.
Its kernel answers on sockets in a directory of the host that only the caller can enter; the first process of the
container (`inkernel/box.py`) starts and ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jupyter_client.kernelspec import KernelSpec

from kernel_exec.errors import EngineError, EngineUnavailable, InvalidArgument, KernelStartError, WrongType
from kernel_exec.kernels.allowed import PROXY_PORT, checked_network, engine_network, targets
from kernel_exec.kernels.container import CODE, DEFAULT_IMAGE, RUNTIME, bind, container_name, create_request, explained
from kernel_exec.kernels.death import Death, Usage, death_of, megabytes
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.environment import substituted
from kernel_exec.kernels.events import Created, Refused
from kernel_exec.kernels.far import DISK, about_far, far_request, refuse_ours, sees_our_files
from kernel_exec.kernels.leftovers import labels, sweep
from kernel_exec.kernels.link import marker
from kernel_exec.kernels.meter import Meter, meter_inside
from kernel_exec.kernels.plain import Plain
from kernel_exec.kernels.points import make_point
from kernel_exec.kernels.specs import with_launcher
from kernel_exec.kernels.supervised import LAUNCHER, LEAN, OPTIONS, SupervisedProvisioner, absolute
from kernel_exec.settings import Limits, PathLike, check_variable, checked_size

if TYPE_CHECKING:
    from kernel_exec.kernels.images.prepared import PreparedImage

STARTING = 30.0
"""Seconds that the engine may take to make or start a container."""
USERS = range(2_000_000_000, 2_100_000_000)
"""Numbers of which one is the user inside, when the caller is root: no user of any machine has such a one."""
SOFT = 1 / 8
"""The part of the memory that is kept back from the kernel, so that it is refused more before it is killed."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_MAY_BE_NONE = frozenset({"user", "runtime", "platform"})
_PLATFORM = re.compile(r"linux/[a-z0-9]+(/v\d+)?")
_USER = re.compile(r"(\d+)(?::(\d+))?")


@dataclass(frozen=True, kw_only=True)
class DockerKernel(Plain):
    """A Python kernel in a container: no network, no capabilities, no files but its work directory.

    Attributes:
        image: name of an image with Python 3.10 or later. What it lacks, ipykernel or a requirement, gets it in another
            one that is made on it, once.
        requirements: what the image must have beside it, such as "pandas>=2".
        wheels: a folder that has all of that as wheels; None to have pip get it.
        platform: what the image must be for, such as "linux/arm64"; None for whatever the engine can run.
        workdir: the work directory as the kernel sees it; the executor's `workdir` is mounted there.
        name: of the container; `{uuid}` and `{user}` are filled in.
        auto_remove: whether the container goes when it has ended; otherwise it stays, stopped.
        network: "none", "bridge", or the name of a network of the engine. With one, the kernel reaches whatever listens
            there, the host included. Or a list of hosts that it may reach: "pypi.org" (ports 443 and 80),
            "api.example.com:8443", "*.example.org" (sub-domains), or an address. Then the container has no network, and
            the only way out is a proxy on this machine, which its variables (HTTPS_PROXY, ...) name; a name that leads
            to no public address is refused, unless it is "localhost": this machine. Needs an engine on this machine,
            and a runtime that shares its system's kernel: others cannot hand out sockets.
        ports: ports of the container, and the port of the host's loopback address each is published at (None for
            any); that of the engine's machine, where it is another one. Needs a network.
        mounts: files and directories of the host, and where they are inside; read-only, unless ":rw" follows.
        env: variables for the kernel. It sees none of the host's.
        memory: bytes (or such as "2g") that everything inside may hold; `Limits.memory` wins.
        cpus: processors (or such as "1.5") that it may use at a time; `Limits.cpus` wins.
        pids: processes and threads that there may be; `Limits.pids` wins.
        user: "UID" or "UID:GID" inside; None for the caller's own, and for one that nobody else has when the caller
            is root. Who is not root can be another one with `disk` only.
        read_only: whether the file system of the image can be read only.
        tmpfs: bytes (or such as "64m") of /tmp, which is in memory.
        disk: bytes (or such as "2g") that the work directory may hold inside; `Limits.disk` wins. With it, or with an
            engine that does not see this machine's files, the work directory inside is in memory, which the container
            may use so much more of; files are brought in before a cell and fetched after it. None for no limit, and
            for 1 GiB with such an engine.
        gpus: how many graphics processors it sees, "all" for each; None for none.
        runtime: the engine's runtime, such as "runsc"; None for its default.
        labels: of the container, beside ours.

    Raises:
        InvalidArgument, WrongType: one of them cannot work.
    """

    image: str = DEFAULT_IMAGE
    requirements: Sequence[str] = ()
    wheels: PathLike | None = None
    platform: str | None = None
    workdir: str = "/workspace"
    name: str = "kernel-exec-{user}-{uuid}"
    auto_remove: bool = True
    network: str | Sequence[str] = "none"
    ports: Mapping[int, int | None] = field(default_factory=dict)
    mounts: Mapping[PathLike, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    memory: int | str = 2048 * 2**20
    cpus: float | str = float(min(2, os.cpu_count() or 1))
    pids: int = 256
    user: str | None = None
    read_only: bool = True
    tmpfs: int | str = 256 * 2**20
    disk: int | str | None = None
    gpus: int | Literal["all"] | None = None
    runtime: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    kernel_name: ClassVar[str] = "python3"

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", checked_network(self.network))
        for name in ("image", "workdir", "name", "user", "runtime", "platform"):
            if getattr(self, name) is not None or name not in _MAY_BE_NONE:
                _check_text(name, getattr(self, name))
        for name in ("auto_remove", "read_only"):
            if not isinstance(getattr(self, name), bool):
                raise WrongType(f"{name} must be True or False, not {getattr(self, name)!r}")
        for name in ("env", "labels", "mounts", "ports"):
            if not isinstance(getattr(self, name), Mapping):
                raise WrongType(f"{name} must be a mapping, not {type(getattr(self, name)).__name__}")
        for name in ("memory", "tmpfs", *(("disk",) if self.disk is not None else ())):
            object.__setattr__(self, name, checked_size(name, getattr(self, name)))
        for name, value in self.env.items():
            check_variable(name, value)
        _check_labels(self.labels)
        for name in ("env", "labels", "mounts", "ports"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if self.requirements != () or self.wheels is not None:
            from kernel_exec.kernels.images.wheels import checked_folder, normalized

            object.__setattr__(self, "requirements", normalized(self.requirements))
            object.__setattr__(self, "wheels", self.wheels and checked_folder(self.wheels))
        if self.platform and not _PLATFORM.fullmatch(self.platform):
            raise InvalidArgument(f"platform must be such as 'linux/amd64' or 'linux/arm64', not {self.platform!r}")
        _check_place("workdir", self.workdir)
        _check_name(self.name)
        _check_ports(self.ports, engine_network(self.network))
        if self.user is not None and not _USER.fullmatch(self.user):
            raise InvalidArgument(f"user must be 'UID' or 'UID:GID' in numbers, not {self.user!r}")
        Limits(memory=self.memory, cpus=self.cpus, pids=self.pids)  # refuses what cannot work
        _check_mounts(self.mounts, self.workdir)
        _check_gpus(self.gpus)


def kernel_spec(kernel: DockerKernel) -> KernelSpec:
    """Return the kernelspec of the kernel in such a container."""
    command = ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return KernelSpec(argv=command, display_name=f"Python 3 ({kernel.image})", language="python")


class DockerProvisioner(SupervisedProvisioner):
    """Starts kernels in containers, each in one of its own.

    Args:
        settings: what kind of container. Where jupyter_client makes this object, the kernelspec's
            `metadata.kernel_provisioner.config` holds the attributes of `DockerKernel` instead.
    """

    role = "keeper"

    def __init__(self, settings: DockerKernel | None = None, **kwargs: Any) -> None:
        given = {field.name: kwargs.pop(field.name) for field in fields(DockerKernel) if field.name in kwargs}
        _check_known(kwargs.keys() - set(self.class_trait_names()))
        super().__init__(**kwargs)
        self.settings = settings or DockerKernel(**_from_json(given))
        self.container = ""
        """The name of the container; empty before there is one."""
        self._engine: Engine | None = None
        self._image: PreparedImage | None = None
        self._meter: Meter | None = None
        self._gate: Path | None = None
        """The socket of the container's way out, where it has one."""
        self._near = True
        """Whether the engine sees this machine's files."""

    @property
    def environment(self) -> dict[str, Any]:
        """The image, by the name that was asked for, and by what changes with its content."""
        image = {"name": self.settings.image, "id": self._image.id if self._image else ""}
        return {"kernel": "docker", "image": image}

    async def prepare(self) -> None:
        """Find the engine, and the image, which is made where it lacks something.

        Raises:
            EngineUnavailable, EngineError, ImageError: there is none.
        """
        from kernel_exec.kernels.images.prepared import prepare

        self._engine = Engine.find()
        _, self._near = await asyncio.gather(sweep(self._engine), sees_our_files(self._engine))
        settings = self.settings
        self._image = await prepare(
            self._engine,
            settings.image,
            settings.requirements,
            wheels=settings.wheels,
            platform=settings.platform,
        )

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Make the runtime directory and decide command and connection.

        Raises:
            KernelStartError: there is no engine or no image; the keeper cannot start, or has no place for its files.
        """
        if self._image is None:
            await self.prepare()
        assert self._image is not None
        link = await self._opened()
        assert link.directory is not None
        if self.parent is None:
            command = self._connect(link.directory)
        else:
            command = self._connect_manager(self.parent, link, kwargs)
        try:
            command = self._command_inside(command, link.directory)
        except KernelStartError:
            await self.stop(0)
            raise
        self._write_inner_connection(link.directory)
        if self.parent is None:
            command = self.mode.command(command, OPTIONS) or command
        self.launches_ours = True
        asked = self._asked_env(kwargs.pop("env", None))
        cpus = self.limits.processors or float(self.settings.cpus)
        asked = self.mode.environment(self.settings.workdir, cpus, {**asked, **self.asked_env}, "")
        env = {**LEAN, **asked, **self.extra_env, **marker(Path(RUNTIME))}
        return {**kwargs, "cmd": command, "env": env}

    def _command_inside(self, command: list[str], directory: Path) -> list[str]:
        """The command of the kernel as it is inside.

        Raises:
            KernelStartError: it is none that could work there.
        """
        assert self._image is not None
        if self.connection_info["ip"] != str(directory / "k"):
            raise KernelStartError(
                "a kernel in a container answers on sockets in a private directory only: leave transport, ip and ports "
                "to it"
            )
        ours = with_launcher(command, Path(CODE / LAUNCHER.name))
        if ours is None:
            raise KernelStartError(
                f"a kernel in a container is one of Python: argv in its kernelspec must be such as "
                f"python -m ipykernel_launcher -f {{connection_file}}, not {' '.join(command)!r}"
            )
        outside = self.parent.connection_file if self.parent else str(directory / "connection.json")
        arguments = [part.replace(outside, str(RUNTIME / "inside.json")) for part in ours[1:]]
        return [self._image.python.executable, *arguments]

    def _asked_env(self, given: Mapping[str, str] | None) -> dict[str, str]:
        """Variables of the kernelspec, and those that a manager was given; not what the host has as well."""
        new = {name: value for name, value in (given or {}).items() if name not in os.environ}
        return {**substituted(self.kernel_spec.env), **self.settings.env, **new}

    async def _launch(self, command: list[str], env: dict[str, str]) -> None:
        assert self.link is not None
        assert self._engine is not None
        self.container = container_name(self.settings.name)
        try:
            allowed = targets(self.settings.network)
            self._gate = await self.link.allow(allowed) if allowed else None
            number = await self._create()
            await self.link.attach()
            await self._start(number)
        except BaseException:
            self.link.send({"discard": None})
            raise
        finally:
            self.link.send({"unmount": None})
        if self._gate is not None:
            await self.link.open_gate(RUNTIME / self._gate.name, PROXY_PORT)
        await self.bring_in()
        memory = self._memory
        await self.link.launch(
            command, env, self.settings.workdir, ours=True, memory=memory, soft=int(memory * (1 - SOFT))
        )
        # The way through the container's first process takes a sixth of a short call.
        self._meter = await self._seen_from_here(number) if self._near else None

    async def _seen_from_here(self, number: str) -> Meter | None:
        """The meter of the kernel, where this process sees those of the container."""
        assert self._engine is not None
        assert self.link is not None
        try:
            about = await self._engine.ask("GET", f"/containers/{number}/json")
            return meter_inside(int(about["State"]["Pid"]), self.link.pid, number)
        except (EngineError, EngineUnavailable, KeyError, TypeError, ValueError):  # it has ended meanwhile
            return None

    def begin_cell(self) -> None:
        """A cell begins: what the kernel uses is counted from now on."""
        if self.link is None:
            return
        self.link.forget_peak()
        if self._meter is not None:
            self._meter.begin()
        else:
            self.link.send({"cell": True})

    async def bring_in(self) -> None:
        """Bring what has changed in the work directory into the container, where it has one of its own.

        Raises:
            KernelStartError: there is no room for it.
        """
        if self._disk is None or self.link is None:
            return
        moved = await self.link.push()
        if moved.trouble:
            raise KernelStartError(
                f"the work directory {self._cwd} cannot be copied into the container ({moved.trouble}): delete what is "
                f"not needed there, or raise disk"
            )

    async def bring_home(self) -> Sequence[str]:
        """Fetch what has changed in the container's work directory; return what was left out, or denied, and why."""
        if self.link is None:
            return ()
        notes = () if self._disk is None else (await self.link.fetch()).notes
        return notes + self.link.news_of_denied()

    async def cell_usage(self) -> Usage | None:
        """Return what the kernel has used since then; None when it has ended."""
        if self.link is None:
            return None
        if self._meter is None:
            return await self.link.usage()
        used = self._meter.usage()
        return used and replace(used, peak_memory=max(used.peak_memory, self.link.peak))

    def death(self) -> Death:
        """Return how the kernel, or the whole container, ended, and where what stays of it is."""
        death = self._death()
        if (
            self.settings.auto_remove
            or self.link is None
            or (self.link.about_end.container or {}).get("Answered") == 404
        ):
            return death
        return replace(death, reason=f"{death.reason}; its container {self.container} stays, stopped")

    def _death(self) -> Death:
        assert self.link is not None
        about = self.link.about_end
        if self.link.outgrown:
            reason = f"it and its processes went on holding too much memory ({self._held(self.link.peak)})"
            return Death(None, signal.SIGKILL, reason, oom=True)
        if about.container is not None:
            return self._death_of_container(about.container)
        death = death_of(self.link.status)
        if about.terminated:
            reason = f"its container {self.container} was asked from outside to end (signal {about.terminated})"
            return replace(death, reason=reason)
        if about.oom and death.signal == signal.SIGKILL:
            return replace(death, reason=f"it was killed for lack of memory ({self._held(about.held)})", oom=True)
        hints = []
        if about.pids:
            hints.append(f"forks had been refused: {self._pids} processes and threads were there, the limit")
        if about.full:
            hints.append(f"no byte was free in {', '.join(about.full)}")
        return replace(death, reason="; ".join((death.reason, *hints)))

    def _held(self, most: int) -> str:
        assert self.link is not None
        peak = max(self.link.peak, min(most, self._memory))  # `peak` is that of the processes, without files in memory
        return f"{megabytes(peak)} were held, and the limit is {megabytes(self._memory)}"

    def _death_of_container(self, state: Mapping[str, Any]) -> Death:
        name = f"its container {self.container}"
        code = state.get("ExitCode")
        if state.get("OOMKilled"):
            held = self._held(self._memory)  # all there was, or the system would not have killed
            reason = f"{name} was killed for lack of memory ({held})"
            return Death(None, signal.SIGKILL, reason, oom=True)
        if state.get("Paused"):
            paused = f"{name} was paused from outside"
            return Death(None, signal.SIGKILL, f"{paused}, and killed at the deadline", hindered=paused)
        match state.get("Answered"):
            case 0:
                return Death(None, signal.SIGKILL, f"the container engine has gone, and {name} with it")
            case 404:
                return Death(None, signal.SIGKILL, f"{name} was removed from outside")
        if isinstance(code, int) and code > 128:
            ended = "killed or removed" if code - 128 == signal.SIGKILL else "ended"  # both look the same by then
            return Death(None, code - 128, f"{name} was {ended} from outside (signal {code - 128})")
        return Death(code if isinstance(code, int) else None, None, f"{name} exited with status {code}")

    @property
    def _memory(self) -> int:
        return self.limits.memory_bytes or checked_size("memory", self.settings.memory)

    @property
    def _disk(self) -> int | None:
        """Bytes of the container's own work directory; None where it works in the host's."""
        chosen = self.limits.disk or self.settings.disk
        if chosen is not None:
            return checked_size("disk", chosen)
        return None if self._near else DISK

    @property
    def _pids(self) -> int:
        return self.limits.pids or self.settings.pids

    def _write_inner_connection(self, directory: Path) -> None:
        """Write the connection file once more, with the addresses as they are inside."""
        info = dict(self.connection_info)
        key = info["key"]
        info["key"] = key.decode() if isinstance(key, bytes) else key
        info["ip"] = str(RUNTIME / "k")
        path = directory / "inside.json"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            json.dump(info, file)

    async def _create(self) -> str:
        """Have the container made; return its id."""
        assert self.link is not None
        assert self._engine is not None
        request = await self._request()
        keep = not self.settings.auto_remove
        far = None
        if self._disk is not None:
            limit = self.limits.artifact_bytes
            far = about_far(self.connection_info, self._cwd, own=self._own(), disk=self._disk, limit=limit)
        answer = await self.link.create(
            self._engine.address, self.container, request, keep=keep, timeout=STARTING, far=far
        )
        match answer:
            case Created(number):
                return number
            case Refused(text, status) if status:
                raise explained(EngineError(text, status))
            case Refused(text, _):
                raise EngineUnavailable(f"the engine at {self._engine.url} does not answer ({text})")
        if self.link.gone:
            raise KernelStartError("the container could not be started: its keeper was killed")
        raise EngineUnavailable(f"the engine at {self._engine.url} made no container within {STARTING:g} s")

    async def _start(self, number: str) -> None:
        assert self._engine is not None
        try:
            await self._engine.ask("POST", f"/containers/{number}/start", timeout=STARTING)
        except EngineUnavailable:
            raise
        except EngineError as error:
            raise explained(error) from error

    async def _request(self) -> dict[str, Any]:
        """What the engine is asked to make."""
        assert self.link is not None
        assert self._engine is not None
        assert self.link.directory is not None
        assert self._image is not None
        settings = self.settings
        uid, gid = self._user()
        if self._disk is None and os.getuid() not in (0, uid):
            raise KernelStartError(
                f"user cannot be {settings.user!r}: who is {uid} inside cannot work in a directory of {os.getuid()}'s, "
                f"for which only root can mount it; leave user out, or have a copy there with disk="
            )
        shown = (uid, gid) if os.getuid() == 0 else None
        mounts = []
        if not self._near:
            refuse_ours(settings, self._engine)
        if self._disk is None:
            mounts += [
                await self._mount(self.link.directory, RUNTIME, shown),
                await self._mount(Path(self._cwd), settings.workdir, shown),
                await self._mount(LAUNCHER.parent, CODE, None if _public(LAUNCHER) else shown, read_only=True),
            ]
        elif self._gate is not None:
            mounts.append(await self._mount(self._gate, RUNTIME / self._gate.name, shown))
        if self._near and engine_network(settings.network) == "none":
            hosts = LAUNCHER.parent / "hosts"
            mounts.append(await self._mount(hosts, "/etc/hosts", None if _public(hosts) else shown, read_only=True))
        for source, target in settings.mounts.items():
            place = target.removesuffix(":rw")
            if PurePosixPath(place).is_relative_to(settings.workdir):
                if self._disk is not None:
                    raise KernelStartError(
                        f"{place} is in the work directory, which with disk= is a copy, and all of it is brought home: "
                        f"name another place for that mount"
                    )
                make_point(Path(absolute(source)), PurePosixPath(place), Path(self._cwd), settings.workdir)
            mounts.append(await self._mount(Path(absolute(source)), place, shown, read_only=place == target))
        request = create_request(
            settings,
            self._image,
            user=f"{uid}:{gid}",
            memory=self._memory,
            cpus=self.limits.processors or float(settings.cpus),
            pids=self._pids,
            mounts=mounts,
            labels=labels(self.link.directory.name, kept=not settings.auto_remove, expires=self.expires),
            podman=self._engine.is_podman,
        )
        if self._disk is None:
            return request
        podman = self._engine.is_podman
        return far_request(request, settings, user=(uid, gid), disk=self._disk, podman=podman)

    def _own(self) -> list[str]:
        """What of the work directory stays on the host: the recording, and what belongs to it."""
        top = Path(self._cwd)
        return [str(path.relative_to(top)) for path in self.own_paths if path.is_relative_to(top)]

    async def _mount(
        self, source: Path, target: str | PurePosixPath, user: tuple[int, int] | None, *, read_only: bool = False
    ) -> dict[str, Any]:
        """A mount of what is the caller's; for root one that shows it as the user's inside, who is nobody here."""
        assert self.link is not None
        if user is None:
            return bind(source, target, read_only=read_only)
        mounted = await self.link.mount(source, user)
        if mounted is None and not read_only:
            _refuse_to_share(source)
        return bind(mounted or source, target, read_only=read_only)

    def _user(self) -> tuple[int, int]:
        """Number of user and group inside."""
        if self.settings.user is not None:
            match = _USER.fullmatch(self.settings.user)
            assert match is not None
            return int(match[1]), int(match[2] or match[1])
        if os.getuid():
            return os.getuid(), os.getgid()
        number = USERS.start + secrets.randbelow(len(USERS))
        return number, number


def _from_json(given: dict[str, Any]) -> dict[str, Any]:
    """The settings in a kernelspec, whose JSON has no numbers as names."""
    if isinstance(ports := given.get("ports"), Mapping):
        return {**given, "ports": {int(name) if str(name).isdigit() else name: ports[name] for name in ports}}
    return given


def _check_known(unknown: Iterable[str]) -> None:
    for name in sorted(unknown):
        known = ", ".join(field.name for field in fields(DockerKernel))
        raise InvalidArgument(f"a kernel in a container has no setting {name!r}, but {known}")


def _public(path: Path) -> bool:
    """Whether everybody may read a file: with a umask of 077, nobody but who installed it may."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def _refuse_to_share(source: Path) -> None:
    if source.exists():  # else the engine says that it does not
        raise KernelStartError(
            f"{source} cannot be shared with a container: its file system does not support mounts with other owners, "
            f"which root needs for that; name another place, or work as an ordinary user"
        )


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise WrongType(f"{name} must be a string, not {type(value).__name__}")
    if not value or "\0" in value:
        raise InvalidArgument(f"{name} must not be empty, nor have nulls")


def _check_place(what: str, path: str) -> None:
    if not isinstance(path, str):
        raise WrongType(f"{what} must be a string, not {type(path).__name__}")
    place = PurePosixPath(path)
    taken = ("/", "/tmp", "/proc", "/sys", "/dev", "/etc", "/usr", "/bin", "/lib")  # noqa: S108
    kernels = place.is_relative_to("/proc") or place.is_relative_to("/sys")
    if not place.is_absolute() or ".." in place.parts or str(place) in taken or kernels or ":" in path or "," in path:
        raise InvalidArgument(f"{what} must be an absolute path inside the container, such as /workspace, not {path!r}")
    for own in (RUNTIME, CODE):
        if place == own or own in place.parents or place in own.parents:
            raise InvalidArgument(f"{what} cannot be {path!r}: our own files are at {own}")


def _check_gpus(gpus: object) -> None:
    if gpus is None or gpus == "all":
        return
    if isinstance(gpus, bool) or not isinstance(gpus, int):
        raise WrongType(f"gpus must be a number, 'all' or None, not {gpus!r}")
    if gpus < 1:
        raise InvalidArgument(f"gpus must be at least 1, not {gpus}: leave it out for none")


def _check_labels(labels: Mapping[Any, Any]) -> None:
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise WrongType(f"labels must map strings to strings, but has {name!r}: {value!r}")
        if name.startswith("kernel_exec."):
            raise InvalidArgument(f"labels cannot have {name!r}: names that begin so are ours")


def _check_mounts(mounts: Mapping[Any, Any], workdir: str) -> None:
    taken = {PurePosixPath(workdir)}
    for source, target in mounts.items():
        if not isinstance(source, str | os.PathLike) or not isinstance(target, str):
            raise WrongType(f"mounts must map paths of the host to paths inside, but has {source!r}: {target!r}")
        _check_place(f"the target of the mount {os.fspath(source)!r}", target.removesuffix(":rw"))
        place = PurePosixPath(target.removesuffix(":rw"))
        if place in taken:
            raise InvalidArgument(
                f"mounts cannot have {os.fspath(source)!r} at {str(place)!r}: something else is there"
            )
        taken.add(place)


def _check_name(template: str) -> None:
    if not _NAME.fullmatch(template.replace("{user}", "u").replace("{uuid}", "u")):
        raise InvalidArgument(
            f"name {template!r} can be no container's: letters, digits, '_', '.', '-', and {{user}}, {{uuid}}"
        )


def _check_ports(ports: Mapping[int, int | None], network: str) -> None:
    for inside, outside in ports.items():
        for port in (inside, outside):
            if port is not None and (isinstance(port, bool) or not isinstance(port, int)):
                raise WrongType(f"ports must map numbers to numbers (or None), but has {port!r}")
            if port is not None and not 0 < port < 2**16:
                raise InvalidArgument(f"{port} is no port: name one from 1 to 65535, or None for any of the host's")
    if ports and network in {"none", "host"}:
        raise InvalidArgument("ports need a network of the container's: DockerKernel(network='bridge', ports=...)")
