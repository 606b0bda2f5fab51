"""The files that a cell made: by path, by what happened to them, and by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from kernel_exec.compare.difference import Difference, short
from kernel_exec.compare.forms import form_differences
from kernel_exec.compare.images import picture_differences
from kernel_exec.compare.stamps import timeless
from kernel_exec.compare.terms import Terms
from kernel_exec.compare.texts import text_differences
from kernel_exec.recording.cells import is_json

Read = Callable[[str], bytes | None]
"""Returns the content of an artifact by its recorded path; None where it is not at hand. What does not have the
recorded hash is taken for not at hand, so a reader may simply read the work directory as it is now."""

_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"})
_TEXTS = frozenset({".csv", ".tsv", ".txt", ".md", ".log", ".yaml", ".yml", ".xml", ".py"})
_FORMS = {".html": "text/html", ".svg": "image/svg+xml", ".json": "application/json", ".geojson": "application/json"}
_LONG = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Files:
    """How to read artifacts whose content differs: then what they show is compared, not their bytes.

    Args:
        old: reads those of the recording.
        new: reads those of the new run.
    """

    old: Read
    new: Read


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    change: str
    size: int
    sha256: str

    def __str__(self) -> str:
        return "deleted" if self.change == "deleted" else f"{self.change}, {self.size:,} bytes, {self.sha256[:8]}"


def artifact_differences(
    old: Mapping[str, Any], new: Mapping[str, Any], terms: Terms, files: Files | None = None
) -> list[Difference]:
    """Return how the files of a cell differ; nothing where one of the notebooks does not tell of files.

    Args:
        old: the cell then.
        new: the cell now.
        terms: what is ignored, and how close contents must be.
        files: reads contents; None compares hashes only.
    """
    ours, theirs = _files(old), _files(new)
    if ours is None or theirs is None or "artifacts" in terms.rules.ignore:
        return []
    paths = [path for path in {**ours, **theirs} if not terms.rules.ignores_artifact(path)]
    return [
        difference.at(f"artifact {short(path, 200)}")
        for path in paths
        for difference in _of_file(ours.get(path), theirs.get(path), terms, files)
    ]


def _files(cell: Mapping[str, Any]) -> dict[str, _File] | None:
    metadata = cell.get("metadata")
    ours = metadata.get("kernel_exec") if isinstance(metadata, dict) else None
    if not isinstance(ours, dict):
        return None
    facts = ours.get("artifacts", [])
    files = [_file(fact) for fact in facts if isinstance(fact, dict)] if isinstance(facts, list) else []
    return {file.path: file for file in files}


def _file(fact: dict[str, Any]) -> _File:
    path, change, sha256 = (str(fact.get(key, "")) for key in ("path", "change", "sha256"))
    size = fact.get("size")
    return _File(path, change, size if isinstance(size, int) else 0, sha256)


def _of_file(old: _File | None, new: _File | None, terms: Terms, files: Files | None) -> Iterator[Difference]:
    if old is None or new is None:
        word = "it is not made any more" if new is None else "it is new"
        yield Difference("artifact", word, str(old or ""), str(new or ""))
    elif old.change != new.change:
        yield Difference("artifact", f"{old.change} -> {new.change}", str(old), str(new))
    elif old.sha256 != new.sha256:
        found = _content_differences(old, new, terms, files) if files else None
        if found is None:
            sizes = f"{old.size:,} -> {new.size:,} bytes" if old.size != new.size else f"{old.size:,} bytes as before"
            yield Difference("artifact", f"other content ({sizes})", str(old), str(new))
        for difference in found or ():
            yield replace(difference, kind="artifact")


def _content_differences(old: _File, new: _File, terms: Terms, files: Files) -> list[Difference] | None:
    """Return how contents differ; None where that cannot be said."""
    suffix = PurePosixPath(old.path).suffix.lower()
    ours, theirs = _content(old, files.old), _content(new, files.new)
    if ours is None or theirs is None:
        return None
    if suffix not in _IMAGES | _TEXTS | _FORMS.keys():
        return [] if timeless(ours) == timeless(theirs) else None
    if suffix in _IMAGES:
        return picture_differences(ours, theirs, terms)
    try:
        return _text_differences(suffix, ours.decode("utf-8"), theirs.decode("utf-8"), terms)
    except UnicodeDecodeError:
        return None


def _text_differences(suffix: str, old: str, new: str, terms: Terms) -> list[Difference]:
    mime = _FORMS.get(suffix)
    if mime is None:
        return text_differences(old, new, terms, "log" if suffix == ".log" else "data")
    if not is_json(mime):
        return form_differences(mime, old, new, terms)
    try:
        return form_differences(mime, json.loads(old), json.loads(new), terms)
    except (ValueError, RecursionError):
        return text_differences(old, new, terms, "data")


def _content(file: _File, read: Read) -> bytes | None:
    content = read(file.path) if file.size <= _LONG else None
    return content if content is not None and hashlib.sha256(content).hexdigest() == file.sha256 else None
