"""The state of widgets, as the recording keeps it."""

from typing import Any

import pytest

from kernel_exec.wire import widgets as module
from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.widgets import MIME, Widgets


def comm(kind: str, comm_id: Any = "a", data: Any = None, buffers: tuple[bytes, ...] = (), **content: Any) -> Message:
    return Message(
        "iopub", f"comm_{kind}", "m", "r1", {"comm_id": comm_id, "data": data or {}, **content}, {}, "", buffers
    )


def opened(comm_id: str = "a", **state: Any) -> Message:
    return comm("open", comm_id, {"state": {"_model_name": "IntModel", **state}}, target_name="jupyter.widget")


def states(widgets: Widgets) -> dict[str, Any]:
    stored = widgets.as_metadata().get(MIME, {"state": {}})["state"]
    return {comm_id: model["state"] for comm_id, model in stored.items()}


def test_a_model_from_open_to_close() -> None:
    widgets = Widgets()
    assert widgets.as_metadata() == {}
    widgets.receive(opened(value=1))
    assert widgets.changed
    widgets.receive(comm("msg", data={"method": "update", "state": {"value": 2}}))
    model = widgets.as_metadata()[MIME]["state"]["a"]
    assert model == {
        "model_name": "IntModel",
        "model_module": None,
        "model_module_version": None,
        "state": {"_model_name": "IntModel", "value": 2},
    }
    widgets.changed = False
    widgets.receive(comm("close"))
    assert widgets.changed
    assert widgets.as_metadata() == {}


def test_what_is_no_widget_is_left_alone() -> None:
    widgets = Widgets()
    widgets.receive(comm("open", target_name="my.target", data={"state": {"x": 1}}))
    widgets.receive(comm("msg", data={"method": "update", "state": {"x": 2}}))
    widgets.receive(comm("close"))
    assert not widgets.changed
    widgets.receive(opened(value=1))
    widgets.changed = False
    widgets.receive(comm("msg", data={"method": "custom", "content": {}}))
    assert not widgets.changed
    assert states(widgets)["a"]["value"] == 1


def test_buffers_are_kept_by_their_path() -> None:
    widgets = Widgets()
    widgets.receive(opened())
    for content in (b"old", b"new"):
        data = {"method": "update", "state": {}, "buffer_paths": [["value"]]}
        widgets.receive(comm("msg", data=data, buffers=(content,)))
    (buffer,) = widgets.as_metadata()[MIME]["state"]["a"]["buffers"]
    assert buffer == {"encoding": "base64", "path": ["value"], "data": "bmV3"}


@pytest.mark.parametrize(
    "bad",
    [
        comm("msg", comm_id=3),
        comm("msg", data=[1]),
        comm("msg", data={"method": "update", "state": [1]}),
        comm("msg", data={"method": "update", "buffer_paths": "x"}),
        comm("msg", data={"method": "update", "buffer_paths": [["x"]]}),
    ],
)
def test_malformed_messages_are_refused(bad: Message) -> None:
    widgets = Widgets()
    widgets.receive(opened(value=1))
    with pytest.raises(BadMessage):
        widgets.receive(bad)
    assert states(widgets)["a"]["value"] == 1


def test_models_beyond_the_bound_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 400)
    widgets = Widgets()
    widgets.receive(opened("small", value="x"))
    widgets.receive(opened("large", value="x" * 500))
    assert set(states(widgets)) == {"small"}
