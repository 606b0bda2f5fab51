"""Modes: environments and settings of kernels, with a name, for a purpose."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from kernel_exec.errors import InvalidArgument, KernelStartError, WrongType
from kernel_exec.kernels.plain import Plain
from kernel_exec.settings import check_variable

LOG_LEVEL_VARIABLE = "KERNEL_EXEC_LOG_LEVEL"
LOCALS_VARIABLE = "KERNEL_EXEC_LOCAL_VARIABLES"
SEED_VARIABLE = "KERNEL_EXEC_SEED"
OFFLINE_VARIABLE = "KERNEL_EXEC_OFFLINE"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_OPTION = re.compile(r"[A-Za-z]\w*\.[A-Za-z]\w*")
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")


@dataclass(frozen=True, kw_only=True)
class Mode(Plain):
    """How a kernel is set up, wherever it runs.

    Attributes:
        name: what to call it.
        env: variables for the kernel; those of its own settings win. `{workdir}` in them stands for the work directory
            as the kernel sees it, `{cpus}` for the processors that it was granted, one at the least. PYTHONPATH goes
            before the one that there is.
        options: settings of IPython and ipykernel, such as `{"InteractiveShell.xmode": "Verbose"}`; they win over those
            of the kernelspec.
        log_level: from which level on the code's logging goes to standard error; None to leave logging alone. What
            libraries tell of their inner work below INFO is left out.
        local_variables: whether a traceback ends with the local variables of the user's functions.
        seed: what the generators of random numbers begin with, of Python and of numpy, torch and tensorflow when they
            are imported; None to leave them alone. Generators that take their seed from the system are none of these.
        offline: whether code that reaches for the network gets an error that says why. That is for tests, whose results
            should depend on nothing else; what keeps code in is `DockerKernel(network="none")`.

    Raises:
        InvalidArgument, WrongType: one of them cannot work.
    """

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    log_level: str | None = None
    local_variables: bool = False
    seed: int | None = None
    offline: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise WrongType(f"the name of a mode must be a string, not {type(self.name).__name__}")
        if not self.name:
            raise InvalidArgument("the name of a mode must not be empty")
        for what in ("env", "options"):
            if not isinstance(getattr(self, what), Mapping):
                raise WrongType(f"{what} of the mode {self.name!r} must be a mapping")
        for name, value in self.env.items():
            check_variable(name, value)
        for name, value in self.options.items():
            _check_option(name, value)
        for what in ("local_variables", "offline"):
            if not isinstance(getattr(self, what), bool):
                raise WrongType(f"{what} must be True or False, not {getattr(self, what)!r}")
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int)):
            raise WrongType(f"seed must be a whole number or None, not {type(self.seed).__name__}")
        if self.log_level is not None and self.log_level not in _LEVELS:
            raise InvalidArgument(f"log_level must be one of {', '.join(_LEVELS)}, or None, not {self.log_level!r}")
        object.__setattr__(self, "env", MappingProxyType(dict(self.env)))
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def environment(self, workdir: str, cpus: float, more: Mapping[str, str], python_path: str) -> dict[str, str]:
        """Return the variables that a kernel gets.

        Args:
            workdir: its work directory, as it sees it.
            cpus: the processors that it was granted.
            more: variables that win.
            python_path: PYTHONPATH as it would be.
        """
        places = {"workdir": workdir, "cpus": str(max(1, int(cpus)))}
        mine = {name: re.sub(r"\{(workdir|cpus)\}", lambda found: places[found[1]], v) for name, v in self.env.items()}
        ours = {
            **({} if self.log_level is None else {LOG_LEVEL_VARIABLE: self.log_level}),
            **({LOCALS_VARIABLE: "1"} if self.local_variables else {}),
            **({} if self.seed is None else {SEED_VARIABLE: str(self.seed)}),
            **({OFFLINE_VARIABLE: "1"} if self.offline else {}),
        }
        if "PYTHONPATH" in mine:
            paths = [mine["PYTHONPATH"], more.get("PYTHONPATH", python_path)]
            return {**ours, **mine, **more, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        return {**ours, **mine, **more}

    def command(self, command: Sequence[str] | None, usual: Mapping[str, str]) -> list[str] | None:
        """Return the command of a kernel with these options, and with the usual ones that it does not have.

        Args:
            command: what starts it through our launcher; None when that is not what starts it.
            usual: options for kernels that have no others.

        Raises:
            KernelStartError: there are options, and it is no kernel that takes some.
        """
        if command is None:
            if self.options or self.log_level or self.local_variables or self.offline or self.seed is not None:
                raise KernelStartError(
                    f"the mode {self.name!r} has settings of IPython, and this kernel is none of Python's: choose a "
                    f"mode that has variables only"
                )
            return None
        mine = {f"--{name}": value for name, value in self.options.items()}
        kept = [part for part in command if part.partition("=")[0] not in mine]
        given = {part.partition("=")[0] for part in kept}
        options = {**{name: value for name, value in usual.items() if name not in given}, **mine}
        return [*kept, *(f"{name}={value}" for name, value in options.items())]


def _check_option(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str) or not _OPTION.fullmatch(name):
        raise InvalidArgument(
            f"options of a mode must be such as 'InteractiveShell.xmode': 'Verbose', not {name!r}: {value!r}"
        )


MODES = {
    mode.name: mode
    for mode in (
        Mode(name="standard", env={"PYTHONUNBUFFERED": "1"}),
        Mode(
            name="debug",
            env={
                "PYTHONPATH": "{workdir}/debug",
                "PYTHONUNBUFFERED": "1",
                "DEBUG": "1",
                "LOG_LEVEL": "DEBUG",
                "PYTHONWARNINGS": "always",
                "PYTHONFAULTHANDLER": "1",
            },
            options={"InteractiveShell.xmode": "Verbose"},
            log_level="DEBUG",
            local_variables=True,
        ),
        Mode(
            name="performance",
            env={"PYTHONPATH": "{workdir}/optimized", **{f"{name}_NUM_THREADS": "{cpus}" for name in _THREADS}},
            options={"HistoryManager.enabled": "False", "InteractiveShell.cache_size": "0"},
        ),
        Mode(
            name="testing",
            env={
                "PYTHONUNBUFFERED": "1",
                "PYTHONHASHSEED": "0",
                "TZ": "UTC",
                "LANG": "C.UTF-8",
                "LC_ALL": "C.UTF-8",
                "SOURCE_DATE_EPOCH": "946684800",
                "MATPLOTLIBRC": "/dev/null",
                "TEST_MODE": "1",
                **{f"{name}_NUM_THREADS": "1" for name in _THREADS},
            },
            seed=0,
            offline=True,
        ),
    )
}
"""The modes that there are. "standard": text that processes write comes unbuffered. "debug": tracebacks with the values
of local variables, logging from DEBUG on, each warning each time, and what a crash was doing. "performance": as many
threads for linear algebra as processors were granted, no database of what was run, and no results kept in `Out`.
"testing": the same results again: seeds, the order of sets, time zone, locale, fonts, one thread, and no network."""

STANDARD = MODES["standard"]
BARE = Mode(name="bare")
"""Nothing at all: that of a kernel whose manager sets it up."""


def checked_mode(mode: str | Mode) -> Mode:
    """Return the mode of that name, or the mode itself.

    Raises:
        InvalidArgument, WrongType: there is none.
    """
    if isinstance(mode, Mode):
        return mode
    if not isinstance(mode, str):
        raise WrongType(f"mode must be a name or a Mode(...), not {type(mode).__name__}")
    if mode not in MODES:
        raise InvalidArgument(f"there is no mode {mode!r}: {', '.join(MODES)}, or a Mode(...) of your own")
    return MODES[mode]
