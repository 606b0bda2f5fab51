"""What a cell says of itself: tags, and comments as nbval reads them.

| tag | comment | meaning |
|---|---|---|
| `nbval-skip`, `skip-execution`, `kernel_exec:skip` | `# NBVAL_SKIP` | is not run, and not compared |
| `nbval-ignore-output`, `kernel_exec:ignore-output` | `# NBVAL_IGNORE_OUTPUT` | is run; only whether it raises counts |
| `nbval-check-output`, `kernel_exec:check-output` | `# NBVAL_CHECK_OUTPUT` | is compared where only marked cells are |
| `nbval-raises-exception`, `raises-exception` | `# NBVAL_RAISES_EXCEPTION` | may raise |
| `kernel_exec:relative=1e-3`, `...:absolute=`, `...:image=` | | its own tolerance |
| `kernel_exec:ignore-stderr`, `...:ignore-images`, ... | | what `Rules.ignore` can leave out |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kernel_exec.compare.rules import Ignorable, Rules
from kernel_exec.errors import InvalidArgument

OURS = "kernel_exec:"

_MEANINGS = {
    "nbval-skip": "skip",
    "skip-execution": "skip",
    "nbval-ignore-output": "ignore-output",
    "pytest-validate-ignore-output": "ignore-output",
    "nbval-check-output": "check-output",
    "nbval-raises-exception": "raises",
    "raises-exception": "raises",
}
_COMMENT = re.compile(r"^[ \t]*#+[ \t]*(NBVAL_[A-Z_]+|PYTEST_VALIDATE_IGNORE_OUTPUT)[ \t]*$", re.MULTILINE)
_TOLERANCES = ("relative", "absolute", "image")


@dataclass(frozen=True, slots=True)
class Marks:
    """What a cell says of itself.

    Attributes:
        skip: it is not to be run.
        check: whether its outputs are compared; None where it does not say.
        raises: it may raise.
        own: its other tags of ours, without `kernel_exec:`.
    """

    skip: bool = False
    check: bool | None = None
    raises: bool = False
    own: tuple[str, ...] = ()

    def applied_to(self, rules: Rules) -> Rules:
        """Return the rules as they are for this cell; a tag that says nothing possible changes nothing."""
        for tag in self.own:
            name, _, value = tag.partition("=")
            try:
                if name in _TOLERANCES:
                    rules = replace(rules, **{name: float(value)})  # type: ignore[arg-type]
                elif tag.startswith("ignore-"):
                    ignored: Ignorable = tag.removeprefix("ignore-")  # type: ignore[assignment]  # Rules checks it
                    rules = replace(rules, ignore=rules.ignore | {ignored})
            except (ValueError, InvalidArgument):
                continue
        return rules


def marks_of(cell: Mapping[str, Any]) -> Marks:
    """Return what a cell says of itself in its tags and comments, whatever else is wrong with it.

    Of an order to check and one to ignore the last counts, and comments count more than tags, as with nbval.
    """
    says = [*_tags(cell), *_comments(cell)]
    check: bool | None = None
    for said in says:
        if said in {"check-output", "ignore-output"}:
            check = said == "check-output"
    own = tuple(said for said in says if said not in {"skip", "check-output", "ignore-output", "raises"})
    return Marks("skip" in says, check, "raises" in says, own)


def _tags(cell: Mapping[str, Any]) -> Iterator[str]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith(OURS):
            yield tag.removeprefix(OURS)
        elif isinstance(tag, str) and tag in _MEANINGS:
            yield _MEANINGS[tag]


def _comments(cell: Mapping[str, Any]) -> Iterator[str]:
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    for match in _COMMENT.finditer("".join(line for line in lines if isinstance(line, str))):
        if meaning := _MEANINGS.get(match[1].lower().replace("_", "-")):
            yield meaning
