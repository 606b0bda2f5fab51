"""Runs in a container: installs wheels into its Python, if that is asked for, and tells what that is.

Its arguments are none, or FOLDER TRIM REQUIREMENT...: FOLDER has the wheels, and goes; TRIM is a JSON list of patterns
below site-packages of what goes as well. The last line of the output is a JSON object.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from typing import Any


def about() -> dict[str, Any]:
    """Return what this Python is."""
    return {
        "executable": sys.executable,
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "machine": platform.machine(),
        "glibc": glibc(),
        "ipykernel": ipykernel(),
    }


def glibc() -> str:
    """Return the version of the C library that is GNU's; "" for another one."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2]
    except (ValueError, OSError):
        return ""


def ipykernel() -> str:
    """Return the version of ipykernel as a kernel would import it; "" where there is none."""
    try:
        return version("ipykernel")
    except ImportError:
        return ""


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
        PIP_PROGRESS_BAR="off",
        TMPDIR=folder,
    )
    command = [sys.executable, *pip, "install", "--no-index", "--find-links", folder, *requirements]
    return subprocess.call(command, stdout=2, env=environment)


def trim(patterns: list[str]) -> None:
    """Remove files and directories below site-packages."""
    for name in ("purelib", "platlib"):
        for pattern in patterns:
            for path in glob.glob(os.path.join(sysconfig.get_path(name), pattern), recursive=True):
                if os.path.isdir(path):
                    shutil.rmtree(path, ignore_errors=True)
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
