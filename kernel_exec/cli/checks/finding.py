"""What a check finds. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at.
        state: "ok"; "warning" (it works, with less than it could); "missing" (an option that is not there);
            "failed" (something that every session needs does not work).
        detail: what was found.
        remedy: what to do; "" where nothing needs to be done.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at.

    Attributes:
        name: what it is called when it tells nothing itself.
        look: does it; may take its time, and may raise.
        needed: whether no session works without it.
        seconds: how long it may take before it is given up.
    """

    name: str
    look: Callable[[], Sequence[Finding]]
    needed: bool = False
    seconds: float = 10.0

    def gave_no_answer(self) -> list[Finding]:
        """What is told when its time is over."""
        return [self._broken(f"no answer within {self.seconds:g} s", "find out what it hangs on, and try again")]

    def broke(self, error: BaseException) -> list[Finding]:
        """What is told when it raised something that it did not expect."""
        return [self._broken(f"the check itself failed: {type(error).__name__}: {error}", "please report this")]

    def _broken(self, detail: str, remedy: str) -> Finding:
        return Finding(self.name, "failed" if self.needed else "warning", detail, remedy)
