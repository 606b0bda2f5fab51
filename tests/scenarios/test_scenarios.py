"""Each setting of each scenario is read back from inside the kernel, or from the engine, and its limits are hit."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import EngineUnavailable, Executor, ExecutorClosed, InvalidArgument
from tests.cli.conftest import COMMAND
from tests.executor.looks import notebook, wait_until

CONTAINERS = ("production", "testing", "sandbox")
SIDE_DOOR = "import logging; os = logging.os"
"""How code gets at what the policy of the sandbox blocks: it is no wall."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Executor]]:
    """An executor for each scenario, in a directory of its own, that lasts longer than these tests."""
    made: dict[str, Executor] = {}

    def start(name: str) -> Executor:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = Executor.for_scenario(name, workdir=folder, lifetime=3600, timeout=60).start()
        return made[name]

    yield start
    for executor in made.values():
        executor.close()


@pytest.fixture
def about(engine: Any, started: Callable[[str], Executor]) -> Callable[[str], dict[str, Any]]:
    """What the engine knows of a scenario's container."""

    def about(name: str) -> dict[str, Any]:
        host = started(name).execute(f"{SIDE_DOOR}; print(os.uname().nodename)").stdout.strip()
        found: dict[str, Any] = engine.containers.get(host).attrs
        return found

    return about


def test_what_the_engine_was_asked_for(about: Callable[[str], dict[str, Any]]) -> None:
    asked = {name: about(name)["HostConfig"] for name in CONTAINERS}
    assert asked["production"]["Memory"] == 4 * 2**30
    assert asked["production"]["NanoCpus"] == min(2, os.cpu_count() or 1) * 10**9
    for name in CONTAINERS:
        assert asked[name]["NetworkMode"] == "none", name
        assert asked[name]["ReadonlyRootfs"], name
        assert asked[name]["AutoRemove"], name


@pytest.mark.parametrize("name", ["development", *CONTAINERS])
def test_mode_and_name(started: Callable[[str], Executor], name: str) -> None:
    ex = started(name)
    mode = {"development": "debug", "testing": "testing"}.get(name, "standard")
    assert ex.execute("1").mode == mode
    facts = notebook(ex.notebook_path).metadata.kernel_exec
    assert (facts.mode, facts.name) == (mode, name)


def test_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = {"development": (30, 120), "production": (None, 1800), "testing": (60, 300), "sandbox": (60, 60)}
    for name, times in expected.items():
        core = Executor.for_scenario(name)._core._conductor._settings
        assert (core.timeout, core.lifetime) == times


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", ["development", "sandbox"])
def test_times_are_kept(tmp_path: Path, name: str) -> None:
    with Executor.for_scenario(name, workdir=tmp_path, timeout=0.3) as ex:
        result = ex.execute("while True: pass")
        assert (result.status, result.state_preserved) == ("timeout", True)
    ex = Executor.for_scenario(name, workdir=tmp_path, timeout=None, lifetime=3).start()
    assert ex.execute("while True: pass").status == "timeout"
    wait_until(lambda: not ex.is_alive)
    with pytest.raises(ExecutorClosed, match="lifetime of 3 s"):
        ex.execute("1")


def test_development_keeps_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Executor.for_scenario("development") as ex:
        ex.execute("open('kept.txt', 'w').write('x')")
    assert (tmp_path / "workspace" / "kept.txt").read_text(encoding="utf-8") == "x"
    assert (tmp_path / "workspace" / "session.ipynb").exists()


def test_the_network_of_testing_says_why(started: Callable[[str], Executor]) -> None:
    result = started("testing").execute("import urllib.request\nurllib.request.urlopen('http://example.invalid/')")
    assert "this session is offline, so that its results do not depend on what answers" in result.text


def test_the_sandbox_holds_where_its_policy_does_not(started: Callable[[str], Executor]) -> None:
    ex = started("sandbox")
    for blocked in ("os", "subprocess", "sys"):
        assert ex.execute(f"import {blocked}").status == "denied"
    assert ex.execute("!ls").status == "denied"
    found = ex.execute(
        f"{SIDE_DOOR}\nimport json, socket\n"
        "def tried(do):\n"
        "    try:\n        return str(do())\n"
        "    except OSError as error:\n        return type(error).__name__\n"
        "print(json.dumps({\n"
        "    'root': os.getuid() == 0, 'system': os.system('true'),\n"
        "    'write': tried(lambda: open('/usr/mine', 'w')), 'shadow': tried(lambda: open('/etc/shadow').read()),\n"
        "    'network': tried(lambda: socket.create_connection(('192.0.2.1', 80), 1)),\n"
        "    'interfaces': [name for _, name in socket.if_nameindex()],\n"
        "    'host': tried(lambda: os.kill(1, 9)),\n"
        "}))"
    )
    facts = json.loads(found.stdout)
    assert facts.pop("host") in ("None", "PermissionError")
    assert facts == {
        "root": False,
        "system": 0,
        "write": "OSError",
        "shadow": "PermissionError",
        "network": "OSError",
        "interfaces": ["lo"],
    }
    assert ex.execute("1").text == "1"


def test_libraries_work_in_the_sandbox(started: Callable[[str], Executor]) -> None:
    result = started("sandbox").execute(
        "import matplotlib.pyplot as plt\nimport pandas as pd\nimport numpy as np\n"
        "frame = pd.DataFrame({'销售': np.arange(3)})\nframe.to_csv('a.csv')\nframe.to_parquet('a.parquet')\n"
        "pd.read_parquet('a.parquet').plot(title='趋势')\nplt.savefig('trend.png')"
    )
    assert result.ok, result.text
    assert len(result.images) == 1
    assert {"a.csv", "a.parquet", "trend.png"} <= {artifact.path.name for artifact in result.artifacts}


@pytest.mark.parametrize("name", CONTAINERS)
def test_without_an_engine_nothing_is_weakened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(EngineUnavailable):
        Executor.for_scenario(name, workdir=tmp_path).start()


def test_what_is_overridden(tmp_path: Path, engine: Any) -> None:
    with Executor.for_scenario("production", workdir=tmp_path, memory="512m", pids=50, name="mine") as ex:
        host = ex.execute("import os; print(os.uname().nodename)").stdout.strip()
        asked = engine.containers.get(host).attrs["HostConfig"]
        assert (asked["Memory"], asked["PidsLimit"]) == (512 * 2**20, 50)
    with pytest.raises(InvalidArgument, match="memroy"):
        Executor.for_scenario("production", memroy="1g")


def test_from_the_command_line(tmp_path: Path) -> None:
    def run(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, input=code, capture_output=True, text=True, timeout=100, check=False
        )

    (tmp_path / "pyproject.toml").write_text(
        '[tool.kernel_exec.scenarios.quick]\nextends = "development"\ntimeout = 0.5\n', encoding="utf-8"
    )
    listed = run("--list-scenarios").stdout.splitlines()
    assert [line.partition(":")[0] for line in listed] == ["development", *CONTAINERS, "quick"]
    assert run("--scenario", "quick", "-", code="while True: pass").returncode == 124
    denied = run("--scenario", "sandbox", "-", code="import os")
    assert denied.returncode == 1
    assert "blocked_imports" in denied.stderr
    unknown = run("--scenario", "sandpit", "-", code="1")
    assert (unknown.returncode, "there is no scenario 'sandpit'" in unknown.stderr) == (2, True)
    weaker = run("--scenario", "sandbox", "--kernel", "python3", "-", code="1")
    assert (weaker.returncode, "runs in a container" in weaker.stderr) == (2, True)
