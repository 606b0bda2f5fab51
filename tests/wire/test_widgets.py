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


def test_an_echoed_update_counts_too() -> None:
    widgets = Widgets()
    assert widgets.changed is False
    widgets.receive(opened(value=1))
    widgets.receive(comm("msg", data={"method": "echo_update", "state": {"value": 5}}))
    assert states(widgets)["a"]["value"] == 5


def test_the_stored_form() -> None:
    widgets = Widgets()
    state = {"_model_name": "M", "_model_module": "@x/controls", "_model_module_version": "2.0.0"}
    widgets.receive(comm("open", data={"state": state}, target_name="jupyter.widget"))
    data = {"method": "update", "buffer_paths": [["a"], ["b"]]}
    widgets.receive(comm("msg", data=data, buffers=(b"1", b"2", b"3")))
    stored = {
        "model_name": "M",
        "model_module": "@x/controls",
        "model_module_version": "2.0.0",
        "state": state,
        "buffers": [
            {"encoding": "base64", "path": ["a"], "data": "MQ=="},
            {"encoding": "base64", "path": ["b"], "data": "Mg=="},
        ],
    }
    assert widgets.as_metadata() == {MIME: {"state": {"a": stored}, "version_major": 2, "version_minor": 0}}


def test_a_closed_model_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", module.MODEL_COST + 400)
    widgets = Widgets()
    for number in range(20):
        widgets.receive(opened(str(number), value="x" * 100))
        assert set(states(widgets)) == {str(number)}
        widgets.receive(comm("close", str(number)))


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


NO_ID = "a comm message has no valid id and data"
NO_STATE = "a comm message has no valid state and buffers"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (comm("msg", comm_id=3), NO_ID),
        (comm("msg", data=[1]), NO_ID),
        (comm("msg", data={"method": "update", "state": [1]}), NO_STATE),
        (comm("msg", data={"method": "update", "buffer_paths": "x"}), NO_STATE),
        (comm("msg", data={"method": "update", "buffer_paths": [["x"]]}), NO_STATE),
    ],
)
def test_malformed_messages_are_refused(bad: Message, why: str) -> None:
    widgets = Widgets()
    widgets.receive(opened(value=1))
    with pytest.raises(BadMessage, match=f"^{why}$"):
        widgets.receive(bad)
    assert states(widgets)["a"]["value"] == 1


def test_models_beyond_the_bound_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", module.MODEL_COST + 400)
    widgets = Widgets()
    widgets.receive(opened("small", value="x"))
    with pytest.raises(BadMessage, match="more than is kept"):
        widgets.receive(opened("large", value="x" * 500))
    assert set(states(widgets)) == {"small"}


def test_a_model_that_is_refused_is_not_kept() -> None:
    widgets = Widgets()
    widgets.receive(opened(value=1))
    for comm_id in ("a", "b"):
        with pytest.raises(BadMessage):
            widgets.receive(comm("open", comm_id, {"state": 3}, target_name="jupyter.widget"))
    assert states(widgets) == {"a": {"_model_name": "IntModel", "value": 1}}


def test_an_output_widget_takes_what_a_request_puts_out() -> None:
    widgets = Widgets()
    widgets.receive(opened("outer", _model_name="OutputModel", outputs=[]))
    widgets.receive(opened("inner", _model_name="OutputModel", outputs=[]))
    widgets.receive(opened("other", msg_id="r1"))  # of another kind: its `msg_id` means nothing
    assert widgets.taker("r1") is None
    widgets.receive(told("outer", msg_id="r1"))
    widgets.receive(told("inner", msg_id="r1"))
    assert (widgets.taker("r1"), widgets.taker("r2")) == ("inner", None)
    widgets.take("inner", printed("in"))
    widgets.receive(told("inner", msg_id=""))
    assert widgets.taker("r1") == "outer"
    widgets.take("outer", printed("out"))
    widgets.receive(comm("close", "outer"))
    assert widgets.taker("r1") is None
    assert states(widgets)["inner"]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "in"}]
    for wrong in (3, None, "r" * 1000):
        widgets.receive(told("inner", msg_id=wrong))
    assert widgets.taker("r1") is None


def test_widgets_that_take_output_are_bounded() -> None:
    widgets = Widgets()
    for number in range(module._MANY_TAKERS + 50):
        widgets.receive(opened(f"w{number}", _model_name="OutputModel", msg_id=f"r{number}"))
    assert len(widgets._takers) <= module._MANY_TAKERS + 1
    assert widgets.taker("r0") is None
    taker = widgets.taker(f"r{number}")
    assert taker is not None
    for _ in range(4):
        widgets.take(taker, printed("x" * 2**20))
    [output] = states(widgets)[taker]["outputs"]
    assert len(output["text"]) <= module._LIMITS.output_bytes + 2000
    with pytest.raises(BadMessage, match="too large for the Output widget"):
        widgets.take(taker, displayed({"text/html": "x" * 2**21}))
    picture = displayed({"image/png": "A" * (6 * 2**20)})
    for _ in range(3):
        widgets.take(taker, picture)
    with pytest.raises(BadMessage, match="more than is kept"):
        widgets.take(taker, picture)
    assert taker not in states(widgets)


def told(comm_id: str, **state: Any) -> Message:
    return comm("msg", comm_id, {"method": "update", "state": state})


def printed(text: str) -> Message:
    return Message("iopub", "stream", "m", "r1", {"name": "stdout", "text": text}, {}, "", ())


def displayed(data: dict[str, Any]) -> Message:
    return Message("iopub", "display_data", "m", "r1", {"data": data, "metadata": {}}, {}, "", ())
