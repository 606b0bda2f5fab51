"""What an executor is made with, checked at the door."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from kernel_exec.errors import InvalidArgument, WrongType

PathLike = str | os.PathLike[str]


class _Default:
    """Stands for "what the executor was made with", where None means something else."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = _Default()
Timeout = float | None | _Default


MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a session may use. None means no limit, where that is possible.

    Attributes:
        text: characters of `result.text`; of a longer one head and tail are kept, and the whole is in a file that
            the text names.
        output_bytes: bytes of text and displays that one cell may put out; of what is more, head and tail are kept,
            and the whole is in a file that is named.
        image_bytes: bytes of the pictures that one cell may display; those beyond are left out and told.
        artifact_bytes: bytes of the files of one cell that are reported as artifacts, and of each file that keeps
            what was cut; files beyond are refused and told.
        memory: bytes that the kernel and all its processes may hold; a number, or such as "2g" or "512m".
        cpus: processors that they may use at a time; a number, or such as "1.5".
        pids: processes and threads that there may be.
        disk: bytes that they may write to disk; as `memory`.

    Raises:
        InvalidArgument, WrongType: one of them cannot work.
    """

    text: int | None = 20_000
    output_bytes: int = 4 * MIB
    image_bytes: int = 64 * MIB
    artifact_bytes: int = 1024 * MIB
    memory: int | str | None = None
    cpus: float | str | None = None
    pids: int | None = None
    disk: int | str | None = None

    def __post_init__(self) -> None:
        for name in ("memory", "disk"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, checked_size(f"limits.{name}", getattr(self, name)))
        if isinstance(self.cpus, str):
            object.__setattr__(self, "cpus", checked_number("limits.cpus", self.cpus))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is None and name in _MAY_BE_NONE:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float if name == "cpus" else int):
                raise WrongType(f"limits.{name} must be a number, not {type(value).__name__}")
            if not value >= least:
                raise InvalidArgument(f"limits.{name} must be at least {least}, not {value!r}")

    @property
    def memory_bytes(self) -> int | None:
        """The limit on memory as a number."""
        return None if self.memory is None else checked_size("limits.memory", self.memory)

    @property
    def processors(self) -> float | None:
        """The limit on processors as a number."""
        return None if self.cpus is None else float(self.cpus)


_LEAST: dict[str, float] = {
    "text": 100,
    "output_bytes": 1000,
    "image_bytes": 0,
    "artifact_bytes": 0,
    "memory": 64 * MIB,
    "cpus": 0.01,
    "pids": 1,
    "disk": MIB,
}
_MAY_BE_NONE = frozenset({"text", "memory", "cpus", "pids", "disk"})


def checked_number(what: str, value: str) -> float:
    """Return a number that is given as text.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        return float(value)
    except ValueError:
        raise InvalidArgument(f"{what} must be a number, or such as '1.5', not {value!r}") from None


def checked_size(what: str, value: int | str) -> int:
    """Return a number of bytes, which may be given as Docker writes it: "512m" or "2g", in powers of 1024.

    Raises:
        InvalidArgument, WrongType: it is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value <= 0:
            raise InvalidArgument(f"{what} must be above zero bytes, not {value!r}")
        return value
    if not isinstance(value, str):
        raise WrongType(f"{what} must be a number of bytes, or such as '2g', not {type(value).__name__}")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", value.strip().lower())
    size = int(float(match[1]) * 1024 ** " kmgt".index(match[2] or " ")) if match else 0
    if size <= 0:
        raise InvalidArgument(f"{what} must be a number of bytes, or such as '512m' or '2g', not {value!r}")
    return size


def checked_pattern(what: str, value: object) -> re.Pattern[str]:
    """Return a regular expression for text.

    Raises:
        InvalidArgument, WrongType: it is none.
    """
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return value
    if not isinstance(value, str):
        raise WrongType(f"{what} must be regular expressions, not {type(value).__name__}")
    try:
        return re.compile(value)
    except re.error as error:
        raise InvalidArgument(f"{what} has {value!r}, which is no regular expression: {error}") from None


def checked_limits(limits: Limits | None) -> Limits:
    """Return the limits, the default ones for None.

    Raises:
        WrongType: it is something else.
    """
    if limits is None:
        return Limits()
    if not isinstance(limits, Limits):
        raise WrongType(f"limits must be Limits(...) or None, not {type(limits).__name__}")
    return limits


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The settings of one session.

    Attributes:
        workdir: the kernel's working directory; None for a temporary one that goes at `close`.
        notebook: the recording; None for `session.ipynb` in the work directory, False for no recording.
        timeout: seconds that a cell may run; None for no bound.
        lifetime: seconds that the session may last; None for no bound.
        name: a name for people, in the recording and in messages.
    """

    workdir: Path | None
    notebook: Path | Literal[False] | None
    timeout: float | None
    lifetime: float | None
    name: str | None


