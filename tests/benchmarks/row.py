"""One line of the table."""

from __future__ import annotations

from dataclasses import dataclass

ROUNDS = 12


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        measure: what was measured.
        unit: of the medians.
        medians: median of each contender; ours comes first.
        rival: the contender that ours is compared with; None when it stands alone.
        target: bound of the ratio ours / rival, or of ours when it stands alone; None when it is only told.
        at_least: True when more is better, and `target` the least that is wanted.
        rounds: how many samples each median is of.
    """

    measure: str
    unit: str
    medians: dict[str, float]
    rival: str | None
    target: float | None
    at_least: bool = False
    rounds: int = ROUNDS

    @property
    def ours(self) -> float:
        """Our median."""
        return next(iter(self.medians.values()))

    @property
    def value(self) -> float:
        """What the target bounds: the ratio, or our median when there is no rival."""
        return self.ours / self.medians[self.rival] if self.rival else self.ours

    @property
    def met(self) -> bool:
        """True when the target is met, if there is one."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target
