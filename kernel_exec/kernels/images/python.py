"""What Python an image has; and what is known of that, by the image's id, which says all of what is in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

OLDEST_PYTHON = "3.10"
OLDEST_IPYKERNEL = "6.29"

_known: dict[str, Python] = {}


@dataclass(frozen=True, slots=True)
class Python:
    """The Python of an image.

    Attributes:
        executable: its path in the image.
        version: such as "3.11.2".
        machine: as `uname -m` has it, such as "x86_64".
        glibc: version of GNU's C library, such as "2.36"; "" for another one (musl).
        ipykernel: its version; "" where there is none.
    """

    executable: str
    version: str
    machine: str = ""
    glibc: str = ""
    ipykernel: str = ""

    @property
    def is_new_enough(self) -> bool:
        """Whether our code runs on it."""
        return _release(self.version) >= _release(OLDEST_PYTHON)

    @property
    def has_kernel(self) -> bool:
        """Whether it has an ipykernel that our code runs with."""
        return _release(self.ipykernel) >= _release(OLDEST_IPYKERNEL)

    def markers(self) -> dict[str, str]:
        """Return those of the variables that decide which requirements apply to it in which it may differ from ours.

        https://packaging.python.org/en/latest/specifications/dependency-specifiers/
        """
        return {
            "implementation_version": self.version,
            "platform_machine": self.machine,
            "python_full_version": self.version,
            "python_version": ".".join(self.version.split(".")[:2]),
        }

    def platforms(self) -> list[str]:
        """Return the tags of wheels that it takes, best first.

        https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
        """
        if not self.glibc:
            return [*(f"musllinux_1_{minor}_{self.machine}" for minor in (2, 1, 0)), f"linux_{self.machine}"]
        named = [f"manylinux_2_{minor}_{self.machine}" for minor in range(_release(self.glibc)[1], 4, -1)]
        return [*named, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


def python_from(text: str | bytes) -> Python | None:
    """Return the Python that a container, a label or a file tells of; None where that is none: none is trusted."""
    try:
        told = json.loads(text)
        found: dict[str, Any] = {field.name: told.get(field.name, "") for field in fields(Python)}
    except (ValueError, AttributeError, RecursionError):
        return None
    if not all(isinstance(value, str) and len(value) < 4096 and value.isprintable() for value in found.values()):
        return None
    python = Python(**found)
    whole = python.executable and _release(python.version) and re.fullmatch(r"(\d+\.\d+)?", python.glibc)
    return python if whole else None


def known(image: str) -> Python | None:
    """Return the Python of the image of an id; None when it is not known."""
    if image not in _known:
        with contextlib.suppress(OSError, RuntimeError):
            found = python_from(_file(image).read_bytes())
            if found is not None:
                _known[image] = found
    return _known.get(image)


def remember(image: str, python: Python) -> None:
    """Keep what Python the image of an id has; for this process only where there is no place for more."""
    _known[image] = python
    with contextlib.suppress(OSError, RuntimeError):
        file = _file(image)
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{secrets.token_hex(8)}")
        new.write_text(json.dumps(asdict(python)), "utf-8")
        new.replace(file)


def cache() -> Path:
    """Return the directory for what is known of images. Raises RuntimeError where this user has no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kernel-exec"


def _file(image: str) -> Path:
    return cache() / "images" / image.rpartition(":")[2]


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with; packaging has the whole grammar, and takes 20 ms to import."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
