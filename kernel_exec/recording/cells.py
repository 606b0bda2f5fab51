"""Cells as nbformat 4.5 wants them on disk: what the schema asks for, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kernel_exec.errors import InvalidArgument

Cell = dict[str, Any]

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


def raw_cell(
    cell_id: str,
    text: str,
    metadata: Mapping[str, Any] | None = None,
    attachments: Mapping[str, Mapping[str, Any]] | None = None,
) -> Cell:
    """Return a raw cell, whose text is for nbconvert alone."""
    return _text_cell("raw", cell_id, text, metadata, attachments)


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
