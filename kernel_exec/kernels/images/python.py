"""What Python an image has. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from packaging.version import InvalidVersion, Version

OLDEST_PYTHON = Version("3.10")
OLDEST_IPYKERNEL = Version("6.29")
KERNEL = f"ipykernel>={OLDEST_IPYKERNEL}"
"""What an image needs so that our code runs in it."""


@dataclass(frozen=True, slots=True)
class Python:
    """The Python of an image.

    Attributes:
        executable: its path in the image.
        version: such as "3.11.2".
        implementation: such as "cpython".
        machine: as `uname -m` has it, such as "x86_64".
        glibc: version of GNU's C library, such as "2.36"; "" for another one (musl).
        ipykernel: its version; "" where there is none.
    """

    executable: str
    version: str
    implementation: str = ""
    machine: str = ""
    glibc: str = ""
    ipykernel: str = ""

    @property
    def is_new_enough(self) -> bool:
        """Whether our code runs on it."""
        return Version(self.version) >= OLDEST_PYTHON

    @property
    def has_kernel(self) -> bool:
        """Whether it has an ipykernel that our code runs with."""
        try:
            return bool(self.ipykernel) and Version(self.ipykernel) >= OLDEST_IPYKERNEL
        except InvalidVersion:
            return False

    def markers(self) -> dict[str, str]:
        """Return the variables that decide which requirements apply to it."""
        return {
            "implementation_name": self.implementation,
            "implementation_version": self.version,
            "platform_python_implementation": "CPython" if self.implementation == "cpython" else "PyPy",
            "platform_machine": self.machine,
            "platform_system": "Linux",
            "python_full_version": self.version,
            "python_version": ".".join(self.version.split(".")[:2]),
            "sys_platform": "linux",
            "os_name": "posix",
        }

    def platforms(self) -> list[str]:
        """Return the tags of wheels that it takes, best first.

        https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
        """
        if not self.glibc:
            return [*(f"musllinux_1_{minor}_{self.machine}" for minor in (2, 1, 0)), f"linux_{self.machine}"]
        minors = range(int(self.glibc.split(".")[1]), 4, -1)
        named = [f"manylinux_2_{minor}_{self.machine}" for minor in minors]
        return [*named, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


def python_from(told: object) -> Python | None:
    """Return the Python that a container has told of, or a file; None where that is none: neither is trusted."""
    if not isinstance(told, Mapping):
        return None
    found: dict[str, Any] = {field.name: told.get(field.name, "") for field in fields(Python)}
    if not all(isinstance(value, str) and len(value) < 4096 and value.isprintable() for value in found.values()):
        return None
    try:
        Version(found["version"])
        glibc = [int(part) for part in found["glibc"].split(".")] if found["glibc"] else []
    except ValueError:
        return None
    return Python(**found) if not glibc or len(glibc) > 1 else None


def python_from_output(output: str) -> Python | None:
    """Return the Python that the last line tells of; None where it tells of none."""
    lines = output.strip().splitlines()
    try:
        return python_from(json.loads(lines[-1])) if lines else None
    except (ValueError, RecursionError):
        return None
