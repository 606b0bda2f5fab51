"""A notebook read back: its cells, and what stands in the way of running them. Pure, but for `read_file`.

Nothing is believed of a notebook: anybody may have written it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from keyword import iskeyword
from pathlib import Path
from typing import Any

from kernel_exec.errors import InvalidArgument, NotebookError, WrongType
from kernel_exec.recording.cells import CellType
from kernel_exec.recording.foreign import MAX_DEPTH
from kernel_exec.wire.messages import depth_beyond

OLDEST = 1
NEWEST = 4
"""The format that is read as it is; older ones are converted."""
PARAMETERS = "parameters"
INJECTED = "injected-parameters"
_PYTHONS = frozenset({"python", "python3", "ipython"})
"""What notebooks of all ages call it."""
_TYPES: Mapping[str, CellType] = {"code": "code", "markdown": "markdown", "raw": "raw", "heading": "markdown"}


@dataclass(frozen=True, slots=True)
class SourceCell:
    """One cell that is to be run, or carried into the recording.

    Attributes:
        cell_type: only code is run.
        source: its text.
        metadata: its metadata, tags among them.
        attachments: inline images of a text cell.
        outputs: what a notebook has of an earlier run, as it is stored.
        cell_id: its id in the notebook; "" where it has none.
        execution_count: the number in its prompt, of an earlier run.
        index: where it stands in the notebook, from 0; None for a cell that comes from elsewhere.
    """

    cell_type: CellType
    source: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[Any] = ()
    cell_id: str = ""
    execution_count: int | None = None
    index: int | None = None

    @property
    def tags(self) -> Sequence[str]:
        """The tags."""
        tags = self.metadata.get("tags", ())
        return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list | tuple) else ()

    @property
    def facts(self) -> Mapping[str, Any]:
        """What our recorder knew of it; empty for a cell of others."""
        facts = self.metadata.get("kernel_exec")
        return facts if isinstance(facts, Mapping) else {}

    @property
    def was_run(self) -> bool:
        """Whether it had been run, or set a variable, when the notebook was saved; only then it has a result."""
        if self.facts.get("status") in ("skipped", "denied"):  # by a replay, or a policy, which say so
            return False
        return self.execution_count is not None or bool(self.outputs) or not {"status", "event"}.isdisjoint(self.facts)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a notebook has it."""
        return {
            "cell_type": self.cell_type,
            "id": self.cell_id,
            "metadata": self.metadata,
            "source": self.source,
            "outputs": self.outputs,
            "execution_count": self.execution_count,
        }

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
        metadata: of the notebook.
        notes: what is wrong with it and does not keep it from being run, a sentence each.
        sha256: of the file, in hexadecimal; "" for what is no file.
    """

    cells: Sequence[SourceCell]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def kernel_name(self) -> str | None:
        """The kernel that a notebook asks for; None when it does not say."""
        name = _mapping(self.metadata.get("kernelspec")).get("name")
        return name if isinstance(name, str) and name else None

    @property
    def language(self) -> str:
        """The language of its code."""
        info, spec = (_mapping(self.metadata.get(key)) for key in ("language_info", "kernelspec"))
        name = info.get("name") or spec.get("language")
        return name if isinstance(name, str) and name.lower() not in _PYTHONS else "python"

    @property
    def facts(self) -> Mapping[str, Any]:
        """What our recorder knew of the session; empty for a notebook of others."""
        return _mapping(self.metadata.get("kernel_exec"))


def read_file(path: Path) -> Program:
    """Return the notebook in a file, which is not changed.

    Raises:
        NotebookError: it cannot be read, or is no notebook.
    """
    try:
        if path.is_fifo():  # which would be waited for, without end
            raise NotebookError(f"the notebook {str(path)!r} cannot be read: it is a pipe, and no file")
        data = path.read_bytes()
    except OSError as error:
        raise NotebookError(f"the notebook {str(path)!r} cannot be read: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start} is {error.object[error.start]:#04x}"
        raise NotebookError(f"{str(path)!r} is no notebook, as it is no text in UTF-8: {wrong}") from error
    try:
        return replace(read_notebook(text), sha256=hashlib.sha256(data).hexdigest())
    except NotebookError as error:
        raise NotebookError(f"{str(path)!r}: {error}") from error


def read_notebook(text: str) -> Program:
    """Return the cells of a notebook.

    Raises:
        NotebookError: it is none.
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise NotebookError("it is no notebook: it is nested too deeply") from error
    except ValueError as error:
        raise NotebookError(f"it is no notebook, as it is no JSON: {error}; was it cut off?") from error
    notebook, notes = _in_format_4(found)
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not isinstance(notebook.get("metadata", {}), dict):
        raise NotebookError("it is JSON, but no notebook: it has no list of cells")
    if depth_beyond(notebook, MAX_DEPTH):
        raise NotebookError("it is no notebook: it is nested too deeply")
    read = tuple(read_cell(index, cell) for index, cell in enumerate(cells))
    return Program(read, notebook.get("metadata", {}), (*notes, *_warnings(notebook, read)))


