"""What counts as the same: tolerances, and what is not looked at."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, get_args

from kernel_exec.errors import InvalidArgument, WrongType

_PLACE = "/tmp/tmp_workdir"  # noqa: S108 - as one made up: what was recorded in such a one may lie elsewhere by now
Ignorable = Literal["stdout", "stderr", "results", "displays", "images", "errors", "artifacts"]


@dataclass(frozen=True, slots=True)
class Sanitizer:
    """A pattern of text that is replaced in old and new before they are compared.

    Args:
        regex: a regular expression; `^` and `$` match at lines.
        replace: what stands for each match, as `re.sub` reads it.

    Raises:
        InvalidArgument: the regular expression, or what replaces it, is none.
    """

    regex: str
    replace: str = ""

    def __post_init__(self) -> None:
        try:
            # The template is only read where something matches: made to match here.
            re.compile(f"(?m){self.regex}|").sub(self.replace, "")
        except (re.error, IndexError) as error:
            raise InvalidArgument(f"no regular expression and replacement: {self.regex!r}: {error}") from None

    def __call__(self, text: str) -> str:
        """Return the text without what matches."""
        return re.sub(self.regex, self.replace, text, flags=re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rules:
    """How strictly old and new are compared.

    Args:
        relative: how much numbers may differ, relative to the larger one. The default lets pass what another order of
            summation does to a double, and finds a change in any digit that is printed by default.
        absolute: how much they may differ whatever their size: what is left where zero was meant, such as 1e-17. For
            data that is as small as that (a charge in coulombs), set it to 0. Whole numbers must be the same whatever
            the tolerances.
        image: the share of an image's pixels that may differ visibly. The default is 3 pixels in 640 x 480,
            and in anything smaller; 0 allows none.
        sanitize: patterns that are replaced in all texts first.
        ignore: what is not compared at all.
        ignore_artifacts: patterns of paths, such as "*.log", of files that are not compared.
        marked_only: compare only outputs of cells marked `nbval-check-output`, as `pytest --nbval-lax` does.

    Raises:
        InvalidArgument: a value cannot be.
    """

    relative: float = 1e-9
    absolute: float = 1e-15
    image: float = 1e-5
    sanitize: tuple[Sanitizer, ...] = ()
    ignore: frozenset[Ignorable] = frozenset()
    ignore_artifacts: tuple[str, ...] = ()
    marked_only: bool = False

    def __post_init__(self) -> None:
        for name in ("relative", "absolute", "image"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise WrongType(f"{name} must be a number, not {value!r}")
            if not 0 <= value < math.inf:
                raise InvalidArgument(f"{name} must be a number from 0 on, not {value!r}")
        for name in self.ignore:
            if name not in get_args(Ignorable):
                raise InvalidArgument(f"ignore: nothing is called {name!r}; choose from {get_args(Ignorable)}")

    def close(self, old: float, new: float) -> bool:
        """Whether two numbers are the same within the tolerances; nan is nan."""
        both_nan = math.isnan(old) and math.isnan(new)
        return both_nan or math.isclose(old, new, rel_tol=self.relative, abs_tol=self.absolute)

    def ignores_artifact(self, path: str) -> bool:
        """Whether files of this path are not compared."""
        return any(fnmatchcase(path, pattern) for pattern in self.ignore_artifacts)

    def sanitized(self, text: str) -> str:
        """Return the text with all that `sanitize` says replaced."""
        for sanitizer in self.sanitize:
            text = sanitizer(text)
        return text

    def with_directories(self, directories: Iterable[str]) -> Rules:
        """Return rules for which each of these directories (work directories, then and now) is the same one."""
        longest_first = sorted(set(directories), key=len, reverse=True)
        more = tuple(Sanitizer(re.escape(path.rstrip("/")) + r"(?![\w-]|\.\w)", _PLACE) for path in longest_first)
        return replace(self, sanitize=(*more, *self.sanitize))
