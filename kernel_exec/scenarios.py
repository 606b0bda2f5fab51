"""Scenarios: settings of an executor, with a name, for a purpose. They can be extended, and written down in TOML.

[tool.kernel_exec.scenarios.reports]
extends = "production"
timeout = 120
kernel = { memory = "8g", env = { REGION = "eu" } }
limits = { text = 5000 }
policy = { blocked_imports = ["subprocess"] }
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from kernel_exec.errors import InvalidArgument, KernelExecError, WrongType
from kernel_exec.kernels.docker import DockerKernel
from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.kernels.modes import Mode, checked_mode
from kernel_exec.policy import Policy, checked_policy
from kernel_exec.settings import Limits, PathLike, checked_interval, checked_limits, checked_path, checked_seconds

TABLE = ("tool", "kernel_exec", "scenarios")
_KINDS: dict[str, type[KernelSettings]] = {"host": HostKernel, "docker": DockerKernel}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Settings of an executor for a purpose.

    Attributes:
        name: what to call it.
        kernel: where and how the kernel runs. Where it needs an engine and there is none, it does not start.
        workdir: the work directory, relative to the current one; None for a temporary one, which goes at the end.
        timeout: seconds that a cell may run; None for no bound.
        lifetime: seconds that a session may last; None for no bound.
        limits: how much its cells may take.
        mode: how its kernels are set up.
        policy: what code may run; None for all.
        monitoring_interval: seconds between two samples of what a cell uses; None for no samples.

    Raises:
        InvalidArgument, WrongType: one of them cannot work.
    """

    name: str
    kernel: KernelSettings = field(default_factory=HostKernel)
    workdir: str | None = None
    timeout: float | None = 60.0
    lifetime: float | None = None
    limits: Limits = field(default_factory=Limits)
    mode: str | Mode = "standard"
    policy: Policy | None = None
    monitoring_interval: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise WrongType(f"the name of a scenario must be a string, not {type(self.name).__name__}")
        if not self.name:
            raise InvalidArgument("the name of a scenario must not be empty")
        if not isinstance(self.kernel, KernelSettings):
            raise WrongType(f"kernel must be a HostKernel or a DockerKernel, not {type(self.kernel).__name__}")
        workdir: object = self.workdir
        if isinstance(workdir, str) and workdir:
            # Where that is is found when there is a session: what imports this may be in a directory that is gone.
            checked_path("workdir", os.path.join(os.sep, workdir))
        elif self.workdir is not None:
            checked_path("workdir", self.workdir)
        object.__setattr__(self, "timeout", checked_seconds("timeout", self.timeout))
        object.__setattr__(self, "lifetime", checked_seconds("lifetime", self.lifetime))
        object.__setattr__(self, "monitoring_interval", checked_interval(self.monitoring_interval))
        checked_limits(self.limits)
        checked_mode(self.mode)
        checked_policy(self.policy)

    def __str__(self) -> str:
        kernel = self.kernel
        place = f"a container of {kernel.image}" if isinstance(kernel, DockerKernel) else f"{kernel.kernel_name} here"
        mode = self.mode if isinstance(self.mode, str) else self.mode.name
        times = (("a cell", self.timeout), ("a session", self.lifetime))
        bounds = [f"{seconds:g} s {what}" for what, seconds in times if seconds]
        return ", ".join([place, *bounds, f"mode {mode}", *(["with a policy"] if self.policy else [])])

    def with_overrides(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of an executor.

        Args:
            overrides: arguments of the executor, which win; and settings of the scenario's kind of kernel, such as
                `image` or `memory`.

        Raises:
            InvalidArgument, WrongType: there is no such setting, or it cannot work.
        """
        arguments = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "name"}
        arguments["name"] = self.name
        theirs = {part.name for part in fields(self.kernel)} - _ARGUMENTS
        if unknown := overrides.keys() - _ARGUMENTS - theirs:
            raise InvalidArgument(
                f"the scenario {self.name!r} has no setting {sorted(unknown)[0]!r}: name an argument of Executor "
                f"({', '.join(sorted(_ARGUMENTS))}), or one of its {type(self.kernel).__name__} "
                f"({', '.join(sorted(theirs))})"
            )
        arguments.update({name: value for name, value in overrides.items() if name in _ARGUMENTS})
        of_kernel = {name: value for name, value in overrides.items() if name in theirs}
        if of_kernel and "kernel" in overrides:
            raise InvalidArgument(f"kernel is given as a whole: say {sorted(of_kernel)[0]!r} there")
        if of_kernel:
            arguments["kernel"] = replace(self.kernel, **of_kernel)
        return arguments


_ARGUMENTS = frozenset(
    {
        *("kernel", "workdir", "notebook", "timeout", "lifetime", "limits", "mode", "policy", "secrets"),
        *("monitoring_interval", "on_metrics", "name", "metadata"),
    }
)
"""Arguments of an executor."""

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="development", workdir="workspace", timeout=30, lifetime=120, mode="debug"),
        Scenario(
            name="production",
            kernel=DockerKernel(memory="4g", cpus=float(min(2, os.cpu_count() or 1))),
            timeout=None,
            lifetime=1800,
        ),
        Scenario(name="testing", kernel=DockerKernel(), lifetime=300, mode="testing"),
        Scenario(
            name="sandbox",
            kernel=DockerKernel(),
            lifetime=60,
            policy=Policy(blocked_imports=["os", "subprocess", "sys"], shell=False),
        ),
    )
}
"""The scenarios that there are. "development": on this machine, 30 s a cell and 120 s a session, the work directory is
kept, and the mode is "debug". "production": a container of 4 GiB and 2 processors, 1,800 s. "testing": a container, 300
s, the same results again, no network. "sandbox": a container, 60 s, no network, nothing of it can be written but the
work directory, and cells import neither os nor subprocess nor sys, which libraries still do."""


def scenario_named(name: str | Scenario, start: PathLike = ".") -> Scenario:
    """Return a scenario: one that there is, or one of the nearest pyproject.toml that has some.

    Raises:
        InvalidArgument, WrongType: there is none of that name, or the file cannot be used.
    """
    if isinstance(name, Scenario):
        return name
    if not isinstance(name, str):
        raise WrongType(f"a scenario must be given by its name or as Scenario(...), not as {type(name).__name__}")
    known = scenarios(start)
    if name not in known:
        raise InvalidArgument(f"there is no scenario {name!r}: {', '.join(known)}")
    return known[name]


def scenarios(start: PathLike = ".") -> dict[str, Scenario]:
    """Return all scenarios by name: those that there are, and those of the nearest pyproject.toml that has some.

    Args:
        start: where to look for it, and upwards; or a TOML file.

    Raises:
        InvalidArgument: the file cannot be used; the message names the line.
    """
    place = checked_path("start", start)
    if place.is_file():
        return _read(place)
    for folder in (place, *place.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and _tables(file):
            return _read(file)
    return dict(SCENARIOS)


# Reading TOML


def _read(file: Path) -> dict[str, Scenario]:
    tables, made = _tables(file), dict(SCENARIOS)
    for name in tables:
        _Reader(file, tables, made).scenario(name, ())
    return made


def _tables(file: Path) -> dict[str, Any]:
    try:
        table: Any = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidArgument(f"{file} cannot be read: {error}") from error
    for name in TABLE if file.name == "pyproject.toml" else TABLE[-1:]:
        table = table.get(name, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise InvalidArgument(f"{file}: scenarios must be a table, not {type(table).__name__}")
    return table


class _LineError(InvalidArgument):
    """What is wrong, with its line."""


class _Reader:
    """Makes the scenarios of a file, each after the one that it extends."""

    def __init__(self, file: Path, tables: Mapping[str, Any], made: dict[str, Scenario]) -> None:
        self._file, self._tables, self._made = file, tables, made

    def scenario(self, name: str, below: tuple[str, ...]) -> Scenario:
        """Return a scenario; `below` are those that extend it."""
        if name not in self._tables or (name in self._made and self._made[name] is not SCENARIOS.get(name)):
            return self._made[name]
        table = self._tables[name]
        if not isinstance(table, dict):
            raise self._error((name,), f"must be a table, not {table!r}")
        base = self._tried((name,), lambda: self._base(name, table, below))
        changes = {key: self._value(name, key, value, base) for key, value in table.items() if key != "extends"}
        self._made[name] = self._tried((name,), lambda: replace(base, **{"name": name, **changes}))
        return self._made[name]

    def _base(self, name: str, table: Mapping[str, Any], below: tuple[str, ...]) -> Scenario:
        parent = table.get("extends")
        if parent is None:
            return SCENARIOS.get(name, Scenario(name=name))
        place = (name, "extends")
        if not isinstance(parent, str):
            raise self._error(place, f"must be the name of a scenario, not {parent!r}")
        if parent == name and name in SCENARIOS:
            return SCENARIOS[name]
        if parent in (name, *below):
            raise self._error(place, f"is a circle: {' -> '.join((*below, name, parent))}")
        if parent not in self._tables and parent not in SCENARIOS:
            known = ", ".join({**SCENARIOS, **self._tables})
            raise self._error(place, f"names {parent!r}, which is no scenario: {known}")
        return self.scenario(parent, (*below, name))

    def _value(self, name: str, key: str, value: Any, base: Scenario) -> Any:
        match key:
            case "kernel":
                return self._kernel((name, key), value, base.kernel)
            case "limits":
                return self._changed((name, key), value, base.limits)
            case "policy":
                return self._changed((name, key), value, base.policy or Policy())
            case "timeout" | "lifetime" | "monitoring_interval" if value is False:  # TOML has no None
                return None
            case "workdir" | "timeout" | "lifetime" | "mode" | "monitoring_interval":
                return self._tried((name, key), lambda: getattr(replace(base, **{key: value}), key))
        known = sorted({part.name for part in fields(Scenario)} - {"name"} | {"extends"})
        raise self._error((name, key), f"is no setting of a scenario: {', '.join(known)}")

    def _kernel(self, place: tuple[str, ...], table: Any, base: KernelSettings) -> Any:
        if not isinstance(table, dict):
            raise self._error(place, f"must be a table, not {table!r}")
        rest = dict(table)
        kind = rest.pop("kind", next(name for name, known in _KINDS.items() if isinstance(base, known)))
        if kind not in _KINDS:
            raise self._error((*place, "kind"), f"must be one of {', '.join(_KINDS)}, not {kind!r}")
        start = base if isinstance(base, _KINDS[kind]) else _KINDS[kind]()
        if isinstance(rest.get("ports"), dict):  # keys of TOML are text
            rest["ports"] = {int(key) if key.isdecimal() else key: port for key, port in rest["ports"].items()}
        return self._changed(place, rest, start)

    def _changed(self, place: tuple[str, ...], table: Any, base: Any) -> Any:
        """Return settings with those of a table, one after the other, so that an error names its own line."""
        if not isinstance(table, dict):
            raise self._error(place, f"must be a table, not {table!r}")
        known = [part.name for part in fields(base) if part.name not in ("rules", "review")]
        for key, value in table.items():
            if key not in known:
                raise self._error((*place, key), f"is no setting of {type(base).__name__}: {', '.join(known)}")
            base = self._tried((*place, key), partial(replace, base, **{key: value}))
        return base

    def _tried(self, place: tuple[str, ...], make: Callable[[], Any]) -> Any:
        try:
            return make()
        except _LineError:
            raise
        except (KernelExecError, TypeError, ValueError) as error:
            raise self._error(place, f"cannot be used: {error}") from error

    def _error(self, place: tuple[str, ...], what: str) -> InvalidArgument:
        line = line_of(self._file.read_text("utf-8"), place)
        return _LineError(f"{self._file}, line {line}: {'.'.join(place)} {what}")


_HEADER = re.compile(r"\s*\[+([^\[\]]+)\]+\s*(?:#.*)?$")
_PART = re.compile(r"""\"[^\"]*\"|'[^']*'|[^.\s"']+""")
_KEY = re.compile(r"\s*([\w.\-\"' ]+?)\s*=")


def line_of(text: str, place: tuple[str, ...]) -> int:
    """Return the line of a TOML file that says something, from 1; that of what is around it, where it is not found.

    Args:
        text: the file.
        place: the keys that lead to it, from the table of all scenarios on.
    """
    best, found = 0, 1
    for number, keys in _lines(text):
        starts = (at for at in range(1, len(keys)) if keys[at - 1 : at + 1] == (TABLE[-1], place[0]))
        tail = keys[next(starts, len(keys)) :]
        if tail and tail == place[: len(tail)] and len(tail) > best:
            best, found = len(tail), number
    return found


def _lines(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _keys(header[1])
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *_keys(key[1]))


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
