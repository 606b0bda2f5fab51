"""The environment of a recording, then and now: what most often explains a difference. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NAMES = {
    "python": "Python",
    "implementation": "the implementation of Python",
    "kernel": "where the kernel ran",
    "image": "the image",
    "distribution": "the operating system",
    "platform": "the platform",
    "machine": "the processor's architecture",
    "locale": "the locale",
    "timezone": "the time zone",
    "seeds": "the seeds",
}
_MANY = 20


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how an environment has changed, a sentence each; what one of them does not tell is left out.

    Args:
        old: what a recording tells of it (`environment` in its notebook's `kernel_exec`).
        new: the same of a recording of now.
    """
    named = (
        f"{name} was {_short(old[key])} and is {_short(new[key])}"
        for key, name in _NAMES.items()
        if key in old and key in new and old[key] != new[key]
    )
    return (*named, *_packages(old.get("packages"), new.get("packages")))


def _packages(old: Any, new: Any) -> Iterator[str]:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return
    names = sorted(str(name) for name in {*old, *new} if old.get(name) != new.get(name))
    for name in names[:_MANY]:
        yield f"{name} was {_short(old.get(name) or 'not there')} and is {_short(new.get(name) or 'not there')}"
    if len(names) > _MANY:
        yield f"{len(names) - _MANY} more packages have other versions"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    return " ".join(str(value).split())[:120]
