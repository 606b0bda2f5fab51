"""Settings that can be sent to another process, or copied, though their mappings cannot be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any


class Plain:
    """Base of a frozen dataclass with mappings that cannot be changed: it is made anew where it is unpickled."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
        return partial(type(self), **plain), ()