def checked_settings(
    workdir: PathLike | None,
    notebook: PathLike | Literal[False] | None,
    timeout: float | None,
    lifetime: float | None,
    name: str | None,
) -> SessionSettings:
    """Return the settings when they can work.

    Raises:
        InvalidArgument, WrongType: one of them cannot.
    """
    if name is not None:
        if not isinstance(name, str):
            raise WrongType(f"name must be a string or None, not {type(name).__name__}")
        checked_text("name", name)
    folder = None if workdir is None else checked_path("workdir", workdir)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise InvalidArgument(f"workdir {str(folder)!r} is a file: name a directory")
    return SessionSettings(
        workdir=folder,
        notebook=_notebook(notebook),
        timeout=checked_seconds("timeout", timeout),
        lifetime=checked_seconds("lifetime", lifetime),
        name=name,
    )


def checked_seconds(what: str, value: float | None) -> float | None:
    """Return a number of seconds, None for no bound.

    Raises:
        InvalidArgument: it is not above zero.
        WrongType: it is no number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(f"{what} must be a number of seconds or None, not {type(value).__name__}")
    if math.isnan(value) or value <= 0:
        raise InvalidArgument(f"{what} must be above zero seconds, not {value!r}; None means no bound")
    return None if math.isinf(value) else float(value)


LEAST_INTERVAL = 0.01


def checked_interval(value: float | None) -> float | None:
    """Return the seconds between two samples, None for no samples.

    Raises:
        InvalidArgument, WrongType: it is no number that can be.
    """
    interval = checked_seconds("monitoring_interval", value)
    if value is not None and (interval is None or interval < LEAST_INTERVAL):
        raise InvalidArgument(
            f"monitoring_interval must be at least {LEAST_INTERVAL} seconds, and finite, not {value!r}; None means no "
            f"samples"
        )
    return interval


def checked_timeout(timeout: Timeout, default: float | None) -> float | None:
    """Return the timeout of one call: its own, or the executor's when it has none."""
    return default if isinstance(timeout, _Default) else checked_seconds("timeout", timeout)


def checked_text(what: str, text: str) -> str:
    """Return the text of a cell.

    Raises:
        WrongType: it is not a string.
        InvalidArgument: it can be neither sent nor written, because it is no valid Unicode.
    """
    if not isinstance(text, str):
        raise WrongType(f"{what} must be a string, not {type(text).__name__}; read a file with Path(...).read_text()")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what} is no valid Unicode: it has a lone surrogate at index {error.start}") from None
    return text


def checked_json(what: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of a JSON object.

    Raises:
        WrongType: it is no mapping.
        InvalidArgument: JSON cannot express it.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise WrongType(f"{what} must be a mapping, not {type(value).__name__}")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what} cannot be written as JSON: {error}") from None
    return copy


def check_variable(name: object, value: object) -> None:
    """Refuse what can be no variable of an environment.

    Raises:
        InvalidArgument, WrongType: it is none.
    """
    if not isinstance(name, str) or not isinstance(value, str):
        raise WrongType(f"env must map strings to strings, but has {name!r}: {value!r}")
    if not name or "=" in name or "\0" in name + value:
        raise InvalidArgument(f"env cannot have the variable {name!r}: a name is not empty and has no '='; no nulls")


def checked_attachments(value: Mapping[str, Mapping[str, str]] | None) -> dict[str, Any]:
    """Return a copy of the attachments of a text cell.

    Raises:
        WrongType, InvalidArgument: they are not file names -> MIME types -> text.
    """
    attachments = checked_json("attachments", value)
    for name, bundle in attachments.items():
        if not isinstance(bundle, dict) or not all(isinstance(data, str) for data in bundle.values()):
            raise InvalidArgument(f"attachment {name!r} must be a mapping of MIME types to text (base64 for images)")
    return attachments


def _notebook(notebook: PathLike | Literal[False] | None) -> Path | Literal[False] | None:
    if notebook is None or notebook is False:
        return notebook
    path = checked_path("notebook", notebook)
    if path.is_dir():
        raise InvalidArgument(f"notebook {str(path)!r} is a directory: name a file, such as 'session.ipynb'")
    return path


def checked_path(what: str, value: PathLike) -> Path:
    """Return an absolute path.

    Raises:
        WrongType, InvalidArgument: it cannot be one.
    """
    if not isinstance(value, str | os.PathLike):
        raise WrongType(f"{what} must be a path, not {type(value).__name__}")
    text: object = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidArgument(f"{what} must be a non-empty path without null characters, not {value!r}")
    # Made absolute at once: the caller may change directory before the session starts.
    try:
        return Path(text).expanduser().absolute()
    except (FileNotFoundError, RuntimeError) as error:
        raise InvalidArgument(f"{what} {text!r} leads nowhere from here ({error}): name an absolute path") from error
