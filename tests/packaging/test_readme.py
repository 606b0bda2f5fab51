"""The README's first five minutes, word for word."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kernel_exec import verify

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(section: str) -> list[tuple[str, str]]:
    """Return (language, text) of each fenced block in the section with that heading."""
    text = (ROOT / "README.md").read_text("utf-8")
    (body,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return BLOCK.findall(body)


def run(command: list[str], folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_five_minutes_print_what_the_readme_says(tmp_path: Path) -> None:
    section = blocks("The first five minutes")
    script = tmp_path / "first_steps.py"
    script.write_text("\n".join(text for language, text in section if language == "python"))
    promised = "".join(text for language, text in section if language == "text")
    assert run([sys.executable, "-W", "error", str(script)], tmp_path) == promised


def test_the_command_line_prints_what_the_readme_says(tmp_path: Path) -> None:
    section = blocks("The command line")
    script = "set -e\n" + "\n".join(text for language, text in section if language == "bash")
    promised = "".join(text for language, text in section if language == "text")
    printed = run(["bash", "-c", script], tmp_path)
    for line in promised.splitlines():
        assert line.strip() in printed


def test_files_that_the_readme_points_to_exist() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
LONG = {"replay_and_verify"}


@pytest.mark.parametrize(
    "notebook",
    [pytest.param(path, marks=pytest.mark.long if path.stem in LONG else ()) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_notebooks_give_what_is_in_them(notebook: Path, tmp_path: Path) -> None:
    if notebook.stem == "container" and os.environ.get("ENGINE") == "no":
        pytest.skip("ENGINE=no: this notebook about containers does not run")
    found = verify(notebook, workdir=tmp_path)
    assert found.ok, str(found)
    assert all(cell.status == "same" for cell in found.cells)
