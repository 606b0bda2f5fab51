"""The cells of a script. Pure: text in, cells out."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

from kernel_exec.recording.source import Program, SourceCell

# A marker as Spyder, VS Code, PyCharm and jupytext know it; `# %%time` is a magic that was commented out.
_MARKER = re.compile(r"#\s?%%(?:\s+(?P<rest>.*?))?\s*")
_KIND = re.compile(r"\[(markdown|md|raw)\]")
_OPTION = re.compile(r"""([\w-]+)\s*=\s*(\[[^\]]*\]|"[^"]*"|'[^']*'|\S+)""")
_JUPYTEXT_HEADER = re.compile(r"\A# ---\n(?:#.*\n)*?# ---\n")


def read_script(text: str) -> Program:
    """Return the cells of a Python script with `# %%` markers; without any it is one cell."""
    text = _JUPYTEXT_HEADER.sub("", text.removeprefix("\ufeff").replace("\r\n", "\n"))
    return Program(tuple(cell for cell in _script_cells(text) if cell.source.strip()))


def looks_like_notebook(text: str) -> bool:
    """Whether text of unknown origin is a notebook: no Python script is a JSON object with cells."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        return "cells" in json.loads(text)
    except (ValueError, RecursionError):
        return False


def parameter_value(text: str) -> Any:
    """Return the value that a parameter's text means: JSON, else a Python literal, else the text itself."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
            ast.literal_eval(repr(value))  # NaN and the infinities are no literals: they stay text
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value
    return text


def _script_cells(text: str) -> Iterator[SourceCell]:
    header = ""
    lines: list[str] = []
    strings = _lines_in_strings(text)
    for number, line in enumerate(text.split("\n"), 1):
        marker = None if number in strings else _MARKER.fullmatch(line)
        if marker is None:
            lines.append(line)
            continue
        yield _script_cell(header, lines)
        header, lines = marker["rest"] or "", []
    yield _script_cell(header, lines)


def _lines_in_strings(text: str) -> set[int]:
    """Return the numbers of the lines that begin inside a string, where a marker is only text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()  # magics, or code that will say itself what is wrong with it
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr))
    return {line for node in strings for line in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)}


def _script_cell(header: str, lines: list[str]) -> SourceCell:
    kind = _KIND.search(header)
    options = {name: parameter_value(value) for name, value in _OPTION.findall(header)}
    title = _OPTION.sub("", _KIND.sub("", header, count=1)).strip()
    if isinstance(options.get("tags"), str):
        options["tags"] = options["tags"].split(",")
    metadata = {**({"title": title} if title else {}), **options}
    source = "\n".join(lines).strip("\n")
    if kind is None:
        return SourceCell("code", source.rstrip(), metadata)
    return SourceCell("raw" if kind[1] == "raw" else "markdown", _uncommented(source), metadata)


def _uncommented(text: str) -> str:
    """Return the text of a Markdown cell, which a script has in comments or in one string."""
    body = text.strip()
    for quotes in ('"""', "'''"):
        if body.startswith(quotes) and body.endswith(quotes) and len(body) >= 2 * len(quotes):
            return body[len(quotes) : -len(quotes)].strip("\n")
    return "\n".join(re.sub(r"^# ?", "", line) for line in text.split("\n"))
