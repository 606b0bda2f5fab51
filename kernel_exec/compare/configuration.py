"""Rules as projects write them down: `[tool.kernel_exec.verify]` of pyproject.toml, and nbval's sanitise files.

[tool.kernel_exec.verify]
relative = 1e-6
ignore = ["stderr"]
ignore_artifacts = ["*.log"]
sanitize = [{ regex = "run-[0-9]+", replace = "run-N" }]
sanitize_with = ["nbval.cfg"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kernel_exec.compare.rules import Rules, Sanitizer
from kernel_exec.errors import InvalidArgument

TABLE = "tool.kernel_exec.verify"

_SANITIZER = re.compile(r"^regex: (.*)$\n^replace: ?(.*)$", re.MULTILINE)


def nearest_rules(start: str | Path) -> Rules:
    """Return the rules of the nearest pyproject.toml that has some, the default ones where none has.

    Args:
        start: a notebook, or a directory; looked for there and upwards.

    Raises:
        InvalidArgument: the file cannot be read, or has an unknown key, or a value that cannot be.
    """
    start = Path(start).absolute()
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and (table := _table(file)) is not None:
            return rules_from(table, file)
    return Rules()


def rules_from(table: Mapping[str, Any], file: Path) -> Rules:
    """Return the rules that a table of a file has.

    Args:
        table: what stands under `[tool.kernel_exec.verify]`.
        file: the file, for messages, and for paths relative to it.

    Raises:
        InvalidArgument: an unknown key, a wrong type, a value that cannot be; the message names key and file.
    """
    options: dict[str, Any] = {}
    for key, value in table.items():
        read = _KEYS.get(key)
        if read is None:
            raise InvalidArgument(f"{file}: [{TABLE}] has no key {key!r}; it knows {', '.join(sorted(_KEYS))}")
        try:
            name, got = read(key, value, file.parent)
            options[name] = options.get(name, ()) + got if name == "sanitize" else got
        except (InvalidArgument, OSError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"{file}: [{TABLE}] {key}: {error}") from error
    try:
        return Rules(**options)
    except InvalidArgument as error:
        raise InvalidArgument(f"{file}: [{TABLE}] {error}") from None


def sanitizers_of(text: str) -> tuple[Sanitizer, ...]:
    """Return what a sanitise file of nbval says: sections of a `regex: ...` line and a `replace: ...` line.

    Raises:
        InvalidArgument: one of them is no regular expression.
    """
    return tuple(Sanitizer(regex, replace) for regex, replace in _SANITIZER.findall(text))


def _table(file: Path) -> dict[str, Any] | None:
    try:
        table: Any = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidArgument(f"{file} cannot be read: {error}") from error
    for name in TABLE.split("."):
        table = table.get(name) if isinstance(table, dict) else None
    if table is not None and not isinstance(table, dict):
        raise InvalidArgument(f"{file}: {TABLE} must be a table, not {type(table).__name__}")
    return table


_Read = Callable[[str, Any, Path], tuple[str, Any]]


def _number(key: str, value: Any, _: Path) -> tuple[str, float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(f"must be a number, not {value!r}")
    return key, float(value)


def _flag(key: str, value: Any, _: Path) -> tuple[str, bool]:
    if not isinstance(value, bool):
        raise InvalidArgument(f"must be true or false, not {value!r}")
    return key, value


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidArgument(f"must be a list of strings, not {value!r}")
    return tuple(value)


def _sanitize(_: str, value: Any, __: Path) -> tuple[str, tuple[Sanitizer, ...]]:
    pairs = value if isinstance(value, list) else [value]
    if not all(map(_is_sanitizer, pairs)):
        raise InvalidArgument(f'must be a list of {{ regex = "...", replace = "..." }}, not {value!r}')
    return "sanitize", tuple(Sanitizer(pair["regex"], pair["replace"]) for pair in pairs)


def _is_sanitizer(pair: Any) -> bool:
    strings = isinstance(pair, dict) and all(isinstance(text, str) for text in pair.values())
    return strings and pair.keys() == {"regex", "replace"}


def _sanitize_with(_: str, value: Any, folder: Path) -> tuple[str, tuple[Sanitizer, ...]]:
    files = [(folder / name).read_text("utf-8") for name in _strings(value)]
    return "sanitize", tuple(sanitizer for text in files for sanitizer in sanitizers_of(text))


_KEYS: dict[str, _Read] = {
    "relative": _number,
    "absolute": _number,
    "image": _number,
    "sanitize": _sanitize,
    "sanitize_with": _sanitize_with,
    "ignore": lambda key, value, _: (key, frozenset(_strings(value))),
    "ignore_artifacts": lambda key, value, _: (key, _strings(value)),
    "marked_only": _flag,
}
