"""Whose message is it, and what follows from it: the conversation with one kernel, without any I/O.

`receive` takes a message and returns what happened because of it. What the protocol means is decided here and
in `cell.py` and `outputs.py`, and nowhere else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from kernel_exec.wire.budget import shortened
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.long_text import LongText
from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.outputs import Output, bundle_of, display_id_of, without_bad_pictures
from kernel_exec.wire.widgets import Widgets

KEPT_CELLS = 500
KEPT_ALIASES = 100
KEPT_BYTES = 16 * 2**20
LONG_PROMPT = 10_000
MANY_OWNERS = 50
"""Cells that show displays of one id: an update takes time for each, and changes no more than the last ones."""

_COMM_TYPES = frozenset({"comm_open", "comm_msg", "comm_close"})
_OUTPUT_TYPES = frozenset({"stream", "display_data", "execute_result", "error"})
_NEWS_TYPES = frozenset({"status", "execute_input", "iopub_welcome", "shutdown_reply", "debug_event"})
"""What tells of the kernel: it goes to all clients, and need not be about a request that is known here."""

_UNKNOWN_TYPE = "its type is unknown, or has no business on its channel"
_UNKNOWN_PARENT = "it belongs to a request that is not known here"


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell put something out; `item` is an nbformat output, or a change to earlier ones.

    A change has the `output_type` "update_display_data" (with `data`, `metadata`, `transient`) or
    "clear_output" (with `wait`).
    """

    cell: Cell
    item: Output


@dataclass(frozen=True, slots=True)
class Changed:
    """The outputs of a cell that had finished are not what they were: late output, or an updated display."""

    cell: Cell


@dataclass(frozen=True, slots=True)
class Finished:
    """A cell has its reply and its idle."""

    cell: Cell


