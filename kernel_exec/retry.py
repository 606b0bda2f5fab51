"""Whether a cell that failed is run again, and when. Pure, but for the dice."""

from __future__ import annotations

import builtins
import math
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from kernel_exec.errors import InvalidArgument, WrongType
from kernel_exec.results import ExecutionResult
from kernel_exec.settings import checked_seconds

Between = Literal["keep", "restart"]
Failure = str | type[BaseException] | Callable[[ExecutionResult], object]

MANY_ATTEMPTS = 1000
_DICE = random.SystemRandom()  # a seed that the program has set would bring all back together
_RETRIED = frozenset({"error", "timeout", "died"})
"""How a cell ends that may be run again: who interrupts or cancels one does not want it any more."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When a cell that failed is run again, as one call: nothing else runs in between.

    A cell that somebody interrupted or cancelled, or that was refused, is never run again.

    Attributes:
        attempts: how often the code runs at most, the first time included.
        backoff: seconds before the second attempt, and twice as many before each further one; up to half of them, by
            chance, are left out, for those that failed together should not come back together. 0 to wait for nothing.
        on: which failures: a status ("died", "timeout", "error"), an exception by its class (and those below it) or
            its name, or a function that is called with the result and says whether to go on. One that fits is enough.
        state: what becomes of the kernel's state between two attempts: "keep" it as the failure left it, or "restart"
            the kernel. What a death or a kill took is lost in either case.
        max_backoff: seconds that one wait may last at most.
        deadline: seconds for all attempts and the waits between them; the attempt that runs then ends as its own
            timeout would end it. None for no bound but that of each attempt.

    Raises:
        InvalidArgument, WrongType: one of them cannot work.
    """

    attempts: int = 3
    backoff: float = 2.0
    on: Failure | Collection[Failure] = ("died", "error", "timeout")
    state: Between = "keep"
    max_backoff: float = 60.0
    deadline: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise WrongType(f"retry.attempts must be a whole number, not {type(self.attempts).__name__}")
        if not 1 <= self.attempts <= MANY_ATTEMPTS:
            raise InvalidArgument(f"retry.attempts must be 1 to {MANY_ATTEMPTS}, not {self.attempts}")
        for name in ("backoff", "max_backoff"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise WrongType(f"retry.{name} must be a number of seconds, not {type(value).__name__}")
            if not 0 <= value < math.inf:
                raise InvalidArgument(f"retry.{name} must be at least 0 seconds and finite, not {value!r}")
        object.__setattr__(self, "deadline", checked_seconds("retry.deadline", self.deadline))
        if self.state not in get_args(Between):
            raise InvalidArgument(f"retry.state must be 'keep' or 'restart', not {self.state!r}")
        object.__setattr__(self, "on", tuple(map(_checked, self._failures())))

    def wants(self, result: ExecutionResult) -> bool:
        """Return whether a failure is one of those; what a function of the caller's raises comes out."""
        return result.status in _RETRIED and any(_fits(failure, result) for failure in self._failures())

    def _failures(self) -> Collection[Failure]:
        if isinstance(self.on, str) or callable(self.on):
            return (self.on,)
        if not isinstance(self.on, Collection):
            raise WrongType(f"retry.on must be a tuple of failures, not {type(self.on).__name__}")
        return self.on

    def delay(self, attempt: int) -> float:
        """Return how many seconds to wait after the attempt of this number, which counts from 1."""
        longest = min(self.max_backoff, self.backoff * 2.0 ** min(attempt - 1, 1000))
        return longest * _DICE.uniform(0.5, 1.0)


def checked_retry(retry: Retry | None) -> Retry | None:
    """Return how to retry.

    Raises:
        WrongType: it says nothing of the kind.
    """
    if retry is not None and not isinstance(retry, Retry):
        raise WrongType(f"retry must be a Retry(...) or None, not {type(retry).__name__}; Retry(attempts=3)")
    return retry


def _checked(failure: Failure) -> Failure:
    if isinstance(failure, type):
        if not issubclass(failure, BaseException):
            raise InvalidArgument(f"retry.on has {failure.__name__}, which is no class of exceptions")
    elif isinstance(failure, str):
        if not failure.rpartition(".")[2].isidentifier():
            raise InvalidArgument(f"retry.on has {failure!r}, which is no name of an exception")
    elif not callable(failure):
        raise WrongType(f"retry.on must hold names, exceptions and functions, not {type(failure).__name__}")
    return failure


def _fits(failure: Failure, result: ExecutionResult) -> bool:
    if not isinstance(failure, str | type):
        return bool(failure(result))
    name = result.error.name if result.error else ""
    if isinstance(failure, str):
        if failure == result.status or failure.rpartition(".")[2] == name:
            return True
        return name in _names(getattr(builtins, failure, object))
    # What was raised is known by its name alone: the class may not exist on this side.
    return name in _names(failure)


def _names(kind: object) -> Iterator[str]:
    """Yield the name of a class of exceptions and those of all classes below it."""
    if isinstance(kind, type) and issubclass(kind, BaseException):
        yield kind.__name__
        for below in type.__subclasses__(kind):
            yield from _names(below)
