"""Whose message is it, and what follows from it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_exec.settings import Limits
from kernel_exec.wire import conversation as module
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.conversation import Changed, Conversation, Event, Finished, InputWanted, Shown
from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.outputs import ITEM_COST, MANY_SAME, Outputs
from tests.wire.talk import clear, display, execute_input, message, reply, status, stream, update


def begun(*ids: str) -> tuple[Conversation, list[Cell]]:
    talk = Conversation()
    cells = [Cell(f"cell-{one}", "", one) for one in ids]
    for cell in cells:
        talk.begin(cell)
    return talk, cells


def kinds(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


def refuse(talk: Conversation, one: Message, why: str) -> None:
    with pytest.raises(BadMessage, match=why):
        talk.receive(one)


def take(talk: Conversation, one: Message) -> list[Event]:
    """What a message brings about; nothing when it is refused."""
    try:
        return talk.receive(one)
    except BadMessage:
        return []


def finish(talk: Conversation, parent: str) -> None:
    talk.receive(reply(parent))
    assert kinds(talk.receive(status("idle", parent))) == [Finished]


def test_a_cell_from_busy_to_idle() -> None:
    talk, (cell,) = begun("r1")
    assert talk.receive(status("busy")) == []
    assert set(cell.stamps) == {"iopub.status.busy"}
    assert talk.receive(execute_input(count=4)) == []
    assert cell.execution_count == 4
    assert set(cell.stamps) == {"iopub.status.busy", "iopub.execute_input"}
    (shown,) = talk.receive(stream("hello"))
    assert shown == Shown(cell, {"output_type": "stream", "name": "stdout", "text": "hello"})
    assert talk.receive(reply(count=4)) == []
    assert talk.receive(status("idle")) == [Finished(cell)]
    assert cell.outputs.stream("stdout") == "hello"
    assert cell.execution_count == 4
    assert set(cell.stamps) == {
        "iopub.status.busy",
        "iopub.execute_input",
        "shell.execute_reply.started",
        "shell.execute_reply",
        "iopub.status.idle",
    }
    assert talk.receive(status("idle")) == []


@pytest.mark.parametrize("wait", [True, False])
def test_what_was_cleared_is_neither_updated_nor_kept(wait: bool) -> None:
    talk, (first, second) = begun("r1", "r2")
    talk.receive(display("elsewhere", "x", "r2"))
    for number in range(3):
        talk.receive(display(str(number), f"id {number}", "r1"))
        talk.receive(display(str(number), "x", "r1"))
        talk.receive(clear("r1", wait=wait))
    talk.receive(stream("last", parent="r1"))
    assert set(talk._displays) == {"x"}
    talk.receive(update("new", "x", "r1"))
    assert first.outputs.snapshot() == [{"output_type": "stream", "name": "stdout", "text": "last"}]
    assert second.outputs.snapshot()[0]["data"] == {"text/plain": "new"}


def test_messages_of_strangers_change_nothing_and_are_counted() -> None:
    talk, (cell,) = begun("r1")
    for one in (status("busy", "other"), status("idle", "other"), execute_input("other"), status("idle", "")):
        assert talk.receive(one) == []
    for one in (stream("x", parent="other"), display("x", "d", "other"), reply("other"), clear("other", wait=False)):
        refuse(talk, one, "not known here")
    assert cell.outputs.snapshot() == []
    assert not cell.started


def test_output_without_a_parent_belongs_to_the_latest_cell() -> None:
    talk, (first, second) = begun("r1", "r2")
    assert talk.receive(stream("x", parent=""))[0] == Shown(
        second, {"output_type": "stream", "name": "stdout", "text": "x"}
    )
    assert first.outputs.snapshot() == []
    assert Conversation().receive(stream("x", parent="")) == []


def test_late_output_goes_to_its_cell() -> None:
    talk, (first, second) = begun("r1", "r2")
    finish(talk, "r1")
    assert talk.receive(stream("late", parent="r1"))[1:] == [Changed(first)]
    assert first.outputs.stream("stdout") == "late"
    assert second.outputs.snapshot() == []


def test_an_alias_is_the_latest_cell_but_cannot_end_it() -> None:
    talk, (cell,) = begun("r1")
    talk.alias("info")
    talk.receive(stream("x", parent="info"))
    assert cell.outputs.stream("stdout") == "x"
    for one in (status("busy", "info"), execute_input("info", 9), reply("info"), status("idle", "info")):
        assert talk.receive(one) == []
    assert not cell.started
    fresh = Conversation()
    fresh.alias("info")
    refuse(fresh, stream("x", parent="info"), "not known")


def test_aliases_are_bounded_and_push_no_cell_out() -> None:
    talk, (first, second) = begun("r1", "r2")
    for number in range(module.KEPT_CELLS + 1):
        talk.alias(f"info{number}")
    talk.begin(Cell("cell-3", "", "r3"))
    assert talk.receive(stream("late", parent="r1"))[0] == Shown(
        first, {"output_type": "stream", "name": "stdout", "text": "late"}
    )
    refuse(talk, stream("late", parent="info0"), "not known")
    (shown,) = talk.receive(stream("late", parent=f"info{module.KEPT_CELLS}"))
    assert isinstance(shown, Shown)
    assert shown.cell is second


def test_an_alias_goes_with_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_CELLS", 1)
    talk, _ = begun("r1")
    talk.alias("info")
    talk.begin(Cell("cell-2", "", "r2"))
    refuse(talk, stream("late", parent="info"), "not known")


def test_a_display_is_updated_wherever_it_stands() -> None:
    talk, (first, second) = begun("r1", "r2")
    (shown,) = talk.receive(display("old", "d", parent="r1"))
    assert isinstance(shown, Shown)
    assert shown.item["transient"] == {"display_id": "d"}
    talk.receive(display("old", "d", parent="r2"))
    finish(talk, "r1")
    events = talk.receive(update("new", "d", parent="r2"))
    assert events[1:] == [Changed(first)]
    assert [cell.outputs.snapshot()[0]["data"] for cell in (first, second)] == [{"text/plain": "new"}] * 2
    assert all("transient" not in cell.outputs.snapshot()[0] for cell in (first, second))
    finish(talk, "r2")
    assert talk.receive(update("newer", "d", parent="r2"))[1:] == [Changed(second), Changed(first)]
    assert talk.receive(update("newest", "d", parent="r1"))[1:] == [Changed(first), Changed(second)]


def test_an_update_of_an_unknown_display_changes_nothing() -> None:
    talk, (cell,) = begun("r1")
    for _ in range(2):
        refuse(talk, update("x", "never"), "not there")
        assert cell.outputs.snapshot() == []
        if not cell.finished:
            finish(talk, "r1")


def test_clear_output_reaches_the_cell_and_the_watcher() -> None:
    talk, (cell,) = begun("r1")
    talk.receive(stream("x"))
    assert talk.receive(clear(wait=True)) == [Shown(cell, {"output_type": "clear_output", "wait": True})]
    assert cell.outputs.stream("stdout") == "x"
    assert talk.receive(clear(wait=False)) == [Shown(cell, {"output_type": "clear_output", "wait": False})]
    assert cell.outputs.snapshot() == []
    finish(talk, "r1")
    assert kinds(talk.receive(clear(wait=False))) == [Shown, Changed]


def test_input_is_asked_for() -> None:
    talk, (cell,) = begun("r1")
    asked = message("input_request", channel="stdin", prompt="name: ", password=True)
    assert talk.receive(asked) == [InputWanted(cell, "name: ", password=True)]
    assert talk.receive(message("input_request", channel="stdin")) == [InputWanted(cell, "", password=False)]
    for bad in ({"prompt": 3}, {"password": "yes"}):
        refuse(talk, message("input_request", channel="stdin", **bad), "no valid prompt")
    refuse(talk, message("input_request", channel="iopub", prompt="x"), "type")
    (wanted,) = talk.receive(message("input_request", channel="stdin", prompt="x" * 10**6))
    assert isinstance(wanted, InputWanted)
    assert len(wanted.prompt) < 2 * module.LONG_PROMPT


@pytest.mark.parametrize("channel", ["iopub", "stdin", "control"])
def test_a_reply_counts_only_on_shell(channel: str) -> None:
    talk, (cell,) = begun("r1")
    real = reply()
    refuse(talk, Message(channel, real.msg_type, "m", "r1", real.content), "type")
    assert cell.reply is None


@pytest.mark.parametrize("channel", ["iopub", "stdin", "control", "shell"])
def test_unknown_types_are_refused(channel: str) -> None:
    talk, (cell,) = begun("r1")
    assert talk.receive(message("comm_open", comm_id="x")) == []
    refuse(talk, message("whatever", channel=channel), "type is unknown")
    refuse(talk, message("stream" if channel != "iopub" else "kernel_info_reply", channel=channel), "type is unknown")
    assert not cell.started


def test_a_display_that_is_refused_clears_nothing() -> None:
    talk, (cell,) = begun("r1")
    talk.receive(display("old", "d"))
    talk.receive(clear(wait=True))
    bad = message("display_data", data={"text/plain": "x"}, transient={"display_id": ["no id"]})
    refuse(talk, bad, "no valid display id")
    (shown,) = talk.receive(update("new", "d"))
    assert isinstance(shown, Shown)
    assert shown.item["data"] == {"text/plain": "new"}
    assert cell.outputs.snapshot()[0]["data"] == {"text/plain": "new"}


def test_a_second_reply_changes_nothing() -> None:
    talk, (cell,) = begun("r1")
    finish(talk, "r1")
    before = cell.reply
    refuse(talk, reply(status="error", ename="Late"), "answered already")
    assert cell.reply is before


def test_replies_to_other_requests_of_ours_are_no_news() -> None:
    talk, (cell,) = begun("r1")
    talk.alias("info")
    assert talk.receive(message("kernel_info_reply", "info", "shell")) == []
    refuse(talk, message("stream", "info", "shell"), "type is unknown")
    assert not cell.started


def test_widgets_are_followed() -> None:
    talk, _ = begun("r1")
    opened = message("comm_open", comm_id="a", target_name="jupyter.widget", data={"state": {"value": 1}})
    assert talk.receive(opened) == []
    assert talk.widgets.as_metadata()


def test_what_is_held_back_is_shown_at_the_end() -> None:
    talk = Conversation()
    talk.begin(cell := Cell("c", "", "r1", Outputs(Limits(output_bytes=1000))))
    assert kinds(talk.receive(stream("x" * 5000))) == [Shown]
    assert talk.receive(stream("held")) == []
    talk.receive(reply())
    shown, ended = talk.receive(status("idle"))
    assert isinstance(shown, Shown)
    assert shown.item["text"].endswith("held")
    assert ended == Finished(cell)


def test_what_the_kernel_left_out_is_told() -> None:
    talk, (cell,) = begun("r1")
    told = message("kernel_exec_cut", name="stdout", left_out=7)
    (shown,) = talk.receive(told)
    assert isinstance(shown, Shown)
    assert shown.item["text"] == cell.outputs.stream("stdout")
    assert "7 bytes of stdout left out" in shown.item["text"]
    talk.receive(reply())
    talk.receive(status("idle"))
    assert kinds(talk.receive(told)) == [Shown, Changed]


def test_a_malformed_output_is_refused() -> None:
    talk, (cell,) = begun("r1")
    with pytest.raises(BadMessage):
        talk.receive(message("stream", text=3))
    with pytest.raises(BadMessage):
        talk.receive(message("update_display_data", data=3, transient={"display_id": "d"}))
    assert cell.outputs.snapshot() == []


def test_old_cells_are_forgotten_by_number_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_CELLS", 2)
    talk, (_, second, third) = begun("r1", "r2", "r3")
    refuse(talk, stream("x", parent="r1"), "not known")
    talk.receive(display("x" * 60, "d", parent="r2"))
    talk.receive(display("x" * 60, "d", parent="r3"))
    monkeypatch.setattr(module, "KEPT_BYTES", 100 + 2 * ITEM_COST)
    talk.begin(fourth := Cell("c", "", "r4"))
    refuse(talk, stream("x", parent="r2"), "not known")
    assert talk.receive(update("new", "d", parent="r4"))[1:] == []
    assert third.outputs.snapshot()[0]["data"] == {"text/plain": "new"}
    assert second.outputs.snapshot()[0]["data"] == {"text/plain": "x" * 60}
    fourth.outputs.add(stream("y" * 2000))
    talk.begin(Cell("c", "", "r5"))
    assert talk.receive(stream("z", parent="r5"))


def test_an_update_changes_no_more_than_the_last_displays_of_its_id() -> None:
    talk, cells = begun(*(f"r{number}" for number in range(2 * module.MANY_OWNERS)))
    for cell in cells:
        for _ in range(2 * MANY_SAME):
            talk.receive(display("old", "d", cell.msg_id))
    talk.receive(update("new", "d", "r1"))
    shown = [[output["data"]["text/plain"] for output in cell.outputs.snapshot()] for cell in cells]
    old, new = ["old"] * MANY_SAME, ["new"] * MANY_SAME
    assert shown == [old + old] * module.MANY_OWNERS + [old + new] * module.MANY_OWNERS


def test_what_is_kept_is_bounded_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 100 + 2 * ITEM_COST)
    talk, (first, second) = begun("r1", "r2")
    first.outputs.add(stream("x" * 60))
    second.outputs.add(stream("x" * 40))
    talk.begin(Cell("c", "", "r3"))
    assert talk.receive(stream("", parent="r1"))
    first.outputs.add(stream("x"))
    third = Cell("c", "", "r4")
    talk.begin(third)
    refuse(talk, stream("", parent="r1"), "not known")
    assert talk.receive(stream("", parent="r2"))
    third.outputs.add(stream("x" * 2000))
    talk.begin(Cell("c", "", "r5"))
    assert [bool(take(talk, stream("", parent=parent))) for parent in ("r2", "r3", "r4", "r5")] == [False] * 3 + [True]


# Any interleaving that the protocol allows gives the same result.

texts = st.text("ab\n\r", max_size=4)
ids = st.sampled_from("de")


def outputs_for(parent: str) -> st.SearchStrategy[Message]:
    return st.one_of(
        st.builds(lambda text, name: stream(text, name, parent), texts, st.sampled_from(["stdout", "stderr"])),
        st.builds(lambda text, one: display(text, one and parent + one, parent), texts, ids | st.just("")),
        st.builds(lambda text, one: update(text, parent + one, parent), texts, ids),
        st.builds(lambda wait: clear(parent, wait=wait), st.booleans()),
    )


def stranger() -> st.SearchStrategy[Message]:
    parents = st.sampled_from(["other", "x9"])
    return st.one_of(
        st.builds(lambda parent: status("idle", parent), parents),
        st.builds(reply, parents),
        st.builds(lambda parent: stream("noise", parent=parent), parents),
        st.builds(lambda parent: clear(parent, wait=False), parents),
    )


def merged(draw: Any, *sequences: list[Message]) -> list[Message]:
    """Interleave sequences, each in its own order."""
    left = [list(sequence) for sequence in sequences]
    order: list[Message] = []
    while any(left):
        some = draw(st.sampled_from([index for index, sequence in enumerate(left) if sequence]))
        order.append(left[some].pop(0))
    return order


@given(st.data(), st.lists(outputs_for("r1"), max_size=8), st.lists(stranger(), max_size=4))
def test_any_allowed_interleaving_gives_the_same_result(data: Any, shown: list[Message], noise: list[Message]) -> None:
    iopub = [status("busy"), execute_input(), *shown, status("idle")]
    straight, (expected,) = begun("r1")
    for one in [*iopub, reply()]:
        take(straight, one)
    talk, (cell,) = begun("r1")
    finished_at = []
    order = merged(data.draw, iopub, [reply()], noise)
    for index, one in enumerate(order):
        if Finished(cell) in take(talk, one):
            finished_at.append(index)
    ends = [i for i, one in enumerate(order) if one.parent_id == "r1" and one in (iopub[-1], *_replies(order))]
    assert finished_at == [max(ends)]
    assert cell.outputs.snapshot() == expected.outputs.snapshot()
    assert cell.stamps == expected.stamps
    assert (cell.execution_count, cell.reply_status) == (expected.execution_count, expected.reply_status)


def _replies(order: list[Message]) -> list[Message]:
    return [one for one in order if one.msg_type == "execute_reply" and one.parent_id == "r1"]


@given(st.data(), st.lists(outputs_for("r1"), max_size=6), st.lists(outputs_for("r2"), max_size=6))
def test_late_output_and_the_next_cell_do_not_mix(data: Any, late: list[Message], shown: list[Message]) -> None:
    ends = {parent: [status("idle", parent), reply(parent)] for parent in ("r1", "r2")}
    apart, expected = begun("r1", "r2")
    for one in [*late, *ends["r1"], *shown, *ends["r2"]]:
        take(apart, one)
    talk, cells = begun("r1", "r2")
    for one in [*ends["r1"], *merged(data.draw, late, [*shown, *ends["r2"]])]:
        take(talk, one)
    assert [cell.outputs.snapshot() for cell in cells] == [cell.outputs.snapshot() for cell in expected]
    assert all(cell.finished for cell in cells)
