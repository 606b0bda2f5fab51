"""What pictures the terminal can show."""

from __future__ import annotations

from kernel_exec.cli.checks.finding import Finding
from kernel_exec.cli.pictures import protocol

_MEANING = {
    "kitty": "full pictures, by the graphics protocol of kitty",
    "sixel": "full pictures, as sixels",
    "blocks": "coarse pictures, of coloured half blocks",
}


def pictures() -> list[Finding]:
    """Ask the terminal what it can show."""
    name = "terminal pictures"
    found = protocol()
    if found is None:
        return [Finding(name, "missing", "textual-image is not there", "python -m pip install 'kernel-exec[terminal]'")]
    if found == "none":
        return [Finding(name, "warning", "standard output is no terminal: pictures are told by their path")]
    remedy = "for full pictures use kitty, WezTerm, foot or another terminal with sixels" if found == "blocks" else ""
    return [Finding(name, "ok", _MEANING[found], remedy)]
