"""Secrets: values that reach the kernel's environment, and are masked in all that comes out of it.

A value is found as it is, and as JSON, Python's `repr`, HTML and URLs write it; so is the better half of one that was
cut off. It is not found in what was made of it: base64, a hash, a picture, one character a line. Pure.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from kernel_exec.errors import InvalidArgument, WrongType
from kernel_exec.settings import check_variable, checked_pattern

T = TypeVar("T", bound=Any)

SHORTEST = 4
"""Characters of the shortest value that can be told from other text."""
_LONG_LINE = 16
"""Characters of the shortest line of a value of several lines that is masked by itself."""
_WHOLE = 12
"""Characters of a value below which only the whole is masked."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values that nobody is to see.

    Attributes:
        values: variables of the kernel's environment, by name; at least four characters each.
        patterns: regular expressions; what one of them matches is masked as well, where it comes in one piece.

    Raises:
        InvalidArgument, WrongType: one of them cannot work; the message names no value.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    patterns: Collection[str | re.Pattern[str]] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise WrongType(f"secrets must map names to values, not be {type(self.values).__name__}")
        for name, value in self.values.items():
            _check(name, value)
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        if isinstance(self.patterns, str) or not isinstance(self.patterns, Collection):
            raise WrongType(f"secrets.patterns must be a list, not {type(self.patterns).__name__}")
        object.__setattr__(self, "patterns", tuple(checked_pattern("secrets.patterns", one) for one in self.patterns))

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self.values)}, patterns={len(self.patterns)})"


_NUMBER = re.compile(r"[0-9.eE+-]+")


def checked_secrets(secrets: Mapping[str, str] | Secrets | None) -> Secrets:
    """Return secrets; none for None.

    Raises:
        InvalidArgument, WrongType: they cannot work.
    """
    if isinstance(secrets, Secrets):
        return secrets
    return Secrets({} if secrets is None else secrets)


class Veil:
    """Masks secrets. With none to mask, everything is returned as it is.

    Args:
        secrets: what is masked.
    """

    def __init__(self, secrets: Secrets) -> None:
        forms = {form: f"[secret {name}]" for name, value in secrets.values.items() for form in _forms(value)}
        self._forms = sorted(forms.items(), key=lambda item: -len(item[0]))
        self._patterns = [re.compile(pattern) for pattern in secrets.patterns]
        # Of a value without digits none is hidden in a number, and numbers are many.
        self._numbers = bool(secrets.patterns) or any(map(_NUMBER.fullmatch, secrets.values.values()))

    def __bool__(self) -> bool:
        return bool(self._forms or self._patterns)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for form, mask in self._forms:
            text = _masked(text, form, mask)
        for pattern in self._patterns:
            text = pattern.sub("[secret]", text)
        return text

    def data(self, value: Any) -> Any:
        """Return what JSON can express without secrets, also in the names that it has."""
        if not self:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self.data, value))
        if self._numbers and isinstance(value, int | float):
            written = repr(value)
            return value if (masked := self.text(written)) == written else masked
        return value

    def fields(self, thing: T) -> T:
        """Return a dataclass without secrets in its fields."""
        if not self:
            return thing
        return replace(thing, **{part.name: self.data(getattr(thing, part.name)) for part in fields(thing)})

    def held(self, text: str) -> int:
        """Return how many characters at the end of a text may be the beginning of a secret."""
        return max((_begun(text, form) for form, _ in self._forms), default=0)

    def pieces(self, pieces: Iterable[str]) -> Iterator[str]:
        """Yield a text that comes in pieces without secrets, also without those that two pieces share."""
        rest = ""
        for piece in pieces:
            whole = rest + piece
            at = len(whole) - self.held(whole)
            rest = whole[at:]
            if at:
                yield self.text(whole[:at])
        if rest:
            yield self.text(rest)


def _masked(text: str, form: str, mask: str) -> str:
    """Mask a form of a value, and what is left of it where its end, or its beginning, was cut off."""
    least = len(form) if len(form) < _WHOLE else max(_WHOLE - 4, (len(form) + 1) // 2)
    head, done, at = form[:least], 0, text.find(form[:least])
    pieces = []
    while at >= 0:
        end = at + least
        while end - at < len(form) and text[end : end + 1] == form[end - at]:
            end += 1
        pieces += [text[done:at], mask]
        done, at = end, text.find(head, end)
    text = "".join((*pieces, text[done:]))
    return text.replace(form[-least:], mask) if least < len(form) else text


def _begun(text: str, form: str) -> int:
    """Return how many characters at the end of a text are the beginning of a form."""
    at = text.find(form[0], max(0, len(text) - len(form) + 1))
    while at >= 0 and not form.startswith(text[at:]):  # an attempt at each length would take its square of a long one
        at = text.find(form[0], at + 1)
    return len(text) - at if at >= 0 else 0


def _forms(value: str) -> set[str]:
    """Return how a value may be written; each long line of one that has several may stand by itself."""
    lines = [line.strip() for line in value.splitlines()]
    parts = [value, *(line for line in lines if len(line) >= _LONG_LINE and line != value)]
    return {form for part in parts for form in _written(part)}


def _written(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield quote(value)
    yield quote(value, safe="")
    yield quote_plus(value)


def _check(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise WrongType(f"secrets must map names to strings, but {name!r} is of type {type(value).__name__}")
    check_variable(name, value)
    if len(value) < SHORTEST:
        raise InvalidArgument(
            f"the secret {name!r} has {len(value)} characters: fewer than {SHORTEST} cannot be told from other text"
        )
