"""Wheels for the Python of an image: got with pip on the host, where the way to packages is; or a user's folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from kernel_exec.errors import ImageBuildFailed, InvalidArgument, WrongType
from kernel_exec.kernels.images.python import Python
from kernel_exec.settings import PathLike

LAST_LINES = 12
"""Lines of a program that failed that an error tells."""

# `pip download` takes another Python's version and platform, but decides by the one that runs it which requirements
# apply: `exceptiongroup; python_version < "3.11"` would be left out of the wheels for a Python 3.10. It has no option
# for that (https://github.com/pypa/pip/issues/11664), and the image's own pip cannot be asked: it has no network.
_FOREIGN_PIP = """\
import json, runpy, sys
from pip._vendor.packaging import markers
known, other = markers.default_environment, json.loads(sys.argv.pop(1))
markers.default_environment = lambda: {**known(), **other}
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
_PATIENCE = 10.0
"""Seconds in which a program that was asked to end has cleaned up."""
_log = logging.getLogger(__name__)


def normalized(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements in the form that is the same for all that mean the same, sorted.

    Raises:
        InvalidArgument, WrongType: one of them is none.
    """
    if isinstance(requirements, str) or not isinstance(requirements, Iterable):
        raise WrongType(f"requirements must be a list, such as ['pandas>=2'], not {requirements!r}")
    return tuple(sorted({_normalized(requirement) for requirement in requirements}))


def _normalized(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if not isinstance(text, str):
        raise WrongType(f"a requirement must be a string, not {type(text).__name__}")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise InvalidArgument(f"{text!r} is no requirement ({reason}): say it like 'pandas>=2'") from error
    if requirement.url:
        raise InvalidArgument(f"{text!r} names an address: put that wheel into a folder, and name the folder in wheels")
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)


def checked_folder(wheels: PathLike) -> Path:
    """Return a user's folder of wheels as a path.

    Raises:
        InvalidArgument, WrongType: it is none, or has none.
    """
    if not isinstance(wheels, str | os.PathLike):
        raise WrongType(f"wheels must be the path of a folder, not {type(wheels).__name__}")
    folder = Path(wheels).expanduser().absolute()
    if not folder.is_dir():
        raise InvalidArgument(f"the folder of wheels {str(folder)!r} does not exist")
    if not files(folder):
        raise InvalidArgument(
            f"there is no wheel in {str(folder)!r}: `pip download -d FOLDER REQUIREMENT` puts some there"
        )
    return folder


def files(folder: Path) -> list[Path]:
    """Return the wheels in a folder, sorted."""
    return sorted(path for path in folder.glob("*.whl") if path.is_file())


async def download(folder: Path, requirements: Sequence[str], python: Python) -> None:
    """Get the wheels of requirements, and of all that they require, and one of pip.

    Raises:
        ImageBuildFailed: pip cannot; its last lines are told.
    """
    command = [sys.executable, "-c", _FOREIGN_PIP, json.dumps(python.markers()), "download", "--dest", str(folder)]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python.version]
    command += [f"--platform={platform}" for platform in python.platforms()]
    status, log = await run([*command, *requirements, "pip"], scratch=folder)
    if status:
        raise ImageBuildFailed(
            f"no wheels of {', '.join(requirements)} could be got for Python {python.version} on {python.machine}; "
            f"where no package index can be reached, name a folder in wheels. The end of what pip said:\n{log}",
            log,
        )


async def run(command: Sequence[str], *, scratch: Path) -> tuple[int, str]:
    """Run a program, with its temporary files in `scratch`; return its status, and its last lines.

    Its steps are logged. It is asked to end when the caller is cancelled, and has to.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(scratch)},
        limit=2**20,
    )
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").strip()
            if line.startswith(("Collecting", "Downloading", "Processing")):
                _log.info("%s", line)
            if line:
                last.append(line)
        return await process.wait(), "\n".join(last)
    finally:
        if process.returncode is None:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