def with_parameters(program: Program, parameters: Mapping[str, Any]) -> Program:
    """Return the program with a cell that sets the parameters, where papermill puts it.

    It follows the first cell tagged `parameters`, or comes first; one injected before is replaced.

    Args:
        program: a Python program.
        parameters: values by name; without any the program stays as it is.

    Raises:
        InvalidArgument: the program is in another language, a name is none, or a value is not of the types of JSON.
        WrongType: they are no dictionary.
    """
    if not parameters:
        return program
    if not isinstance(parameters, Mapping):
        raise WrongType(f"parameters must be a dictionary of values by name, not {type(parameters).__name__}")
    if program.language != "python":
        raise InvalidArgument(f"parameters are set in Python, and this is {program.language}: leave them out")
    lines = ["# Parameters", *(f"{_name(name)} = {_literal(name, value)}" for name, value in parameters.items())]
    injected = SourceCell("code", "\n".join(lines), {"tags": [INJECTED]})
    places = {tag: index for index, cell in reversed(list(enumerate(program.cells))) for tag in cell.tags}
    cells = list(program.cells)
    if INJECTED in places:
        replaced = cells[places[INJECTED]]
        cells[places[INJECTED]] = replace(injected, index=replaced.index)
    else:
        cells.insert(places.get(PARAMETERS, -1) + 1, injected)
    return replace(program, cells=cells)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        raise InvalidArgument(f"{name!r} cannot be the name of a parameter: name a variable")
    return name


def _literal(name: str, value: Any) -> str:
    """Return Python for a value: the types of JSON and tuples, with the numbers that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{float(value)}')"
    if isinstance(value, list | tuple):
        items = ", ".join(_literal(name, item) for item in value)
        return f"[{items}]"
    if isinstance(value, Mapping):
        items = ", ".join(f"{_literal(name, key)}: {_literal(name, item)}" for key, item in value.items())
        return f"{{{items}}}"
    if value is None or isinstance(value, bool):
        return repr(value)
    for kind in (str, int, float):  # a number of numpy's or a member of an enumeration is one of these, too
        if isinstance(value, kind):
            return kind.__repr__(value)
    raise InvalidArgument(
        f"parameter {name!r} holds a {type(value).__name__}: parameters are numbers, texts, lists and dictionaries"
    )


def _in_format_4(found: Any) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(found, dict) or not isinstance(found.get("nbformat"), int):
        raise NotebookError("it is JSON, but no notebook: it does not say its format (`nbformat`)")
    version = found["nbformat"]
    if version == NEWEST:
        return found, []
    if not OLDEST <= version < NEWEST:
        raise NotebookError(f"it is of format {version}, and those up to {NEWEST} can be read: save it as one of them")
    import nbformat  # takes long, and only old notebooks need it here

    try:
        return nbformat.convert(nbformat.from_dict(found), NEWEST), [f"it was converted from format {version}"]
    except Exception as error:  # its converters trust what they are given
        raise NotebookError(f"it says that it is of format {version}, and cannot be converted: {error!r}") from error


def read_cell(index: int, cell: Any) -> SourceCell:
    """Return a cell of a notebook of format 4.

    Args:
        index: where it stands in the notebook, from 0.
        cell: what JSON made of it.

    Raises:
        NotebookError: it is no cell.
    """
    said = cell.get("cell_type") if isinstance(cell, dict) else None
    kind = _TYPES.get(said) if isinstance(said, str) else None
    source = cell.get("source", "") if isinstance(cell, dict) else None
    lines = source if isinstance(source, list) else [source]
    if kind is None or not all(isinstance(line, str) for line in lines):
        raise NotebookError(f"it is no notebook: cell {index} (from 0) is no cell with a type and a source")
    outputs, count, cell_id = cell.get("outputs"), cell.get("execution_count"), cell.get("id")
    return SourceCell(
        kind,
        "".join(map(str, lines)),
        _mapping(cell.get("metadata")),
        _mapping(cell.get("attachments")) if kind != "code" else {},
        outputs if isinstance(outputs, list) and kind == "code" else (),
        cell_id if isinstance(cell_id, str) else "",
        count if isinstance(count, int) else None,
        index,
    )


def _warnings(notebook: Mapping[str, Any], cells: Sequence[SourceCell]) -> list[str]:
    from nbformat import ValidationError, validate  # takes long

    notes = []
    ids = [cell.cell_id for cell in cells if cell.cell_id]
    if len(ids) > len(set(ids)):
        notes.append("some of its cells have the same id")
    numbered = [{**cell, "id": str(index)} for index, cell in enumerate(notebook["cells"])]
    try:
        validate({**notebook, "nbformat_minor": 5, "cells": numbered}, version=4, version_minor=5)
    except ValidationError as error:
        notes.append(f"nbformat finds it invalid: {str(error).partition(chr(10))[0][:300]}")
    language = Program(cells, _mapping(notebook.get("metadata"))).language
    for cell in cells:
        other = _mapping(cell.metadata.get("vscode")).get("languageId")
        if cell.cell_type == "code" and other not in (None, language):
            notes.append(f"cell {cell.index} says that it is in {str(other)[:40]!r}, and is run as {language}")
    if not _mapping(_mapping(notebook.get("metadata")).get("kernelspec")):
        notes.append("it names no kernel")
    return notes


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
