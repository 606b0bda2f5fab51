"""Cells as a notebook has them, made by hand."""

from __future__ import annotations

from typing import Any


def stream(text: Any, name: Any = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def result(text: Any = None, **more: Any) -> dict[str, Any]:
    data = {"text/plain": text} if text is not None else {}
    return {"output_type": "execute_result", "data": {**data, **more.pop("data", {})}, "metadata": {}, **more}


def display(**data: Any) -> dict[str, Any]:
    """Keywords are MIME types with `_` for `/`."""
    bundle = {mime.replace("_", "/", 1): value for mime, value in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def error(name: str, value: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": ["..."]}


def cell(*outputs: Any, source: str = "", tags: Any = (), ran: str = "", **ours: Any) -> dict[str, Any]:
    """A code cell; `ran` is when, and `ours` the metadata of our recordings."""
    metadata: dict[str, Any] = {"tags": list(tags)} if tags else {}
    if ran:
        metadata["execution"] = {"iopub.status.busy": ran}
    if ours:
        metadata["kernel_exec"] = ours
    return {"cell_type": "code", "id": "a", "metadata": metadata, "source": source, "outputs": list(outputs)}
