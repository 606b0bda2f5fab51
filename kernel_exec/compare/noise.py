"""What stands in a line by chance: taken out before lines are compared.

Each pattern looks at one line and takes time in proportion to it: no nested repetition, and bounds where two may meet.
"""

from __future__ import annotations

import re

from kernel_exec.compare.terms import Manner
from kernel_exec.wire.terminal import TerminalText, strip_ansi

_Replacement = tuple[re.Pattern[str], str]

_NUMBER = r"\d+(?:[.,]\d+)?"
_POWER = r"(?:e\+\d{1,3})?"
_SPENT = "took|elapsed|duration|runtime|time|finished|done|completed|after|in|eta"
_UNIT = r"(?:[mµμun]?s|secs?|seconds?|min|mins|minutes?|h|hours?|it/s|s/it)\b"
_TEMPORARY = r"(?:/private)?(?:/var/folders/\w+/\w+/T|/var/tmp|/dev/shm|/tmp)"
_OF_PYTHON = r"(?:tmp(?:\.\w{6,12}|[a-z0-9_]{8})|kernel-exec-[0-9a-f]{12})"
"""Names that `tempfile`, `mktemp` and we make up, wherever below the place for temporary files."""
_MADE_UP = rf"(?:{_OF_PYTHON}|[\w-]{{0,60}}?[a-zA-Z_]\d{{1,20}}[a-zA-Z_]\w{{0,60}})"

# Three numbers: with two it would be any number, with four an address of the internet; 31.12.2024 is a date.
_VERSION = re.compile(
    r"(?<![\w.])(?!\d{1,2}\.\d{1,2}\.\d{4}\b)v?\d+\.\d+\.\d+(?:\.?(?:a|b|rc|dev|post)\d+)*(?:\+\w+)?(?!\w|\.\d)"
)

_DATA: tuple[_Replacement, ...] = (
    # As Python writes them, and what is an address of a process wherever it stands. `hex(255)` is neither.
    (re.compile(r"(?<=\bat )0x[0-9a-fA-F]{4,16}\b|\b0x(?:7[ef]|5[56]|ffff)[0-9a-f]{10,12}\b"), "0x..."),
    (re.compile(r"\bipykernel_\d+(?:/\d+)?"), "ipykernel_N"),
    # A directory in the place for temporary ones is somebody's scratch; a file there only if its name looks made up.
    (re.compile(rf"{_TEMPORARY}(?:/[\w.+-]{{1,200}}){{0,6}}/{_OF_PYTHON}(?=[.\W]|$)"), "TEMPORARY"),
    (re.compile(rf"{_TEMPORARY}/[\w.+-]{{1,200}}(?=/)"), "TEMPORARY"),
    (re.compile(rf"{_TEMPORARY}/{_MADE_UP}(?=[.\W]|$)"), "TEMPORARY"),
)
_RESULT: tuple[_Replacement, ...] = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "UUID"),
    (re.compile(r"<ipython-input-\d+-[0-9a-f]+>"), "<ipython-input>"),
    (re.compile(r"\bCell In\[\d+\]"), "Cell In[N]"),
    (
        re.compile(rf"\b{_NUMBER}{_POWER} {_UNIT} (?:±|\+-) {_NUMBER}{_POWER} {_UNIT} per loop(?: \([^)]{{0,200}}\))?"),
        "TIME per loop",
    ),
    (
        re.compile(r"\((?:main|default|(?:tags|heads)/[^,\s]{1,40})[^,()]{0,40}, \w{3} [ \d]\d \d{4}, [\d:]{8}\)"),
        "(BUILD)",
    ),
    (_VERSION, "VERSION"),
    (re.compile(r"\b([Pp]ython|[Vv]ersion:?) v?\d+\.\d+\b"), r"\1 VERSION"),
    (re.compile(r"\b(started|started daemon) \d{5,}(?=\))"), r"\1 ID"),
)
_LOG: tuple[_Replacement, ...] = (
    (re.compile(r"^(CPU times|Wall time): .*"), r"\1: TIME"),
    # Beside a bar: [00:02<00:00, 12.3it/s]; of one without a total: [00:02, 12.3it/s]; of Keras: 3s 21ms/step
    (re.compile(r"\[\d{1,3}(?::\d\d){1,2}(?:<[\d:?]{1,12})?, [^\]]{0,80}/[^\]]{0,80}\]"), "[SPEED]"),
    (re.compile(rf"\b{_NUMBER} ?(?:it/s|s/it|[kMG]i?B/s|bytes/s)"), "SPEED"),
    (re.compile(rf"(?i)\b({_SPENT})\b(:?=? ?){_NUMBER} ?{_UNIT}"), r"\1\2TIME"),
    (
        re.compile(r"(?i)\b(elapsed|took|duration|runtime|wall time|time taken)(:? ?=? ?)\d+\.\d+(?:e-?\d+)?"),
        r"\1\2TIME",
    ),
    (
        re.compile(rf"(?i)\b(memory usage|memory used|peak memory|rss|increment)(:? ?=? ?){_NUMBER} ?[kMG]i?B\b"),
        r"\1\2MEMORY",
    ),
    (re.compile(r"\b\d{1,6}s \d{1,6}[mµun]?s/(?:step|epoch|sample|batch)\b"), "SPEED"),
    # Where a library is installed, and which of its lines warns, is for its version to say.
    (re.compile(r"(?<!\S)/[^\s:]{0,300}/((?:site|dist)-packages|lib/python\d\.\d+)/([^\s:]{1,300}):\d+"), r"\1/\2:N"),
    (re.compile(r"(?i)\b(pid|process id)(\W{1,3})\d+"), r"\1\2ID"),
)
_SUSPECT = re.compile(rf"[0-9]|{_TEMPORARY}")
"""What is in each line that has noise."""
_OF_MANNER: dict[Manner, tuple[_Replacement, ...]] = {
    "data": _DATA,
    "result": (*_DATA, *_RESULT),
    "log": (*_DATA, *_RESULT, *_LOG),
}

_SOMETIMES = ("Compiler : ", "Compiler  : ", "Parser   : ", "Compiler time: ", "The slowest run took ")
"""Lines that %time and %timeit print only when something took long."""


def without_noise(line: str, manner: Manner) -> str:
    """Return a line as it would be in any run.

    Args:
        line: one line, without its end.
        manner: how the text is read.
    """
    line = strip_ansi(line)
    if "\r" in line or "\b" in line:
        line = str(TerminalText(line))
    if not _SUSPECT.search(line):
        return line
    for pattern, replacement in _OF_MANNER[manner]:
        line = pattern.sub(replacement, line)
    return line


def lines_of(text: str, manner: Manner) -> list[str]:
    """Return the lines that count: without those that are there by chance, and without empty ones at the end."""
    lines = [line for line in text.split("\n") if manner != "log" or not line.startswith(_SOMETIMES)]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines
