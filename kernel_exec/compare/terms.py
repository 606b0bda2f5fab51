"""By what two outputs are compared: the rules, what kind of reading a text wants, and when the cells ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from kernel_exec.compare.rules import Rules

Manner = Literal["log", "result", "data"]
"""How a text is read. `log`: streams and messages of errors, where clocks, durations, speeds and process ids are noise.
`result`: reprs and markup, where those are what was asked for, and only what Python or a library makes up at random
(addresses, UUIDs, ids of elements) or from its installation (versions) is noise. `data`: the cells of tables and JSON,
where all is meant, but for addresses and temporary paths."""


@dataclass(slots=True)
class Effort:
    """How much of a cell is still looked at closely: a recording may hold any amount of anything.

    Attributes:
        left: characters, of which a million take some two seconds. What comes when they are spent differs as soon as
            one character does.
    """

    left: int = 2_000_000

    def spend(self, characters: int) -> bool:
        """Take some, and what a line takes however short; False when there are not so many left."""
        self.left -= characters + 50
        return self.left >= 0


@dataclass(frozen=True, slots=True)
class Terms:
    """By what two outputs are compared.

    Attributes:
        rules: the tolerances, and what is ignored.
        then: the day (UTC) on which the old cell ran; None where the notebook does not say.
        now: the day on which the new one ran.
        effort: what looking closely takes from.
    """

    rules: Rules
    then: date | None = None
    now: date | None = None
    effort: Effort = field(default_factory=Effort)


def day_of(cell: Mapping[str, Any]) -> date | None:
    """Return the day (UTC) on which a cell ran, as its timing stamps say; None where they do not."""
    metadata = cell.get("metadata")
    execution = metadata.get("execution") if isinstance(metadata, dict) else None
    for stamp in execution.values() if isinstance(execution, dict) else ():
        try:
            return datetime.fromisoformat(stamp).astimezone(UTC).date()
        except (TypeError, ValueError, OverflowError):
            continue
    return None
