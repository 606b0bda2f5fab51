"""What this Python is and has, in a form that a recording can keep."""

from __future__ import annotations

import locale
import os
import platform
import sys
import time
from typing import Any

_SEEDS = ("PYTHONHASHSEED", "KERNEL_EXEC_SEED")


def environment() -> dict[str, Any]:
    """Return what most often explains that code gives another result elsewhere."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform} {os.uname().release}",
        "machine": os.uname().machine,
        "distribution": _distribution(),
        "locale": locale.setlocale(locale.LC_CTYPE),
        "timezone": os.environ.get("TZ") or time.tzname[0],
        "seeds": {name: os.environ[name] for name in _SEEDS if name in os.environ},
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """Return the versions of what is installed, read off the names of directories: that takes no millisecond."""
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                package, _, version = name[: -len(".dist-info")].rpartition("-")
                found.setdefault(package.lower().replace("_", "-"), version)
    return dict(sorted(found.items()))


def _distribution() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            lines = dict(line.rstrip().partition("=")[::2] for line in file)
    except (OSError, ValueError):
        return ""
    return lines.get("PRETTY_NAME", "").strip('"')
