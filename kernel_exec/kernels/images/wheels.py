"""Wheels for the Python of an image: got with pip on the host, where the way to packages is; or a user's folder."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kernel_exec.errors import ImageBuildFailed, InvalidArgument, WrongType
from kernel_exec.kernels.images.progress import Progress
from kernel_exec.kernels.images.python import Python
from kernel_exec.settings import PathLike

FOREIGN_PIP = Path(__file__).with_name("foreign_pip.py")
LAST_LINES = 12
"""Lines of pip's that an error tells."""

_CHOICES = ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CONSTRAINT", "PRE", "CONFIG_FILE")
"""Settings of pip's that say where packages come from, or which."""


def normalized(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements in the form that is the same for all that mean the same, sorted.

    Args:
        requirements: such as "pandas>=2".

    Raises:
        InvalidArgument, WrongType: one of them is none.
    """
    if isinstance(requirements, str):
        raise WrongType(f"requirements must be a list, such as [{requirements!r}], not a string")
    return tuple(sorted({_normalized(requirement) for requirement in requirements}))


def name_of(requirement: str) -> str:
    """Return the name of the package that a normalized requirement is about."""
    return Requirement(requirement).name


def _normalized(text: str) -> str:
    if not isinstance(text, str):
        raise WrongType(f"a requirement must be a string, not {type(text).__name__}")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise InvalidArgument(f"{text!r} is no requirement ({_first_line(error)}): say it like 'pandas>=2'") from error
    if requirement.url:
        raise InvalidArgument(f"{text!r} names an address: put that wheel into a folder, and name the folder in wheels")
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def inputs(wheels: Path | None) -> list[list[str]]:
    """Return what, beside the requirements, decides which packages an image gets: as names and values.

    Args:
        wheels: the folder that they come from; None when pip gets them.
    """
    if wheels is None:
        given = ((name, os.environ.get(f"PIP_{name}")) for name in _CHOICES)
        return [[name, value] for name, value in given if value]
    return [[path.name, _digest(path, path.stat().st_size, path.stat().st_mtime_ns)] for path in files(wheels)]


def files(wheels: Path) -> list[Path]:
    """Return the wheels in a folder, sorted."""
    return sorted(path for path in wheels.glob("*.whl") if path.is_file())


def checked_folder(wheels: PathLike) -> Path:
    """Return a user's folder of wheels as a path.

    Raises:
        InvalidArgument: it is none, or has none.
    """
    folder = Path(wheels).expanduser().absolute()
    if not folder.is_dir():
        raise InvalidArgument(f"the folder of wheels {str(folder)!r} does not exist")
    if not files(folder):
        raise InvalidArgument(
            f"there is no wheel in {str(folder)!r}: `pip download -d FOLDER REQUIREMENT` puts some there"
        )
    return folder


async def download(folder: Path, requirements: Sequence[str], python: Python, tell: Progress) -> None:
    """Get the wheels of requirements, and of all that they require, and one of pip.

    Args:
        folder: where they go.
        requirements: normalized.
        python: what they are for.
        tell: is told what pip does.

    Raises:
        ImageBuildFailed: pip cannot; its last lines are told.
    """
    command = [sys.executable, str(FOREIGN_PIP), json.dumps(python.markers()), "download", "--dest", str(folder)]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python.version]
    command += [f"--platform={platform}" for platform in python.platforms()]
    status, lines = await _run([*command, *requirements, "pip"], tell)
    if status:
        log = "\n".join(lines)
        raise ImageBuildFailed(
            f"no wheels of {', '.join(requirements)} could be got for Python {python.version} on {python.machine}; "
            f"where no package index can be reached, name a folder in wheels. The end of what pip said:\n{log}",
            log,
        )


async def _run(command: Sequence[str], tell: Progress) -> tuple[int, list[str]]:
    """Run pip in a session of its own, which ends with the caller; return its status, and its last lines."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=2**20,
    )
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").strip()
            if line.startswith(("Collecting", "Downloading", "Processing")):
                tell(line)
            if line:
                last.append(line)
        return await process.wait(), list(last)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@functools.lru_cache(maxsize=1000)
def _digest(path: Path, _size: int, _changed: int) -> str:
    """Return the SHA-256 of a file; that of one that has not changed is known."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
