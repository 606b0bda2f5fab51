"""Cells as nbformat 4.5 wants them on disk: what the schema asks for, and nothing else."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from kernel_exec.errors import InvalidArgument
from kernel_exec.settings import checked_json
from kernel_exec.wire.messages import depth_beyond

Cell = dict[str, Any]
CellType = Literal["markdown", "raw", "code"]

_LEVELS = 2
_LONG_ENVIRONMENT = 100_000
"""Characters of what a kernel tells of its environment, beyond which it is not kept: it is written with each cell."""
_JSON_MIME = re.compile(r"application/(.*\+)?json")
_LINES_MIME = re.compile(r"text/.*|application/javascript|image/svg\+xml", re.DOTALL)


def code_cell(
    cell_id: str,
    source: str,
    outputs: Iterable[Mapping[str, Any]] = (),
    execution_count: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Cell:
    """Return a code cell.

    Args:
        cell_id: 1 to 64 letters, digits, hyphens and underscores; unique in the notebook.
        source: the code.
        outputs: outputs as the kernel sent them; `stored_output` makes of them what is written.
        execution_count: the number in the prompt.
        metadata: tags, timing stamps and the like.
    """
    return {
        "cell_type": "code",
        "execution_count": execution_count,
        "id": cell_id,
        "metadata": _cell_metadata(metadata),
        "outputs": list(outputs),
        "source": lines_of(source),
    }


def markdown_cell(
    cell_id: str,
    text: str,
    metadata: Mapping[str, Any] | None = None,
    attachments: Mapping[str, Mapping[str, Any]] | None = None,
) -> Cell:
    """Return a Markdown cell; `attachments` are its inline images: file name -> MIME bundle."""
    return _text_cell("markdown", cell_id, text, metadata, attachments)


def unrun_cell(
    cell_type: CellType,
    text: str,
    metadata: Mapping[str, Any] | None = None,
    attachments: Mapping[str, Mapping[str, Any]] | None = None,
) -> Cell:
    """Return a cell that no kernel runs, under an id of its own; one of code has no outputs.

    Raises:
        InvalidArgument: there is no such type of cell, or attachments are given to code.
    """
    if cell_type not in get_args(CellType):
        raise InvalidArgument(f"cell_type must be one of {', '.join(get_args(CellType))}, not {cell_type!r}")
    cell_id = uuid.uuid4().hex[:8]
    if cell_type == "code":
        if attachments:
            raise InvalidArgument("nbformat has no attachments for cells of code: write them with a text")
        return code_cell(cell_id, text, metadata=metadata)
    return _text_cell(cell_type, cell_id, text, metadata, attachments)


def checked_cell(cell: Cell) -> Cell:
    """Return the cell when nbformat 4.5 allows what is in it.

    Raises:
        InvalidArgument: it does not; one such cell would make the whole notebook invalid.
    """
    from nbformat import ValidationError, validate  # takes long, and only what people write themselves needs it

    try:
        validate(cell, ref=f"{cell['cell_type']}_cell", version=4, version_minor=5)
    except ValidationError as error:
        reason = str(error).partition("\n")[0]
        raise InvalidArgument(f"nbformat allows no such metadata or attachments: {reason}") from None
    return cell


def checked_metadata(metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return metadata for a cell that is to be run.

    Raises:
        InvalidArgument, WrongType: it is no JSON, or nbformat does not allow it.
    """
    if not metadata:
        return {}
    copy = checked_json("metadata", metadata)
    checked_cell(code_cell("x", "", metadata=copy))
    return copy


def checked_notebook_metadata(metadata: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return metadata for a notebook.

    Raises:
        InvalidArgument, WrongType: it is no JSON, or nbformat does not allow it.
    """
    if not metadata:
        return {}
    copy = checked_json("metadata", metadata)
    from nbformat import ValidationError, validate  # takes long, and few give any

    try:
        validate({"cells": [], "metadata": copy, "nbformat": 4, "nbformat_minor": 5})
    except ValidationError as error:
        reason = str(error).partition("\n")[0]
        raise InvalidArgument(f"nbformat allows no such metadata of a notebook: {reason}") from None
    return copy


def environment_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a kernel tells of its environment in its kernel_info_reply, which only ours do."""
    told = info.get("kernel_exec")
    if not isinstance(told, dict) or depth_beyond(told, _LEVELS) or len(json.dumps(told)) > _LONG_ENVIRONMENT:
        return {}
    return dict(told)


def language_info(said: Any, language: str) -> dict[str, Any]:
    """Return what a kernel says of its language, as far as nbformat allows it.

    Args:
        said: `language_info` of its kernel_info_reply, whatever that is.
        language: what its kernelspec says, for a kernel that does not.
    """
    info = {name: value for name, value in said.items() if _may_say(name, value)} if isinstance(said, dict) else {}
    return {"name": language, **info}


def lines_of(text: str | list[str]) -> list[str]:
    """Split text into lines as notebooks store them: each with its end."""
    joined = text if isinstance(text, str) else "".join(text)
    return joined.splitlines(keepends=True)


def text_of(lines: str | list[str]) -> str:
    """Return the text that a notebook stores as a string or as lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def bundle(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a MIME bundle in the form in which it is stored."""
    return {mime: _stored(mime, value) for mime, value in data.items() if value is not None or is_json(mime)}


def is_json(mime: str) -> bool:
    """Whether data of this MIME type is stored as JSON, not as text."""
    return _JSON_MIME.fullmatch(mime) is not None


def _may_say(name: str, value: Any) -> bool:
    if name == "codemirror_mode":
        return isinstance(value, str | dict)
    return isinstance(value, str) or name not in {"name", "file_extension", "mimetype", "pygments_lexer"}


def _text_cell(
    kind: str,
    cell_id: str,
    text: str,
    metadata: Mapping[str, Any] | None,
    attachments: Mapping[str, Mapping[str, Any]] | None,
) -> Cell:
    cell = {"cell_type": kind, "id": cell_id, "metadata": _cell_metadata(metadata), "source": lines_of(text)}
    if attachments:
        cell["attachments"] = {name: bundle(data) for name, data in attachments.items()}
    return cell


def _cell_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    # `trusted` is the front end's verdict on this machine; nbformat never stores it.
    return {key: value for key, value in (metadata or {}).items() if key != "trusted"}


def stored_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """Return an output as it is stored; what may not be (`transient`) is left out.

    Made when it is written, and not before: there may be many outputs, and lines take many times their text.
    """
    kind = output["output_type"]
    if kind == "stream":
        return {"name": str(output["name"]), "output_type": kind, "text": lines_of(output["text"])}
    if kind == "error":
        return {
            "ename": str(output["ename"]),
            "evalue": str(output["evalue"]),
            "output_type": kind,
            "traceback": [str(line) for line in output["traceback"]],
        }
    metadata = dict(output.get("metadata") or {})
    stored = {"data": bundle(output["data"]), "metadata": metadata, "output_type": kind}
    if kind == "execute_result":
        stored["execution_count"] = output.get("execution_count")
    return stored


def _stored(mime: str, value: Any) -> Any:
    if is_json(mime):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    elif not isinstance(value, str):
        value = json.dumps(value)  # a kernel that sends numbers as text: kept, readable, and valid
    return lines_of(value) if _LINES_MIME.fullmatch(mime) else value
