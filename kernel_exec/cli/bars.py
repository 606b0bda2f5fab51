"""Progress bars on a terminal, one a notebook; nothing where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from kernel_exec.cli.tame import tamed
from kernel_exec.player import Progress


class Bars:
    """Shows how far notebooks have come, on the terminal that standard error is; `with` it."""

    def __init__(self) -> None:
        self._bars: Any = None
        if sys.stderr.isatty():
            from prompt_toolkit.shortcuts import ProgressBar

            self._bars = ProgressBar(file=sys.stderr)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.__exit__(kind, error, trace)

    def follow(self, name: str) -> Callable[[Progress], None] | None:
        """Return what shows the progress of a notebook; None where nobody looks."""
        if self._bars is None:
            return None
        counter: list[Any] = []

        def show(progress: Progress) -> None:
            if not counter:
                counter.append(self._bars(total=progress.total, label=tamed(name)[:40]))
            counter[0].items_completed = progress.done
            counter[0].done = progress.done == progress.total
            self._bars.invalidate()

        return show
