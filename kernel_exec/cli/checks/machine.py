"""The machine itself: what of Linux is there, disk space, file watches, a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kernel_exec.cli.checks.finding import Finding

PROBE = Path(__file__).with_name("probe_linux.py")
PROBE_TIMEOUT = 8.0
LEAST_FREE = 2**30
"""Bytes of free disk space below which a warning is due: notebooks, pictures and what was cut of long output."""
LEAST_WATCHES = 100_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "firefox")


def linux() -> list[Finding]:
    """Look at the calls that kernels are started, owned and recorded with."""
    parents = dict.fromkeys((tempfile.gettempdir(), "/tmp", "/dev/shm"))  # noqa: S108 - where a supervisor looks too
    # A process of its own, because a fork is safe in one without threads, and being a subreaper changes a process.
    command = [sys.executable, "-I", "-S", str(PROBE), *parents]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=True
    )
    return list(linux_findings(json.loads(done.stdout)))


def linux_findings(found: dict[str, Any]) -> Iterator[Finding]:
    """Yield what the probe's answer means."""
    yield _call("fork", found["fork"], "processes can be made", "raise the limit of processes (ulimit -u, pids.max)")
    yield _call("pidfd", found["pidfd"], "the end of a process is noticed", "use Linux 5.3 or newer, or allow the call")
    yield _call("subreaper", found["subreaper"], "processes that kernels leave are adopted", "allow the call prctl")
    lease = found["lease"]
    yield Finding(
        "file leases",
        "warning" if lease else "ok",
        f"not in {tempfile.gettempdir()}: {lease}" if lease else "readers of a notebook are seen",
        "record on a local file system: without leases every save writes the whole notebook" if lease else "",
    )
    yield _runtime_directory(found["directories"])


def _call(name: str, trouble: str | None, works: str, remedy: str) -> Finding:
    return Finding(name, "failed", trouble, remedy) if trouble else Finding(name, "ok", works)


def _runtime_directory(directories: dict[str, str | None]) -> Finding:
    usable = [path for path, trouble in directories.items() if not trouble]
    troubles = "; ".join(f"{path}: {trouble}" for path, trouble in directories.items() if trouble)
    if usable:
        return Finding("runtime directory", "ok", usable[0] + (f" ({troubles})" if troubles else ""))
    return Finding("runtime directory", "failed", troubles, "set TMPDIR to a short path that can be written to")


def disk() -> list[Finding]:
    """Look at the free space where sessions write."""
    places = {"work directory": os.curdir, "temporary directory": tempfile.gettempdir()}
    return [_space(f"disk: {name}", path) for name, path in places.items()]


def _space(name: str, path: str) -> Finding:
    try:
        path, free = os.path.abspath(path), shutil.disk_usage(path).free
    except OSError as error:
        return Finding(name, "warning", f"{path} cannot be looked at: {error.strerror}", "go to another directory")
    detail = f"{free / 2**30:.1f} GiB free in {path}"
    return Finding(name, "ok", detail) if free >= LEAST_FREE else Finding(name, "warning", detail, "free some space")


def watches() -> list[Finding]:
    """Look at how many directories this user may watch for changes."""
    setting = "fs.inotify.max_user_watches"
    try:
        allowed = int(Path("/proc/sys", *setting.split(".")).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        return [Finding("file watches", "warning", f"{setting} cannot be read: {error}", "mount /proc")]
    if allowed >= LEAST_WATCHES:
        return [Finding("file watches", "ok", f"{allowed} directories may be watched")]
    remedy = f"sudo sysctl {setting}={LEAST_WATCHES * 5}, where work directories have very many folders"
    return [Finding("file watches", "warning", f"only {allowed} directories may be watched", remedy)]


def browser() -> list[Finding]:
    """Look for a browser."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return [Finding("browser", "ok", path)]
    return [Finding("browser", "missing", "none on PATH", "install chromium, e.g. apt-get install chromium")]
