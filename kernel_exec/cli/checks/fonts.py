"""Whether charts can show Chinese, Japanese and Korean."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from kernel_exec.cli.checks.finding import Finding
from kernel_exec.glyphs import REMEDY

PROBE = Path(__file__).with_name("probe_fonts.py")
SAMPLES = {"Chinese": "中", "Japanese": "あ", "Korean": "한"}
TIMEOUT = 18.0


def fonts() -> list[Finding]:
    """Look for a font of each of the scripts, in a process of its own: reading broken font files is C code."""
    command = [sys.executable, "-P", str(PROBE), *SAMPLES.values()]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
    except subprocess.SubprocessError as error:
        trouble = (getattr(error, "stderr", None) or str(error)).strip().rpartition("\n")[2]
        remedy = "see what this says: python -c 'import matplotlib.font_manager'"
        return [Finding("fonts", "warning", f"matplotlib cannot look for fonts: {trouble}", remedy)]
    found = json.loads(done.stdout)
    return [_script(name, found[sample]) for name, sample in SAMPLES.items()]


def _script(name: str, font: str | None) -> Finding:
    if font:
        return Finding(f"font: {name}", "ok", font)
    return Finding(f"font: {name}", "missing", "no font that matplotlib finds has its characters", REMEDY)
