"""Notebooks as others write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def code(source: str, *tags: str, outputs: Sequence[Mapping[str, Any]] = (), **metadata: Any) -> dict[str, Any]:
    facts = {**metadata, **({"tags": list(tags)} if tags else {})}
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": facts,
        "source": source,
        "outputs": list(outputs),
    }


def text(source: str, kind: str = "markdown", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


def write(path: Path, *cells: Mapping[str, Any] | str, minor: int = 5, **metadata: Any) -> Path:
    """Write a notebook; a string is a cell of code."""
    made = [code(cell) if isinstance(cell, str) else dict(cell) for cell in cells]
    if minor >= 5:
        made = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(made)]
    notebook = {"cells": made, "metadata": {"kernelspec": KERNEL, **metadata}, "nbformat": 4, "nbformat_minor": minor}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def read(path: Path) -> Any:
    """Return a notebook, which is valid."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook
