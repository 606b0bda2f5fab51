"""Scenarios that are written down: read, extended, and refused with the line where something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernel_exec import DockerKernel, Executor, HostKernel, InvalidArgument, Limits, Mode, Policy, Scenario, WrongType
from kernel_exec.scenarios import SCENARIOS, line_of, scenario_named, scenarios

GOOD = """
[project]
name = "x"

[tool.kernel_exec.scenarios.reports]
extends = "production"
timeout = 120
lifetime = false
workdir = "out"
kernel = { memory = "8g", env = { REGION = "eu" }, network = "bridge", ports = { 8080 = 9090 } }

[tool.kernel_exec.scenarios.reports.limits]
text = 5000

[tool.kernel_exec.scenarios.nightly]  # extends what comes before it, and one that there is
extends = "reports"
mode = "performance"

[tool.kernel_exec.scenarios.nightly.policy]
blocked_imports = ["subprocess"]
shell = false

[tool.kernel_exec.scenarios.sandbox]
lifetime = 600

[tool.kernel_exec.scenarios.here]
kernel.kind = "host"
kernel.env = { A = "b" }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with scenarios, in a directory of which we are."""
    (tmp_path / "pyproject.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    return tmp_path


def test_what_a_file_says(project: Path) -> None:
    known = scenarios()
    assert list(known) == [*SCENARIOS, "reports", "nightly", "here"]
    nightly = known["nightly"]
    assert isinstance(nightly.kernel, DockerKernel)
    assert (nightly.kernel.memory, dict(nightly.kernel.env), dict(nightly.kernel.ports)) == (
        8 * 2**30,
        {"REGION": "eu"},
        {8080: 9090},
    )
    assert (nightly.timeout, nightly.lifetime, nightly.workdir) == (120, None, "out")
    assert (nightly.limits, nightly.mode) == (Limits(text=5000), "performance")
    assert nightly.policy == Policy(blocked_imports=["subprocess"], shell=False)
    assert known["reports"].policy is None
    assert (known["sandbox"].lifetime, known["sandbox"].policy) == (600, SCENARIOS["sandbox"].policy)
    assert known["here"].kernel == HostKernel(env={"A": "b"})
    assert scenario_named("reports") == known["reports"]


def test_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[scenarios.quick]\nextends = "development"\ntimeout = 1\n', encoding="utf-8")
    assert scenarios(file)["quick"].timeout == 1
    assert scenarios(file)["quick"].mode == "debug"


def test_no_file(tmp_path: Path) -> None:
    assert scenarios(tmp_path) == SCENARIOS


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[scenarios.a]\n\ntimout = 3", 3, "a.timout is no setting of a scenario: extends, kernel"),
        ("[scenarios.a]\ntimeout = 'x'", 2, "a.timeout cannot be used: timeout must be a number of seconds"),
        ("[scenarios.a]\ntimeout = -1", 2, "a.timeout cannot be used: timeout must be above zero"),
        ("[scenarios.a]\nmode = 'fast'", 2, "a.mode cannot be used: there is no mode 'fast'"),
        ("[scenarios.a]\n[scenarios.a.kernel]\nmemroy = 3", 3, "a.kernel.memroy is no setting of HostKernel"),
        ("[scenarios.a]\nkernel.kind = 'vm'", 2, "a.kernel.kind must be one of host, docker"),
        ("[scenarios.a]\nkernel = 3", 2, "a.kernel must be a table"),
        ("[scenarios.a]\nextends='sandbox'\nkernel = {image = 3}", 3, "a.kernel.image cannot be used"),
        (
            "[scenarios.a]\nextends='sandbox'\n[scenarios.a.kernel]\ncpus = 1\nmemory = 'lots'",
            5,
            "a.kernel.memory cannot",
        ),
        ("[scenarios.a.limits]\ntext = 1", 2, "a.limits.text cannot be used"),
        ("[scenarios.a.limits]\nwords = 1", 2, "a.limits.words is no setting of Limits"),
        ("[scenarios.a]\nlimits = []", 2, "a.limits must be a table"),
        ("[scenarios.a.policy]\nblocked_imports = 'os'", 2, "a.policy.blocked_imports cannot be used"),
        ("[scenarios.a.policy]\nreview = 'x'", 2, "a.policy.review is no setting of Policy"),
        ("[scenarios.a]\nextends = 'b'", 2, "a.extends names 'b', which is no scenario"),
        ("[scenarios.a]\nextends = 3", 2, "a.extends must be the name of a scenario"),
        ("[scenarios.a]\nextends = 'a'", 2, "a.extends is a circle: a -> a"),
        ("[scenarios.a]\nextends = 'b'\n[scenarios.b]\nextends='c'\n[scenarios.c]\nextends='a'", 6, "a -> b -> c -> a"),
        ("[scenarios]\na = 3", 2, "a must be a table"),
        ("[scenarios.'a.b']\nmode = 'fast'", 2, "a.b.mode cannot be used"),
        ("[scenarios.'']\ntimeout = 3", 1, "the name of a scenario must not be empty"),
    ],
)
def test_what_cannot_be_used_names_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgument) as raised:
        scenarios(file)
    assert f"{file}, line {line}: " in str(raised.value)
    assert says in str(raised.value)


@pytest.mark.parametrize("text", ["[scenarios", "scenarios = 3", "\ufeff["])
def test_no_toml(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"x\.toml"):
        scenarios(file)


def test_lines_of_other_tables_are_not_meant() -> None:
    text = 'name = 1\n[other.a]\nx = 1\n[tool.kernel_exec.scenarios."a"]\n"x" = 1\n'
    assert line_of(text, ("a", "y")) == 4
    assert line_of(text, ("a", "x")) == 5
    assert line_of('[scenarios."a.b"]\nx = 1', ("a.b", "x")) == 2
    assert line_of(text, ("b",)) == 1


def test_overrides(project: Path) -> None:
    given = scenario_named("reports").with_overrides({"timeout": 5, "memory": "1g", "image": "mine", "mode": "debug"})
    assert (given["timeout"], given["mode"], given["name"], given["workdir"]) == (5, "debug", "reports", "out")
    assert (given["kernel"].memory, given["kernel"].image, given["kernel"].network) == (2**30, "mine", "bridge")
    whole = scenario_named("reports").with_overrides({"kernel": HostKernel()})
    assert whole["kernel"] == HostKernel()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Executor.for_scenario("none"), InvalidArgument, "development, production, testing, sandbox"),
        (lambda: Executor.for_scenario(3), WrongType, "scenario"),  # type: ignore[arg-type]
        (lambda: Executor.for_scenario("sandbox", timout=3), InvalidArgument, "'timout'"),
        (lambda: Executor.for_scenario("development", image="x"), InvalidArgument, "'image'.*HostKernel"),
        (lambda: Executor.for_scenario("sandbox", kernel=HostKernel(), image="x"), InvalidArgument, "as a whole"),
        (lambda: Scenario(name=""), InvalidArgument, "empty"),
        (lambda: Scenario(name=3), WrongType, "string"),  # type: ignore[arg-type]
        (lambda: Scenario(name="x", kernel="host"), WrongType, "HostKernel"),  # type: ignore[arg-type]
        (lambda: Scenario(name="x", mode="fast"), InvalidArgument, "mode"),
        (lambda: Scenario(name="x", timeout=0), InvalidArgument, "timeout"),
        (lambda: Scenario(name="x", limits=3), WrongType, "limits"),  # type: ignore[arg-type]
        (lambda: Scenario(name="x", policy=3), WrongType, "policy"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_work(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_one_of_your_own(tmp_path: Path) -> None:
    mine = Scenario(name="mine", workdir=str(tmp_path / "w"), mode=Mode(name="m", env={"A": "1"}), timeout=9)
    with Executor.for_scenario(mine, name="other") as ex:
        result = ex.execute("import os; print(os.environ['A'])")
        assert (result.stdout, result.mode) == ("1\n", "m")
        assert "other" in repr(ex)
    assert (tmp_path / "w" / "session.ipynb").exists()
