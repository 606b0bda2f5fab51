"""How the images are called that we make, and what their labels say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_IMAGE = "kernel-exec/python:latest"
"""The image of kernels whose caller names none."""
BASE_IMAGE = "kernel-exec/base:bookworm"
"""What that is made on, out of Debian's packages."""
DERIVED = "kernel-exec/derived"
"""The repository of images that are made on others; their tag is the key."""
OWN = "kernel-exec/"
"""With what the names begin that only this program gives: nobody's registry is asked for one."""

KEY = "kernel_exec.key"
"""The label with what tells all that went into an image."""
BASE = "kernel_exec.base"
"""The label with the name of the image that it was made on."""
REQUIREMENTS = "kernel_exec.requirements"
"""The label with what was installed, sorted, with two spaces between."""
CREATED = "kernel_exec.created"
"""The label with when it was made, in seconds since the epoch."""
ABOUT = "kernel_exec.about"
"""The label with what its Python is, as JSON."""
PYTHON = "kernel_exec.python"
"""The label with the version of its Python."""
IPYKERNEL = "kernel_exec.ipykernel"
"""The label with the version of its ipykernel."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image in which kernels can be started.

    Attributes:
        id: what the engine knows it by; it changes with the content.
        name: the name by which it was found or made.
        python: path of the interpreter in the image.
        python_version: such as "3.11.2".
        ipykernel_version: such as "7.1.0".
    """

    id: str
    name: str
    python: str
    python_version: str
    ipykernel_version: str


def is_ours(name: str, labels: Mapping[str, str]) -> bool:
    """Whether this program gave an image that name. Images that others make on ours have our labels too.

    Args:
        name: with its tag.
        labels: of the image.
    """
    name = name.removeprefix("localhost/")  # Podman's, for what comes from no registry
    return name in (DEFAULT_IMAGE, BASE_IMAGE) or name == f"{DERIVED}:{labels.get(KEY)}"


def labels_of(about: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of an image, as the engine describes it."""
    found: Mapping[str, str] = (about.get("Config") or {}).get("Labels") or {}
    return found


def label_change(labels: Mapping[str, str]) -> str:
    """Return the instruction of a Dockerfile that sets labels."""
    return "LABEL " + " ".join(f"{_quoted(name)}={_quoted(value)}" for name, value in labels.items())


def list_change(instruction: str, words: Sequence[str]) -> str:
    """Return an instruction of a Dockerfile in its form with a JSON list."""
    return f"{instruction} {json.dumps(list(words))}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
