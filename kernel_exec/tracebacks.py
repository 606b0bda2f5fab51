"""An error as a model should read it: what was raised, which lines of the user's code led to it, and why. Pure.

IPython sends a traceback as a list of entries: a heading, the frames with lines of source, what was raised, its notes;
before that the same for each error that led to the next. The shape depends on its version and on `%xmode`. What cannot
be understood, as from kernels of other languages, is cut to its first and last lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kernel_exec.results import ErrorInfo
from kernel_exec.wire.budget import shortened

LONG_MESSAGE = 2_000
LONG_LINE = 200
MANY_FRAMES = 5
MANY_CAUSES = 5
MANY_LINES = 12

_LINKS = {
    "The above exception was the direct cause of the following exception:": "caused by",
    "During handling of the above exception, another exception occurred:": "while handling",
}
_LIBRARY = re.compile(r"\s*File (?:[^/~<\"]|.*?/(?:site-packages|dist-packages|lib/python[\d.]*)/)")
"""The beginning of a frame that lies in a library; compiled ones name their files relative to where they were built."""
_FRAME = re.compile(
    r"\s*(?P<place>(?:Cell|Input) In ?\[\d+\](?:, line \d+)?|Cell, line \d+|File .+?(?::\d+|\", line \d+))"
    r"(?:,? in (?P<function>[^(]+)(?:\(.*)?)?\s*\Z"
)
_SKIPPED = re.compile(r"\s*(\[\.\.\. (?:skipping similar|\d+ skipped) [^\n]*\])\s*\Z")
_OPENING = re.compile(r"-+\Z|(?:\S+ +)?Traceback \(most recent call last\)|An exception has occurred, use %tb ")
_ARROW = re.compile(r"-+> ?(\d{0,9})")
_CARET = re.compile(r"\s*[\^~]+\s*\Z")
_NO_SOURCE = "'Could not get source, "
_CELL_FILE = re.compile(r"(?:File \"[^\"\n]{0,200}|(?<!\S)\S{0,200})/ipykernel_\d+/\d+\.py(?:\", line |:)(\d+)")
_CELL_SYNTAX = re.compile(r" \(\d+\.py, line \d+\)\Z")
_GROUP = re.compile(r"^  \+ Exception Group Traceback \(most recent call last\):\n(?: +[|+].*\n?)*", re.MULTILINE)
_GROUP_LINE = re.compile(r"( *)(?:\| )?(.*)")


@dataclass(frozen=True, slots=True)
class _Frame:
    """One call of a traceback.

    Attributes:
        place: where it is, in one line.
        lines: its source, as far as it was sent.
        own: whether it is the user's code.
    """

    place: str
    lines: tuple[str, ...]
    own: bool


def short(error: ErrorInfo) -> str:
    """Return what was raised, and the part of its traceback that concerns the user's own code."""
    *causes, (_, last) = _errors(error.traceback)
    frames = _frames(last)
    rest = _rest(error, last, found=bool(frames))
    return "\n".join((_heading(error), *_calls(frames), *_bounded(rest), *_causes(error, causes)))


def printed_group(text: str) -> tuple[str, list[str]]:
    """Split off what IPython has printed of an ExceptionGroup, for which it sends no traceback.

    Return the text without it, and a few lines of it: calls of the user's code, and what is in the group.
    """
    found = _GROUP.search(text)
    if not found:
        return text, []
    calls: list[str] = []
    raised: list[str] = []
    for indent, line in map(_in_group, found[0].splitlines()[1:]):
        if not line or line.startswith(("+", "Exception Group ")) or _OPENING.match(line):
            continue
        if not line.startswith(" "):
            raised.append(" " * (indent - 2) + line)
        elif indent == 2 and not line.startswith("    "):
            calls.append(line)
        elif indent == 2 and calls:
            calls[-1] += f"\n{line}"
    return text[: found.start()] + text[found.end() :], [*_calls(_frames(calls)), *_bounded(raised[1:])]


def in_library(frame: str) -> bool:
    """Whether an entry of a traceback, without ANSI codes, is a frame that lies in a library."""
    return _LIBRARY.match(frame[:1_000]) is not None


def without_cell_files(text: str) -> str:
    """Return a text in which the files that ipykernel invents for cells are called cells."""
    return _CELL_FILE.sub(r"Cell, line \1", text) if "/ipykernel_" in text else text


def _in_group(line: str) -> tuple[int, str]:
    match = _GROUP_LINE.match(line)
    assert match is not None
    return len(match[1]), match[2]


def _heading(error: ErrorInfo) -> str:
    text = str(error)
    return shortened(_CELL_SYNTAX.sub("", text) if error.name.endswith("Error") else text, LONG_MESSAGE)


