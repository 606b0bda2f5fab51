"""`kernel-exec doctor`: what works on this machine, and what to do where something does not."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from queue import Empty, SimpleQueue

from kernel_exec.cli.arguments import DoctorArguments
from kernel_exec.cli.checks import CHECKS
from kernel_exec.cli.checks.finding import Check, Finding, State
from kernel_exec.cli.streams import Out, OutputLost, lose_streams
from kernel_exec.cli.values import CANNOT, INTERRUPTED, OK

_COLOURS: dict[State, int] = {"ok": 32, "warning": 33, "missing": 33, "failed": 31}
_LAST_RESORT = 3.0
"""Seconds after the last deadline in which even a check that holds the interpreter ends, with the process."""


def doctor(arguments: DoctorArguments, checks: Sequence[Check] = CHECKS) -> int:
    """Look at everything, and tell it; return the exit status.

    When a check hangs, the process ends here and now: what it hangs on would keep it from ending in order.

    Args:
        arguments: what the command line asks for.
        checks: what to look at.
    """
    faulthandler.dump_traceback_later(max(check.seconds for check in checks) + _LAST_RESORT, exit=True)
    examination = Examination(checks)
    try:
        status = _tell(examination.findings(), Out(sys.stdout), as_document=arguments.json)
    except OutputLost as error:
        status = lose_streams(error)
    except KeyboardInterrupt:
        status = INTERRUPTED
    if examination.going_on:
        os._exit(status)  # all that is written was flushed, and kernels end with this process
    faulthandler.cancel_dump_traceback_later()
    return status


class Examination:
    """Checks that run side by side, each in a thread that nobody waits for longer than it may take.

    Args:
        checks: what to look at; they start at once.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self._start = time.monotonic()
        self._running = [(check, _in_thread(check)) for check in checks]

    def findings(self) -> Iterator[Finding]:
        """Yield what is found, in the order of the checks, as soon as it is known."""
        for check, answer in self._running:
            left = self._start + check.seconds - time.monotonic()
            yield from _found(check, answer) if _answered(answer, left) else check.gave_no_answer()

    @property
    def going_on(self) -> bool:
        """Whether a check has not ended."""
        return not all(answer.done() for _, answer in self._running)


def _answered(answer: Future[Sequence[Finding]], seconds: float) -> bool:
    """Wait for an answer. A Condition may make "release unlocked lock" of a Ctrl-C; a SimpleQueue does not."""
    settled: SimpleQueue[object] = SimpleQueue()
    answer.add_done_callback(settled.put)
    with contextlib.suppress(Empty):
        settled.get(timeout=max(0.0, seconds))
    return answer.done()


def _found(check: Check, answer: Future[Sequence[Finding]]) -> Sequence[Finding]:
    error = answer.exception()
    return check.broke(error) if error else answer.result()


def _in_thread(check: Check) -> Future[Sequence[Finding]]:
    """Run a check in a daemon thread. No executor of the standard library: it joins its threads at exit."""
    answer: Future[Sequence[Finding]] = Future()

    def run() -> None:
        try:
            answer.set_result(check.look())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name=f"check {check.name}", daemon=True).start()
    return answer


def _tell(findings: Iterable[Finding], out: Out, *, as_document: bool) -> int:
    """Write the report; return the exit status."""
    told = []
    for finding in findings:
        told.append(finding)
        if not as_document:
            out.write(line_of(finding, colour=out.is_terminal))
    status = status_of(told)
    if as_document:
        out.write(document_of(told))
    else:
        out.write("Kernels can be used here.\n" if status == OK else "Kernels cannot be used here: see what failed.\n")
    return status


def status_of(findings: Iterable[Finding]) -> int:
    """Return the exit status: whether what every session needs works."""
    return CANNOT if any(finding.state == "failed" for finding in findings) else OK


def line_of(finding: Finding, *, colour: bool = False) -> str:
    """Return a finding as text: a line, and another one where something is to be done."""
    mark = f"{finding.state:<8}"
    mark = f"\x1b[{_COLOURS[finding.state]}m{mark}\x1b[0m" if colour else mark
    line = f"{mark} {finding.name}: {' '.join(finding.detail.split())}\n"
    return line + (f"{'':<8} -> {finding.remedy}\n" if finding.remedy else "")


def document_of(findings: Sequence[Finding]) -> str:
    """Return the findings as a JSON document."""
    status = status_of(findings)
    document = {"ok": status == OK, "exit_status": status, "checks": [asdict(finding) for finding in findings]}
    return json.dumps(document, indent=1) + "\n"
