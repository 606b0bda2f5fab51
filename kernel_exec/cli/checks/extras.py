"""The Python packages: what is there, and what of each extra is missing. All from the package's own metadata."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version

from packaging.requirements import Requirement

from kernel_exec.cli.checks.finding import Finding

OURS = "kernel-exec"
_TOLD = ("ipykernel", "jupyter-client", "pyzmq", "nbformat", "prompt-toolkit", "matplotlib")


def versions() -> list[Finding]:
    """Look at Python, and at the packages that every session needs."""
    detail = ", ".join(f"{name} {found}" for name in (OURS, *_TOLD) if (found := _version(name)))
    python = f"{platform.python_version()} ({sys.executable})"
    lacking = list(_lacking(None))
    if lacking:
        remedy = f"python -m pip install {' '.join(repr(str(wanted)) for wanted in lacking)}"
        return [Finding("python", "failed", f"{python}; missing: {_names(lacking)}", remedy)]
    return [Finding("python", "ok", f"{python}, {detail}")]


def extras() -> list[Finding]:
    """Look at each extra."""
    return [_extra(name) for name in distribution(OURS).metadata.get_all("Provides-Extra") or ()]


def _extra(name: str) -> Finding:
    lacking = list(_lacking(name))
    if not lacking:
        return Finding(f"extra {name}", "ok", "installed")
    return Finding(
        f"extra {name}", "missing", f"not installed: {_names(lacking)}", f"python -m pip install '{OURS}[{name}]'"
    )


def _lacking(extra: str | None) -> Iterator[Requirement]:
    """The packages that an extra needs (None: that we need without any) and that are not there, or too old."""
    for wanted in _requirements(extra):
        found = _version(wanted.name)
        if not found or not wanted.specifier.contains(found, prereleases=True):
            yield wanted


def _requirements(extra: str | None) -> Iterator[Requirement]:
    for text in distribution(OURS).requires or ():
        wanted = Requirement(text)
        alone = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if alone is (extra is None) and (alone or (wanted.marker and wanted.marker.evaluate({"extra": extra or ""}))):
            yield from _resolved(wanted)


def _resolved(wanted: Requirement) -> Iterator[Requirement]:
    """An extra may be made of others of ours."""
    if wanted.name != OURS:
        yield wanted
        return
    for extra in sorted(wanted.extras):
        yield from _requirements(extra)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _names(wanted: list[Requirement]) -> str:
    return ", ".join(dict.fromkeys(str(Requirement(f"{one.name}{one.specifier}")) for one in wanted))
