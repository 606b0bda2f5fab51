"""Our default image, made where no registry of images can be reached: out of Debian's packages, and wheels."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernel_exec.errors import ImageBuildFailed, ImageUnavailable
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images import memory, names
from kernel_exec.kernels.images.maker import Maker
from kernel_exec.kernels.images.names import BASE_IMAGE, DEFAULT_IMAGE, PreparedImage
from kernel_exec.kernels.images.progress import Progress
from kernel_exec.kernels.images.recipe import VERSION, Recipe
from kernel_exec.kernels.images.wheels import LAST_LINES, normalized

SUITE = "bookworm"
PACKAGES = ("python3", "fonts-wqy-microhei")
"""Of Debian. The font is a small one that has Chinese, Japanese and Korean."""
REQUIREMENTS = normalized(["ipykernel", "matplotlib", "numpy", "pandas", "pyarrow"])
"""What an analysis of data needs, and what `get` and `put` send tables with."""
TRIM = (
    *("numpy/**/tests", "pandas/tests", "matplotlib/tests", "mpl_toolkits/**/tests", "pyarrow/tests"),
    *("pyarrow/include", "pyarrow/*flight*", "pyarrow/*substrait*"),
)
"""What nobody uses of those in a kernel: more than a fifth of their size."""

_PATIENCE = 10.0
_LEFT_OUT = ("man", "doc", "locale", "info")


async def bootstrap(engine: Engine, *, on_progress: Progress | None = None) -> PreparedImage:
    """Make the default image where it is not there, or is one of another version of this program.

    Args:
        engine: that is to have it.
        on_progress: is called with a line of what is done, when it takes longer.

    Returns:
        The image.

    Raises:
        ImageBuildFailed: packages are not to be had.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    with Maker(engine, on_progress) as maker:
        found = await maker.find(DEFAULT_IMAGE)
        if found is None or not _is_current(found):
            found = await _default_image(maker)
        return maker.prepared(found, DEFAULT_IMAGE, await maker.python_of(found, DEFAULT_IMAGE))


async def make_base(maker: Maker, name: str) -> None:
    """Make an image out of Debian's packages.

    Args:
        maker: of the engine.
        name: of the image.

    Raises:
        ImageBuildFailed: packages are not to be had, or not unpacked.
        EngineError, EngineUnavailable: the engine does not take it.
    """
    if shutil.which("mmdebstrap") is None:
        raise ImageBuildFailed(
            "mmdebstrap is needed to make an image of Debian's packages: `apt-get install mmdebstrap`"
        )
    maker.tell("making the base image of Debian's packages (about half a minute)")
    repository, _, tag = name.rpartition(":")
    told = {names.KEY: _key(), names.REQUIREMENTS: "", names.CREATED: str(int(time.time()))}
    changes = [names.list_change("CMD", ["python3"]), "ENV LANG=C.UTF-8", names.label_change(told)]
    with tempfile.TemporaryDirectory(prefix="kernel-exec-") as scratch:
        path = Path(scratch) / "base.tar"
        await _run([*_mmdebstrap(), str(path)])

        def take(client: Any) -> None:
            with path.open("rb") as tar:
                client.import_image_from_data(tar, repository, tag, changes=changes)

        await maker.calls.do(take)


async def _default_image(maker: Maker) -> Mapping[str, Any]:
    async with memory.only_one("bootstrap", lambda: maker.tell("waiting for another process that makes the image")):
        found = await maker.find(DEFAULT_IMAGE)
        if found is not None and _is_current(found):
            return found
        base = await maker.find(BASE_IMAGE)
        if base is None or names.labels_of(base).get(names.KEY) != _key():
            await make_base(maker, BASE_IMAGE)
            base = await maker.find(BASE_IMAGE)
        if base is None:
            raise ImageUnavailable(f"the image {BASE_IMAGE} was removed as soon as it had been made: try again")
        python = await maker.python_of(base, BASE_IMAGE)
        made = await maker.derive(Recipe(BASE_IMAGE, base, python, REQUIREMENTS, trim=TRIM))
        repository, _, tag = DEFAULT_IMAGE.rpartition(":")
        await maker.calls.do(lambda client: client.tag(made.id, repository, tag))
        return await maker.find(DEFAULT_IMAGE) or {}


def _is_current(about: Mapping[str, Any]) -> bool:
    """Whether an image is the one that this version makes; which releases of the packages it has does not matter."""
    labels = names.labels_of(about)
    return labels.get(names.BASE) == BASE_IMAGE and labels.get(names.REQUIREMENTS) == "  ".join(REQUIREMENTS)


def _key() -> str:
    return hashlib.sha256(json.dumps([VERSION, _mmdebstrap()]).encode()).hexdigest()[:24]


def _mmdebstrap() -> list[str]:
    """The command, but for the file that it writes."""
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _LEFT_OUT),
        "--dpkgopt=force-unsafe-io",
        '--customize-hook=rm -rf "$1"/var/cache/* "$1"/var/lib/apt/lists/*',
        # No program inside can make anybody root.
        '--customize-hook=find "$1"/usr -xdev -perm /6000 -type f -exec chmod ug-s {} +',
        SUITE,
    ]


async def _run(command: Sequence[str]) -> None:
    """Run mmdebstrap; it cleans up what it has made when it is asked to end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            await _end(process)
    if process.returncode:
        log = "\n".join(errors.decode("utf-8", "replace").strip().splitlines()[-LAST_LINES:])
        raise ImageBuildFailed(
            f"Debian's packages could not be made into an image. The end of what was said:\n{log}", log
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
