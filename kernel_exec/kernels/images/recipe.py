"""What goes into an image that is made on another one. Pure, but for the files whose content counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel_exec.kernels.images import names
from kernel_exec.kernels.images.python import Python
from kernel_exec.kernels.images.wheels import inputs

VERSION = 1
"""Counted up when the same inputs give another image."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image, before it is there.

    Attributes:
        base: the name of the image below, as the user knows it.
        about: that image, as the engine describes it.
        python: what it has.
        requirements: normalized and sorted.
        wheels: a folder with all of them; None when pip gets them.
        trim: patterns of what lies below site-packages that the new image does without.
    """

    base: str
    about: Mapping[str, Any]
    python: Python
    requirements: tuple[str, ...]
    wheels: Path | None = None
    trim: tuple[str, ...] = ()

    def key(self) -> str:
        """Return what is the same for all that is made of the same. Reads the wheels."""
        said = json.dumps([VERSION, self.about["Id"], self.requirements, inputs(self.wheels), self.trim])
        return hashlib.sha256(said.encode()).hexdigest()[:24]

    def labels(self, key: str) -> dict[str, str]:
        """Return what the image is told to be made of."""
        return {names.KEY: key, names.BASE: self.base, names.REQUIREMENTS: "  ".join(self.requirements)}
