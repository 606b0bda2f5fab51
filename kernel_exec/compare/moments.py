"""Dates in texts: noise when they tell when the cell ran, data otherwise.

`2024-01-01` in a log that was written on that day, and today's date in today's log, say the same: "now". In any other
place `2024-01-01` is a value, and a changed year is found. So dates are judged by the day on which each cell ran, which
the recording knows (`metadata.execution`); a notebook without it, by their form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from kernel_exec.compare.terms import Manner, Terms

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AP]M)?"
MOMENT = (
    r"(?<![\w.])(?:"
    r"datetime\.date(?:time)?\(\d{4}(?:, \d{1,6}){2,6}\)?"
    rf"|\d{{4}}(?P<dash>[-/])\d{{2}}(?P=dash)\d{{2}}(?:[T ]{_CLOCK}(?:Z| ?[+-]\d{{2}}:?\d{{2}}| UTC)?)?"
    r"|\d{8}[-_T]\d{6}"
    rf"|\d{{1,2}}(?P<stop>[/.])\d{{1,2}}(?P=stop)\d{{4}}(?:,? {_CLOCK})?"
    rf"|(?:[A-Z][a-z]{{2}},? )?(?:{_MONTH} {{1,2}}\d{{1,2}}|\d{{1,2}} {_MONTH})"
    rf"(?:,? {_CLOCK})?(?: [A-Z]{{3,4}})?,? \d{{4}}(?:,?(?: at)? {_CLOCK})?"
    r")(?!\w)"
)
"""A date with or without a time of day; it has groups of its own, `dash` and `stop`."""

_ISO = re.compile(r"(\d{4})(?:[-/]|, )(\d{1,2})(?:[-/]|, )(\d{1,2})")
_SLASHES = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})")
_NAMED = re.compile(rf"(?:({'|'.join(_MONTHS)})\D*(\d{{1,2}})|(\d{{1,2}}) ({'|'.join(_MONTHS)})).*?(\d{{4}})")
_WITH_SECONDS = re.compile(r"\d:\d{2}:\d{2}")
_STAMP = re.compile(r"(\d{4})(\d{2})(\d{2})[-_T]\d{6}")
_EPOCH = re.compile(r"(\d{10})(?:\.\d+|(?:\d{3}){1,3})?")
"""Seconds, or thousandths and so on."""
_NEAR = timedelta(days=1)
"""All time zones, and a cell that ran over midnight."""


def both_now(old: str, new: str, terms: Terms, manner: Manner) -> bool:
    """Whether two different dates, or numbers of seconds since 1970, each tell when its cell ran.

    Args:
        old: what stood there.
        new: what stands there.
        terms: know when the cells ran.
        manner: how the text is read that they are from.
    """
    then, now = _is_now(old, terms.then), _is_now(new, terms.now)
    if then is None and now is None:  # by its form: in a log, a date with the seconds is the time of writing
        return manner == "log" and all(_WITH_SECONDS.search(text) for text in (old, new))
    if then is None:  # it was written before: so it is no later
        return bool(now) and min(_days(old), default=date.max) <= max(_days(new), default=date.min)
    return then and now is not False


def _is_now(text: str, run: date | None) -> bool | None:
    return None if run is None else any(abs(day - run) <= _NEAR for day in _days(text))


def _days(text: str) -> Iterator[date]:
    """Yield the days that a text may mean: two for 01/02/2024."""
    if seconds := _EPOCH.fullmatch(text):
        yield datetime.fromtimestamp(int(seconds[1]), UTC).date()
        return
    for year, month, day in _numbers(text):
        try:
            yield date(year, month, day)
        except ValueError:
            continue


def _numbers(text: str) -> Iterator[tuple[int, int, int]]:
    if match := _STAMP.fullmatch(text) or _ISO.search(text):
        yield int(match[1]), int(match[2]), int(match[3])
    elif match := _SLASHES.search(text):
        yield int(match[3]), int(match[1]), int(match[2])
        yield int(match[3]), int(match[2]), int(match[1])
    elif match := _NAMED.search(text):
        yield int(match[5]), _MONTHS.index(match[1] or match[4]) + 1, int(match[2] or match[3])
