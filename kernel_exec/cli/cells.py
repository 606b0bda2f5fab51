"""The cells of a script or a notebook. Pure: text in, cells out."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["code", "markdown", "raw"]

# A marker as Spyder, VS Code, PyCharm and jupytext know it; `# %%time` is a magic that was commented out.
_MARKER = re.compile(r"#\s?%%(?:\s+(?P<rest>.*?))?\s*")
_KIND = re.compile(r"\[(markdown|md|raw)\]")
_OPTION = re.compile(r"""([\w-]+)\s*=\s*(\[[^\]]*\]|"[^"]*"|'[^']*'|\S+)""")
_JUPYTEXT_HEADER = re.compile(r"\A# ---\n(?:#.*\n)*?# ---\n")


class UnreadableInput(Exception):
    """The input is no script and no notebook; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class SourceCell:
    """One cell that is to be run, or carried into the recording.

    Attributes:
        kind: only code is run.
        source: its text.
        metadata: its metadata, tags among them.
        attachments: inline images of a text cell.
    """

    kind: Kind
    source: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tags(self) -> Sequence[str]:
        """The tags."""
        tags = self.metadata.get("tags", ())
        return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list | tuple) else ()

    @property
    def may_fail(self) -> bool:
        """Whether an error in it is expected."""
        return "raises-exception" in self.tags

    @property
    def title(self) -> str:
        """One line that tells a person which cell this is."""
        lines = (line.strip() for line in self.source.splitlines())
        first = next((line for line in lines if line), "")
        return str(self.metadata.get("title") or first)


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be run.

    Attributes:
        cells: its cells, in order.
        kernel_name: the kernel that a notebook asks for; None when it does not say.
        language: the language of its code.
    """

    cells: Sequence[SourceCell]
    kernel_name: str | None = None
    language: str = "python"


def read_script(text: str) -> Program:
    """Return the cells of a Python script with `# %%` markers; without any it is one cell."""
    text = _JUPYTEXT_HEADER.sub("", text.removeprefix("\ufeff").replace("\r\n", "\n"))
    return Program([cell for cell in _script_cells(text) if cell.source.strip()])


def read_notebook(text: str) -> Program:
    """Return the cells of a notebook.

    Raises:
        UnreadableInput: it is none.
    """
    import nbformat  # takes long, and scripts do not need it

    try:
        json.loads(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ids that older notebooks lack are of no concern here
            notebook = nbformat.reads(text, as_version=4)
        cells = [_notebook_cell(cell) for cell in notebook.cells]
    except json.JSONDecodeError as error:
        raise UnreadableInput(f"it is no notebook, as it is no JSON: {error}") from error
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableInput("it is JSON, but no notebook that nbformat can read") from error
    metadata = notebook.get("metadata", {})
    kernelspec, info = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    language = info.get("name") or kernelspec.get("language") or "python"
    return Program(cells, kernelspec.get("name"), str(language))


def looks_like_notebook(text: str) -> bool:
    """Whether text of unknown origin is a notebook: no Python script is a JSON object with cells."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        return "cells" in json.loads(text)
    except (ValueError, RecursionError):
        return False


def with_parameters(program: Program, parameters: Mapping[str, Any]) -> Program:
    """Return the program with a cell that sets the parameters, where papermill puts it.

    It follows the first cell tagged `parameters`, or comes first; one injected before is replaced.

    Args:
        program: a Python program.
        parameters: values by name; without any the program stays as it is.
    """
    if not parameters:
        return program
    lines = ["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())]
    injected = SourceCell("code", "\n".join(lines), {"tags": ["injected-parameters"]})
    places = {tag: index for index, cell in reversed(list(enumerate(program.cells))) for tag in cell.tags}
    cells = list(program.cells)
    if "injected-parameters" in places:
        cells[places["injected-parameters"]] = injected
    else:
        cells.insert(places.get("parameters", -1) + 1, injected)
    return Program(cells, program.kernel_name, program.language)


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


def _notebook_cell(cell: Mapping[str, Any]) -> SourceCell:
    kind = cell["cell_type"]
    return SourceCell(kind, cell["source"], cell.get("metadata", {}), cell.get("attachments", {}))
