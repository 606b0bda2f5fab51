"""Verifications as JUnit XML: a suite a notebook, a test a cell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from kernel_exec.replays.many import NotRun

if TYPE_CHECKING:
    from kernel_exec.replays.verify import Verification

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to express."""


def junit_of(verifications: Iterable[Verification | NotRun]) -> str:
    """Return a document with a suite for each notebook; one that could not be run is an error."""
    root = ET.Element("testsuites")
    for one in verifications:
        if isinstance(one, NotRun):
            _add_error(root, one)
        else:
            _add(root, one)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(root: ET.Element, verification: Verification) -> None:
    cells = verification.cells
    counts = {
        "tests": len(cells),
        "failures": sum(cell.status == "differs" for cell in cells),
        "errors": 0,
        "skipped": sum(cell.status == "skipped" for cell in cells),
    }
    name = _clean(str(verification.origin))
    numbers = {key: str(count) for key, count in counts.items()}
    suite = ET.SubElement(root, "testsuite", {"name": name, "time": f"{verification.seconds:.3f}", **numbers})
    for change in verification.environment:
        properties = suite.find("properties")
        properties = ET.SubElement(suite, "properties") if properties is None else properties
        ET.SubElement(properties, "property", {"name": "environment", "value": _clean(change)})
    for cell in cells:
        title = f"cell {cell.index}: {cell.title}"[:120]
        case = ET.SubElement(
            suite, "testcase", {"classname": name, "name": _clean(title), "time": f"{cell.seconds:.3f}"}
        )
        if cell.status == "skipped":
            ET.SubElement(case, "skipped", {"message": _clean(cell.reason)})
        elif cell.differences:
            said = [str(difference) for difference in cell.differences]
            failure = ET.SubElement(case, "failure", {"message": _clean(said[0])})
            failure.text = _clean("\n".join(said))


def _add_error(root: ET.Element, one: NotRun) -> None:
    name, said = _clean(str(one.origin)), _clean(str(one.error))
    counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
    suite = ET.SubElement(root, "testsuite", {"name": name, "time": "0.000", **counts})
    case = ET.SubElement(suite, "testcase", {"classname": name, "name": "the notebook", "time": "0.000"})
    error = ET.SubElement(case, "error", {"type": type(one.error).__name__, "message": said})
    error.text = said


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
