"""Two outputs of one kind: the richest form in which both show the same thing."""

from __future__ import annotations

from kernel_exec.compare.difference import Difference, changed, short
from kernel_exec.compare.forms import form_differences
from kernel_exec.compare.shown import Shown
from kernel_exec.compare.terms import Terms
from kernel_exec.compare.texts import text_differences
from kernel_exec.recording.cells import is_json


def shown_differences(old: Shown, new: Shown, terms: Terms) -> list[Difference]:
    """Return how two outputs of one kind differ.

    One thing shown in several forms is told once: in the first form that differs, the richest first.

    Args:
        old: the output then.
        new: the output now.
        terms: how close they must be.
    """
    if old.name == "error":
        return _error_differences(old, new, terms)
    if old.name in {"stdout", "stderr"}:
        return _at(old, old.name, text_differences(old.bundle["text"], new.bundle["text"], terms, "log"))
    for mime in sorted({*old.bundle, *new.bundle}, key=_richness):
        if differences := _mime_differences(mime, old, new, terms):
            return _at(old, mime, differences)
    # What no form shows, such as another size of the same numbers.
    return _at(old, "type", _fact_differences(old.facts, new.facts, terms))


def _at(shown: Shown, form: str, differences: list[Difference]) -> list[Difference]:
    return [difference.at(f"outputs[{shown.index}] {form}") for difference in differences]


def _error_differences(old: Shown, new: Shown, terms: Terms) -> list[Difference]:
    """By type and message: the traceback tells where code is on the disk, and how a version of Python shows it."""
    names, values = ((old.bundle[key], new.bundle[key]) for key in ("ename", "evalue"))
    ours, theirs = f"{names[0]}: {values[0]}", f"{names[1]}: {values[1]}"
    if names[0] == names[1] and not text_differences(*values, terms, "log"):
        return []
    return _at(old, "error", [Difference("error", changed(ours, theirs, 100), short(ours), short(theirs))])


def _fact_differences(old: str, new: str, terms: Terms) -> list[Difference]:
    if not old or not new:
        return []  # not every kernel tells them
    return [
        Difference("table", f"type or shape: {difference.message}", difference.old, difference.new)
        for difference in text_differences(old, new, terms, "result")
    ]


def _richness(mime: str) -> tuple[int, str]:
    order = [mime.startswith("image/"), mime == "text/html", is_json(mime), mime != "text/plain"]
    return order.index(True) if True in order else len(order), mime


def _mime_differences(mime: str, old: Shown, new: Shown, terms: Terms) -> list[Difference]:
    if mime not in new.bundle:
        return [Difference("missing output", f"is not shown as {short(mime, 60)} any more")]
    if mime not in old.bundle:
        return [Difference("extra output", f"is now shown as {short(mime, 60)}, too")]
    return form_differences(mime, old.bundle[mime], new.bundle[mime], terms)
