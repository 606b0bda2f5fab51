"""The state of a session's widgets, so that the recording can show them: what front ends keep and a kernel does not.

An `ipywidgets.Output` takes the output of the cell that it names in its `msg_id`, for as long as it does.

Comm messages: https://jupyter-client.readthedocs.io/en/stable/messaging.html#custom-messages
Stored form: https://ipywidgets.readthedocs.io/en/stable/embedding.html
"""

from __future__ import annotations

import base64
from typing import Any

from kernel_exec.settings import Limits
from kernel_exec.wire.messages import BadMessage, Frame, Message
from kernel_exec.wire.outputs import Outputs

MIME = "application/vnd.jupyter.widget-state+json"
MAX_BYTES = 16 * 2**20
"""What the widgets of a session may hold in this process; models beyond it are not kept."""
MODEL_COST = 1000
"""Bytes that count for each model beyond its state."""
_LONG_ID = 256
_TAKER = "OutputModel"
_MANY_TAKERS = 100
_LIMITS = Limits(output_bytes=2**20, image_bytes=2 * MAX_BYTES)
"""What one Output widget may hold: of text and displays no more than this, of pictures what all widgets may."""


class Widgets:
    """The models that the kernel has open, by comm id."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Any]] = {}
        self._taken: dict[str, Outputs] = {}  # what Output widgets have taken, by comm id
        self._takers: list[tuple[str, str]] = []  # id of a request, and comm id of who takes its output: the last does
        self._sizes: dict[str, int] = {}
        self._size = 0
        self.changed = False
        """True when something changed since this was last set to False."""

    def receive(self, message: Message) -> None:
        """Take a comm message.

        Raises:
            BadMessage: it is not what the protocol says, or its model is more than is kept.
        """
        comm_id, data = message.content.get("comm_id"), message.content.get("data", {})
        if not isinstance(comm_id, str) or len(comm_id) > _LONG_ID or not isinstance(data, dict):
            raise BadMessage("a comm message has no valid id and data")
        if message.msg_type == "comm_close":
            self._drop(comm_id)
        elif message.msg_type == "comm_open" and message.content.get("target_name") == "jupyter.widget":
            self._update(comm_id, {"state": {}, "buffers": {}}, data, message.buffers)
        elif comm_id in self._models and data.get("method") in ("update", "echo_update"):
            self._update(comm_id, self._models[comm_id], data, message.buffers)

    def taker(self, msg_id: str) -> str | None:
        """Return the widget that takes the output of a request; None when it is the cell's own."""
        return next((comm_id for request, comm_id in reversed(self._takers) if request == msg_id), None)

    def take(self, comm_id: str, message: Message) -> None:
        """Give an output, or a wish to clear, to a widget that takes it.

        Raises:
            BadMessage: it is not what the protocol says, or the widgets hold more than is kept.
        """
        outputs = self._taken.setdefault(comm_id, Outputs(_LIMITS))
        if message.msg_type == "clear_output":
            outputs.clear(wait=message.content.get("wait") is True)
            self._weigh(comm_id)
            return
        before = outputs.cuts.left_out
        outputs.add(message)
        self._weigh(comm_id)
        if outputs.cuts.left_out > before:
            raise BadMessage("a display was too large for the Output widget that takes it")

    def update_display(self, display_id: str, bundle: dict[str, Any]) -> bool:
        """Put other data into a display that a widget has taken; return whether there is one."""
        showing = [comm_id for comm_id, outputs in self._taken.items() if outputs.update(display_id, bundle)]
        for comm_id in showing:
            self._weigh(comm_id)
        return bool(showing)

    def as_metadata(self) -> dict[str, Any]:
        """Return the notebook's `metadata.widgets`; empty when there are no widgets."""
        if not self._models:
            return {}
        models = {comm_id: _stored(model, self._taken.get(comm_id)) for comm_id, model in self._models.items()}
        return {MIME: {"state": models, "version_major": 2, "version_minor": 0}}

    def _update(self, comm_id: str, model: dict[str, Any], data: dict[str, Any], buffers: tuple[Frame, ...]) -> None:
        state, paths = data.get("state", {}), data.get("buffer_paths") or []
        if not isinstance(state, dict) or not isinstance(paths, list) or len(paths) > len(buffers):
            raise BadMessage("a comm message has no valid state and buffers")
        self.changed = True
        self._models[comm_id] = model
        model["state"].update(state)
        for path, buffer in zip(paths, buffers, strict=False):
            model["buffers"][repr(path)] = {
                "encoding": "base64",
                "path": path,
                "data": base64.b64encode(buffer).decode("ascii"),
            }
        if state.keys() & {"msg_id", "outputs"} and model["state"].get("_model_name") == _TAKER:
            self._begin_taking(comm_id, state)
        self._weigh(comm_id)

    def _begin_taking(self, comm_id: str, state: dict[str, Any]) -> None:
        if "msg_id" in state:
            self._takers = [pair for pair in self._takers if pair[1] != comm_id][-_MANY_TAKERS:]
            if isinstance(state["msg_id"], str) and 0 < len(state["msg_id"]) <= _LONG_ID:
                self._takers.append((state["msg_id"], comm_id))
        if "outputs" in state:  # the code has set them itself
            self._taken.pop(comm_id, None)

    def _weigh(self, comm_id: str) -> None:
        """Count what a widget holds; it goes when that is too much."""
        self.changed = True
        taken = self._taken.get(comm_id)
        size = MODEL_COST + len(repr(self._models[comm_id])) + (taken.size if taken else 0)
        self._size += size - self._sizes.get(comm_id, 0)
        self._sizes[comm_id] = size
        if self._size > MAX_BYTES:
            self._drop(comm_id)
            raise BadMessage("the widgets of the session hold more than is kept of them")

    def _drop(self, comm_id: str) -> None:
        self._size -= self._sizes.pop(comm_id, 0)
        self._taken.pop(comm_id, None)
        self._takers = [pair for pair in self._takers if pair[1] != comm_id]
        self.changed = self._models.pop(comm_id, None) is not None or self.changed


def _stored(model: dict[str, Any], taken: Outputs | None) -> dict[str, Any]:
    state = model["state"]
    if taken is not None:
        before = state.get("outputs")
        state = {**state, "outputs": [*(before if isinstance(before, list) else ()), *taken.snapshot()]}
    stored = {
        "model_name": state.get("_model_name"),
        "model_module": state.get("_model_module"),
        "model_module_version": state.get("_model_module_version"),
        "state": state,
    }
    return stored | ({"buffers": list(model["buffers"].values())} if model["buffers"] else {})