def _errors(entries: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the errors of a traceback, the first one first: how each led to the next, and its entries."""
    errors: list[tuple[str, list[str]]] = [("", [])]
    for entry in entries:
        if link := _LINKS.get(entry.strip()):
            errors[-1] = (link, errors[-1][1])
            errors.append(("", []))
        else:
            errors[-1][1].append(entry)
    return errors


def _frames(entries: Sequence[str]) -> list[_Frame]:
    return [frame for entry in entries if (frame := _frame(entry)) is not None]


def _frame(entry: str) -> _Frame | None:
    if skipped := _SKIPPED.match(entry):
        return _Frame(skipped[1], (), own=True)
    first, _, source = entry.partition("\n")
    match = _FRAME.match(first[:1_000])
    if match is None:
        return None
    place = match["place"] + (f", in {match['function'].strip()}" if match["function"] else "")
    lines = () if _NO_SOURCE in source else tuple(source.splitlines())
    nameless = place.startswith(("File <", 'File "<')) and not any(map(_CARET.match, lines))
    return _Frame(place, lines, own=not nameless and not in_library(entry))


def _calls(frames: Sequence[_Frame]) -> list[str]:
    """Return the calls of the user's code, the innermost with the lines around it, and where they led."""
    own = [frame for frame in frames if frame.own]
    lines: list[str] = []
    for frame in _few(own):
        lines += [frame.place, *_source(frame.lines, around=frame is own[-1])]
    if frames and not frames[-1].own:
        lines.append(f"down to {frames[-1].place.removeprefix('File ')}")
    return [_cut(line) for line in lines]


def _few(frames: list[_Frame]) -> list[_Frame]:
    if len(frames) <= MANY_FRAMES:
        return frames
    gap = _Frame(f"[... {len(frames) - 4:,} more calls ...]", (), own=True)
    return [*frames[:2], gap, *frames[-2:]]


def _source(lines: Sequence[str], *, around: bool) -> list[str]:
    """Return the line that was running; with the ones before and behind it, when `around`."""
    for at, line in enumerate(lines):
        if arrow := _ARROW.match(line):
            before = lines[at - 1 : at] if around and _is_line(arrow[1], -1, lines[at - 1 : at]) else ()
            behind = lines[at + 1 : at + 2] if around and _is_line(arrow[1], 1, lines[at + 1 : at + 2]) else ()
            return [*before, line, *behind]
    written = [line for line in lines if line.strip()][:2]
    return written if len(written) == 2 and _CARET.match(written[1]) else written[:1]


def _is_line(number: str, step: int, lines: Sequence[str]) -> bool:
    """Whether there is a line, and it has the number that comes `step` behind `number`."""
    return bool(number and lines) and lines[0].lstrip().split(" ", 1)[0] == str(int(number) + step)


def _rest(error: ErrorInfo, entries: Sequence[str], *, found: bool) -> list[str]:
    """Return what a traceback says beyond its frames and what was raised: notes, or all of it when it has no frames."""
    text = _said(entries)
    before, message, behind = text.partition(str(error) if found or str(error) in text else error.value or "\0")
    if found and (before or not message):  # of another error, such as the interrupt that ended a cell
        return []
    rest = before + behind.removeprefix(": ") if message else text  # IPython puts a colon before an empty message
    return [line for line in rest.splitlines() if line.strip()]


def _said(entries: Sequence[str]) -> str:
    """Return what stands behind the frames."""
    last = max((at for at, entry in enumerate(entries) if _frame(entry)), default=-1)
    return "\n".join(entry for entry in entries[last + 1 :] if not _OPENING.match(entry)).strip("\n")


def _causes(error: ErrorInfo, causes: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Return a line for each error that led to the next one, the nearest first."""
    said, lines = str(error), []
    for link, entries in reversed(causes):
        before = said
        if (said := _said(entries)) and said != before:
            lines.append(_cut(f"{link} {said.splitlines()[0]}"))
    more = f"[... {len(lines) - MANY_CAUSES:,} more causes ...]"
    return lines if len(lines) <= MANY_CAUSES else [*lines[: MANY_CAUSES - 1], more, lines[-1]]


def _bounded(lines: Sequence[str]) -> list[str]:
    if len(lines) > MANY_LINES:
        head = 2
        gap = f"[... {len(lines) - MANY_LINES:,} more lines ...]"
        lines = [*lines[:head], gap, *lines[len(lines) - MANY_LINES + head :]]
    return [_cut(line) for line in lines]


def _cut(line: str) -> str:
    return line if len(line) <= LONG_LINE else f"{line[: LONG_LINE - 4]} ..."
