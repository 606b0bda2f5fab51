"""Our default image, made where no registry of images can be reached: out of Debian's packages, and wheels."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlencode

from kernel_exec.errors import EngineError, ImageBuildFailed
from kernel_exec.kernels.container import DEFAULT_IMAGE
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.build import WRITING, Recipe
from kernel_exec.kernels.images.inventory import (
    BASE,
    BASE_IMAGE,
    KEY,
    REQUIREMENTS,
    TRIMMED,
    Image,
    find,
    label_changes,
)
from kernel_exec.kernels.images.prepared import VERSION, PreparedImage, derive, only_one, python_of
from kernel_exec.kernels.images.wheels import run

SUITE = "bookworm"
PACKAGES = ("python3", "fonts-wqy-microhei")
"""Of Debian. The font is a small one that has Chinese, Japanese and Korean."""
WANTED = ("ipykernel", "matplotlib", "numpy", "pandas", "pyarrow")
"""What an analysis of data needs, and what `get` and `put` send tables with."""
TRIM = (
    *("numpy/**/tests", "pandas/tests", "matplotlib/tests", "mpl_toolkits/**/tests", "pyarrow/tests"),
    *("pyarrow/include", "pyarrow/*flight*"),  # substrait stays: all the rest is linked to it from pyarrow 26 on
)
"""What nobody uses of those in a kernel: more than a fifth of their size."""

_LEFT_OUT = ("man", "doc", "locale", "info")
_log = logging.getLogger(__name__)


async def bootstrap(engine: Engine) -> PreparedImage:
    """Return the default image; it is made where it is not there, or is one of another version of this program.

    Raises:
        ImageBuildFailed: packages are not to be had.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    async with only_one("bootstrap"):
        found = await find(engine, DEFAULT_IMAGE)
        if found is None or not is_current(found):
            return await _make(engine)
    return PreparedImage(found.id, DEFAULT_IMAGE, await python_of(engine, found))


async def make_base(engine: Engine, name: str) -> Image:
    """Make an image out of Debian's packages.

    Raises:
        ImageBuildFailed: packages are not to be had, or not unpacked.
        EngineError, EngineUnavailable: the engine does not take it.
    """
    if shutil.which("mmdebstrap") is None:
        raise ImageBuildFailed(
            "mmdebstrap is needed to make an image of Debian's packages: `apt-get install mmdebstrap`"
        )
    _log.info("making the base image of Debian's packages (about half a minute)")
    repository, _, tag = name.rpartition(":")
    changes = "\n".join(['CMD ["python3"]', "ENV LANG=C.UTF-8", *label_changes({KEY: _key(), REQUIREMENTS: ""})])
    new = urlencode({"fromSrc": "-", "repo": repository, "tag": tag, "changes": changes})
    with tempfile.TemporaryDirectory(prefix="kernel-exec-") as scratch:
        path = Path(scratch) / "base.tar"
        status, log = await run([*_mmdebstrap(), str(path)], scratch=Path(scratch))
        if status:
            raise ImageBuildFailed(
                f"Debian's packages could not be made into an image. The end of what was said:\n{log}", log
            )
        with path.open("rb") as tar:
            answer = await engine.read("POST", f"/images/create?{new}", tar, timeout=WRITING)
    found = await find(engine, name)
    if found is None:
        raise EngineError(f"the engine does not take the base image: {answer.decode('utf-8', 'replace')}", 500)
    return found


async def _make(engine: Engine) -> PreparedImage:
    base = await find(engine, BASE_IMAGE)
    if base is None or base.labels.get(KEY) != _key():
        base = await make_base(engine, BASE_IMAGE)
    made = await derive(engine, Recipe(base, await python_of(engine, base), WANTED, trim=TRIM))
    repository, _, tag = DEFAULT_IMAGE.rpartition(":")
    await engine.ask("POST", f"/images/{quote(made.name)}/tag?{urlencode({'repo': repository, 'tag': tag})}")
    return replace(made, name=DEFAULT_IMAGE)


def is_current(image: Image) -> bool:
    """Whether an image is the one that this version makes; which releases of the packages it has does not matter."""
    told = [unquote(image.labels.get(label, "")) for label in (BASE, REQUIREMENTS, TRIMMED)]
    return told == [BASE_IMAGE, "  ".join(WANTED), "  ".join(TRIM)]


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
