"""The wheel alone, in an empty environment outside the tree, does what the tree does."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel and what it depends on, and a folder to work in."""

    wheel: Path
    bin: Path
    folder: Path

    def run(self, *command: str, status: int = 0) -> str:
        """Run a command of the environment in the folder, as a user would; return what it printed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}
        environment |= {"PATH": f"{self.bin}{os.pathsep}{os.defpath}", "HOME": str(self.folder)}
        environment.pop("VIRTUAL_ENV", None)
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    base = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(base / "dist"), str(ROOT)], check=True)
    (wheel,) = (base / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(base / "env")], check=True)
    python = base / "env" / "bin" / "python"
    subprocess.run([str(python), *pip[1:], "install", "--no-compile", str(wheel)], check=True)
    (base / "elsewhere").mkdir()
    return Installed(wheel, base / "env" / "bin", base / "elsewhere")


def test_wheel_has_every_file_of_the_package_and_nothing_else(installed: Installed) -> None:
    names = {name for name in zipfile.ZipFile(installed.wheel).namelist() if ".dist-info/" not in name}
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "kernel_exec").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == package
    assert "kernel_exec/py.typed" in names
    assert any(name.startswith("kernel_exec/inkernel/") for name in names)


def test_install_pulls_no_extra(installed: Installed) -> None:
    facts = json.loads(installed.run("python", str(HERE / "closure.py")))
    assert sorted(facts["installed"]) == sorted(facts["needed"])


def test_the_package_runs_cells_and_records_them(installed: Installed) -> None:
    facts = json.loads(installed.run("python", str(HERE / "smoke.py")))
    assert facts["inside"] is True, "the installed package, not the tree, must have run"
    assert facts["typed"] is True
    assert facts["text"] == "42"
    assert facts["error"] == "ZeroDivisionError"
    assert facts["images"] == ["image/png"]
    assert facts["after_timeout"] == ["timeout", True, "42"]
    assert facts["launcher"] == "'_kernel_exec.app'", "what runs inside the kernel must have been found"
    assert facts["cells"] == 6
    assert facts["provisioner"] == "HostProvisioner"
    assert facts["stock_client"] == "7"


def test_the_command_line_runs_a_file(installed: Installed) -> None:
    (installed.folder / "cells.py").write_text("# %%\nx = 6 * 7\n# %%\nprint(x)\n")
    assert "42" in installed.run("kernel-exec", "run", "cells.py", "--notebook", "cells.ipynb")
    assert (installed.folder / "cells.ipynb").is_file()
