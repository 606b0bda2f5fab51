"""Runs in a container: installs wheels into its Python, if that is asked for, and tells what that is.

Its arguments are none, or FOLDER TRIM REQUIREMENT...: FOLDER has the wheels, and goes; TRIM is a JSON list of patterns
below site-packages of what goes as well. The last line of the output is a JSON object.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version


def about() -> dict[str, str]:
    """Return what this Python is."""
    told = {"executable": sys.executable, "version": ".".join(map(str, sys.version_info[:3]))}
    told["machine"] = platform.machine()
    with contextlib.suppress(ValueError, OSError):  # another C library than GNU's
        told["glibc"] = (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2]
    with contextlib.suppress(ImportError):
        told["ipykernel"] = version("ipykernel")
    return told


def install(folder: str, requirements: list[str]) -> int:
    """Install from the wheels in a folder, with the pip among them, or else that of this Python; return its status."""
    found = glob.glob(os.path.join(folder, "pip-*.whl"))
    pip = [os.path.join(found[0], "pip")] if found else ["-m", "pip"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment.update(
        PIP_CONFIG_FILE=os.devnull,
        PIP_BREAK_SYSTEM_PACKAGES="1",
        PIP_ROOT_USER_ACTION="ignore",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_CACHE_DIR="1",
        TMPDIR=folder,
    )
    command = [sys.executable, *pip, "install", "--no-index", "--find-links", folder, *requirements]
    return subprocess.call(command, stdout=2, env=environment)


def trim(patterns: list[str]) -> None:
    """Remove files and directories below site-packages."""
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for pattern in patterns:
            for path in glob.glob(os.path.join(place, pattern), recursive=True):
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif os.path.exists(path):
                    os.unlink(path)


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for; return the exit status."""
    # A kernel does not find what lies in the image's working directory either.
    sys.path[:] = [path for path in sys.path if path]
    if arguments:
        folder, patterns, *requirements = arguments
        status = install(folder, requirements)
        shutil.rmtree(folder)
        if status:
            return status
        trim(json.loads(patterns))
    sys.stdout.write(json.dumps(about()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
