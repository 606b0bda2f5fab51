"""What code may run: rules that are asked before each cell, and a person or a model that reviews it.

A policy is a guard rail: it stops what is meant well, and tells at once. Code that wants to gets around it; a wall is
the container alone (SECURITY.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kernel_exec import imports
from kernel_exec.errors import InvalidArgument, WrongType
from kernel_exec.settings import checked_pattern, checked_seconds

REVIEW_TIMEOUT = 300.0
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A cell that is to run.

    Attributes:
        code: its code.
        filename: the name that the code is kept under, if it has one.
        attempt: the number of the attempt, from 1.
        reasons: why rules ask for a review.
    """

    code: str
    filename: str | None = None
    attempt: int = 1
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a cell: made by `Decision.allow()` and its like.

    Attributes:
        action: "allow"; "deny"; "ask", for a review; "edit", to run other code in its place.
        reason: why, for people and for the recording.
        code: what runs in its place.
    """

    action: Literal["allow", "deny", "ask", "edit"]
    reason: str = ""
    code: str = ""

    @classmethod
    def allow(cls, reason: str = "") -> Decision:
        """It may run."""
        return cls("allow", reason)

    @classmethod
    def deny(cls, reason: str) -> Decision:
        """It does not run."""
        return cls("deny", reason)

    @classmethod
    def ask(cls, reason: str) -> Decision:
        """It runs if a review approves it."""
        return cls("ask", reason)

    @classmethod
    def edit(cls, code: str, reason: str = "") -> Decision:
        """Other code runs in its place, if the rules allow that."""
        return cls("edit", reason, code)


Answer = Decision | bool | str | None
Judge = Callable[[Proposal], Answer | Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What code may run. Each cell is asked about in this order, until something denies it.

    Functions may be synchronous, and block, or asynchronous. They return a `Decision`; or True (or None) to allow,
    False to deny, a text to deny with that reason. One that raises denies.

    Attributes:
        max_length: characters of a cell; None for no bound.
        patterns: regular expressions that its code must not have anywhere.
        blocked_imports: modules, with all in them, that the code of cells must not import; libraries still may.
        allowed_imports: the only modules that it may import; None for all that are not blocked.
        shell: whether it may give commands to a shell, by `!`, `%%bash` and the like.
        rules: functions that are called with a `Proposal`.
        review: a function that approves, edits or rejects each cell that the rules let pass; it may ask a person. A
            rule that asks for a review where there is none denies.
        review_timeout: seconds that the review may take; then the cell is denied. None for no bound.

    Raises:
        InvalidArgument, WrongType: one of them cannot work.
    """

    max_length: int | None = None
    patterns: Collection[str | re.Pattern[str]] = ()
    blocked_imports: Collection[str] = ()
    allowed_imports: Collection[str] | None = None
    shell: bool = True
    rules: Sequence[Judge] = ()
    review: Judge | None = None
    review_timeout: float | None = REVIEW_TIMEOUT

    def __post_init__(self) -> None:
        if self.max_length is not None and (isinstance(self.max_length, bool) or not isinstance(self.max_length, int)):
            raise WrongType(f"policy.max_length must be a number or None, not {type(self.max_length).__name__}")
        if self.max_length is not None and self.max_length < 1:
            raise InvalidArgument(f"policy.max_length must be at least 1 character, not {self.max_length}")
        if not isinstance(self.shell, bool):
            raise WrongType(f"policy.shell must be True or False, not {self.shell!r}")
        _set(
            self,
            "patterns",
            tuple(checked_pattern("policy.patterns", one) for one in _collection("patterns", self.patterns)),
        )
        _set(self, "blocked_imports", _modules("blocked_imports", self.blocked_imports))
        if self.allowed_imports is not None:
            _set(self, "allowed_imports", _modules("allowed_imports", self.allowed_imports))
        _set(self, "rules", tuple(_collection("rules", self.rules)))
        for function in (*self.rules, *([] if self.review is None else [self.review])):
            if not callable(function):
                raise WrongType(f"policy: rules and review must be functions, not {type(function).__name__}")
        _set(self, "review_timeout", checked_seconds("policy.review_timeout", self.review_timeout))

    @property
    def guard(self) -> str:
        """What the kernel is to watch itself, as JSON; "" for nothing."""
        if not self.blocked_imports and self.allowed_imports is None and self.shell:
            return ""
        allowed = None if self.allowed_imports is None else sorted(self.allowed_imports)
        return json.dumps({"blocked": sorted(self.blocked_imports), "allowed": allowed, "shell": self.shell})

    def denied(self, code: str) -> str:
        """Return why code must not run, as far as that can be read in it; "" when it may."""
        if self.max_length is not None and len(code) > self.max_length:
            return f"it has {len(code):,} characters, and policy.max_length is {self.max_length:,}"
        for pattern in self.patterns:
            if found := re.compile(pattern).search(code):
                line = code.count("\n", 0, found.start()) + 1
                return f"line {line} has {found[0][:80]!r}, which a pattern of the policy forbids"
        return next(self._read(code), "")

    def _read(self, code: str) -> Iterator[str]:
        wanted = any(name.partition(".")[0] in code for name in self.blocked_imports)
        wanted = wanted or (self.allowed_imports is not None and "import" in code)
        shell = not self.shell and imports.may_have_commands(code)
        tree = imports.parsed(code) if wanted or shell else None
        if tree is None:
            return
        for name, line in imports.imports(tree):
            if reason := self.forbidden(name):
                yield f"line {line} imports {name!r}, {reason}"
        for command, line in imports.commands(tree) if shell else ():
            yield f"line {line} gives a command to a shell ({command[:80]}), which policy.shell forbids"

    def forbidden(self, name: str) -> str:
        """Return why a module must not be imported; "" when it may."""
        if imports.is_below(name, self.blocked_imports):
            return "which policy.blocked_imports forbids"
        if self.allowed_imports is not None and not imports.is_allowed(name, self.allowed_imports):
            return "which is not among policy.allowed_imports"
        return ""


def checked_policy(policy: Policy | None) -> Policy | None:
    """Return a policy.

    Raises:
        WrongType: it is none.
    """
    if policy is not None and not isinstance(policy, Policy):
        raise WrongType(f"policy must be a Policy(...) or None, not {type(policy).__name__}")
    return policy


def _set(policy: Policy, name: str, value: object) -> None:
    object.__setattr__(policy, name, value)


def _collection(name: str, value: object) -> Iterable[object]:
    if isinstance(value, str) or not isinstance(value, Collection):
        raise WrongType(f"policy.{name} must be a list, not {type(value).__name__}")
    return value


def _modules(name: str, value: object) -> frozenset[str]:
    names = list(_collection(name, value))
    for module in names:
        if not isinstance(module, str) or not _MODULE.fullmatch(module):
            raise InvalidArgument(f"policy.{name} has {module!r}, which can be no name of a module")
    return frozenset(map(str, names))
