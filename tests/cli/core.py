"""An installation without any extra, made of links to what is installed here."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from packaging.requirements import Requirement


def core_only(folder: Path) -> None:
    """Link to `folder` what is installed without any extra."""
    names, waiting = set[str](), ["kernel-exec"]
    while waiting:
        if (name := waiting.pop()) not in names:
            names.add(name)
            needed = map(Requirement, importlib.metadata.requires(name) or ())
            waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(distribution.locate_file(top)))