@dataclass(frozen=True, slots=True)
class InputWanted:
    """The code of a cell waits for a line of input."""

    cell: Cell
    prompt: str
    password: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A part of a message was refused, and the rest of it taken."""

    reason: str


Event = Shown | Changed | Finished | InputWanted | Refused


class Conversation:
    """Routes the messages of one kernel to the cells that they belong to.

    Args:
        widgets: follows the models that the kernel opens; None to begin with none.
    """

    def __init__(self, widgets: Widgets | None = None) -> None:
        self._cells: OrderedDict[str, Cell] = OrderedDict()  # by msg_id, oldest first; bounded
        self._aliases: OrderedDict[str, Cell] = OrderedDict()  # by ids of other requests; bounded
        self._displays: dict[str, tuple[Cell, ...]] = {}  # cells that show a display, by its id
        self._latest: Cell | None = None
        self.widgets = widgets or Widgets()

    def begin(self, cell: Cell) -> None:
        """Start routing to a cell whose request is being sent."""
        self._cells[cell.msg_id] = cell
        self._latest = cell
        self._forget_old()

    def alias(self, msg_id: str) -> None:
        """Count output that names the request `msg_id`, which is no cell, as the latest cell's.

        The kernel takes its last request for the parent of what a descriptor or a thread puts out, whatever
        that request was.
        """
        if self._latest is not None:
            self._aliases[msg_id] = self._latest
            while len(self._aliases) > KEPT_ALIASES:
                self._aliases.popitem(last=False)

    def receive(self, message: Message) -> list[Event]:
        """Take one message; return what happened, in order.

        Raises:
            BadMessage: the message is not what the protocol says; nothing changed.
        """
        cell = self._cell_of(message)
        if message.channel == "iopub" and message.msg_type in _NEWS_TYPES:
            return self._progress(cell, message) if cell is not None and cell.msg_id == message.parent_id else []
        if cell is None:
            if message.channel == "iopub" and not message.parent_id:  # from before the first cell
                return []
            raise BadMessage(_UNKNOWN_PARENT)
        return self._broadcast(cell, message) if message.channel == "iopub" else self._answer(cell, message)

    def _answer(self, cell: Cell, message: Message) -> list[Event]:
        if message.channel == "shell" and message.msg_type == "execute_reply" and cell.msg_id == message.parent_id:
            return self._ended(cell, cell.take_reply, message)
        if message.channel == "stdin" and message.msg_type == "input_request":
            return [_input_wanted(cell, message)]
        if message.msg_type.endswith("_reply") and message.parent_id in self._aliases:
            return []
        raise BadMessage(_UNKNOWN_TYPE)

    def _cell_of(self, message: Message) -> Cell | None:
        if not message.parent_id and message.channel == "iopub" and message.msg_type in _OUTPUT_TYPES:
            return self._latest
        return self._cells.get(message.parent_id) or self._aliases.get(message.parent_id)

    def _broadcast(self, cell: Cell, message: Message) -> list[Event]:
        kind = message.msg_type
        if (kind in _OUTPUT_TYPES or kind == "clear_output") and (taker := self.widgets.taker(message.parent_id)):
            return self._give(taker, cell, message)
        if kind in _OUTPUT_TYPES:
            return self._output(cell, message)
        if kind == "update_display_data":
            return self._update_display(cell, message)
        if kind == "clear_output":
            return self._clear(cell, message)
        if kind == "kernel_exec_cut":
            return self._cut(cell, message)
        if kind not in _COMM_TYPES:
            raise BadMessage(_UNKNOWN_TYPE)
        self.widgets.receive(message)
        return []

    def _give(self, taker: str, cell: Cell, message: Message) -> list[Event]:
        """Give an output of a cell to the widget that takes it, whose state shows it."""
        cell.given_away += message.msg_type in _OUTPUT_TYPES
        text = message.content.get("text")
        if isinstance(text, LongText):
            for piece in text.pieces():
                self.widgets.take(taker, replace(message, content={**message.content, "text": piece}))
            return []
        sound = without_bad_pictures(message)
        self.widgets.take(taker, sound)
        return [] if sound is message else [Refused("a picture is not base64")]

    def _clear(self, cell: Cell, message: Message) -> list[Event]:
        wait = message.content.get("wait", False)
        if not isinstance(wait, bool | int):
            raise BadMessage("a clear_output message has no valid wait")
        wait = bool(wait)
        cell.outputs.clear(wait=wait)
        if not wait:
            self._forget_displays(cell)
        return self._shown(cell, {"output_type": "clear_output", "wait": wait})

    def _cut(self, cell: Cell, message: Message) -> list[Event]:
        line = cell.outputs.take_cut(message)
        return self._shown(cell, line) if line else []

    def _progress(self, cell: Cell, message: Message) -> list[Event]:
        if message.msg_type == "execute_input":
            cell.take_input(message)
        return self._ended(cell, cell.take_status, message) if message.msg_type == "status" else []

    def _ended(self, cell: Cell, take: Callable[[Message], None], message: Message) -> list[Event]:
        before = cell.finished
        take(message)
        if before or not cell.finished:
            return []
        return [*(Shown(cell, item) for item in cell.outputs.held_back()), Finished(cell)]

    def _output(self, cell: Cell, message: Message) -> list[Event]:
        text = message.content.get("text")
        if isinstance(text, LongText):
            pieces = (replace(message, content={**message.content, "text": piece}) for piece in text.pieces())
            return [event for piece in pieces for event in self._output(cell, piece)]
        sound = without_bad_pictures(message)
        refused: list[Event] = [] if sound is message else [Refused("a picture is not base64")]
        return refused + self._add(cell, sound)

    def _add(self, cell: Cell, message: Message) -> list[Event]:
        clears = cell.outputs.clears_next
        output = cell.outputs.add(message)
        if clears:
            self._forget_displays(cell)
        if output is None:
            return []
        display_id = display_id_of(message)
        if not display_id:
            return self._shown(cell, output)
        owners = self._displays.get(display_id, ())
        if cell not in owners:
            self._displays[display_id] = (*owners[1 - MANY_OWNERS :], cell)
        return self._shown(cell, {**output, "transient": {"display_id": display_id}})

    def _update_display(self, cell: Cell, message: Message) -> list[Event]:
        sound = without_bad_pictures(message)
        bundle, display_id = bundle_of(sound.content), display_id_of(sound)
        owners = self._displays.get(display_id)
        if not owners and self.widgets.update_display(display_id, bundle):
            return []
        if not owners:
            raise BadMessage("it updates a display that is not there")
        fitting = {owner: owner.outputs.update(display_id, bundle) for owner in owners}
        shown = fitting.get(cell) or next(iter(fitting.values()))
        item = {"output_type": "update_display_data", **shown, "transient": {"display_id": display_id}}
        late: Iterable[Cell] = (owner for owner in owners if owner.finished and owner is not cell)
        refused: list[Event] = [] if sound is message else [Refused("a picture is not base64")]
        return [*refused, *self._shown(cell, item, changed=cell in owners), *map(Changed, late)]

    def _shown(self, cell: Cell, item: Output, *, changed: bool = True) -> list[Event]:
        shown: list[Event] = [Shown(cell, item)]
        return [*shown, Changed(cell)] if changed and cell.finished else shown

    def _forget_old(self) -> None:
        """Let go of the oldest cells: the memory of a session must not grow with its length."""
        size = sum(cell.size for cell in self._cells.values())
        while len(self._cells) > KEPT_CELLS or (size > KEPT_BYTES and len(self._cells) > 1):
            _, old = self._cells.popitem(last=False)
            size -= old.size
            self._forget_displays(old)
            self._aliases = OrderedDict(item for item in self._aliases.items() if item[1] is not old)

    def _forget_displays(self, cell: Cell) -> None:
        """What a cell displayed is gone: nothing updates it any more."""
        rest = {
            display_id: tuple(owner for owner in owners if owner is not cell) if cell in owners else owners
            for display_id, owners in self._displays.items()
        }
        self._displays = {display_id: owners for display_id, owners in rest.items() if owners}


def _input_wanted(cell: Cell, message: Message) -> InputWanted:
    prompt, password = message.content.get("prompt", ""), message.content.get("password", False)
    if not isinstance(prompt, str) or not isinstance(password, bool):
        raise BadMessage("an input_request has no valid prompt and password flag")
    return InputWanted(cell, shortened(prompt, LONG_PROMPT), password)
