"""Test suites of other projects: fetched as they were released, and run in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.conformance import observed

STOCK = "local-provisioner"
_RANK = ("failed", "passed", "skipped")


@dataclass(frozen=True)
class Report:
    """How a suite went.

    Attributes:
        outcomes: "passed", "failed" or "skipped" by the id of the test.
        launches: how many kernels were launched, by the class of their provisioner.
        output: what pytest printed.
    """

    outcomes: dict[str, str] = field(default_factory=dict)
    launches: Counter[str] = field(default_factory=Counter)
    output: str = ""

    @property
    def passed(self) -> set[str]:
        """The tests that passed."""
        return {test for test, outcome in self.outcomes.items() if outcome == "passed"}


def fetch(package: str, folder: Path) -> Path:
    """Download the source package of the release that is installed; return the directory with its content."""
    release = f"{package}=={version(package)}"
    # pip asks the package's build backend for its metadata; ours has that backend, so that nothing else is fetched.
    how = ("--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", "download", *how, "--dest", folder, release], check=True, timeout=300)
    (archive,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    (content,) = (path for path in folder.iterdir() if path.is_dir())
    return content


def run(folder: Path, tests: Iterable[str], provisioner: str, **variables: str) -> Report:
    """Run tests of a suite, with the configuration that they came with.

    Args:
        folder: what `fetch` returned.
        tests: files, directories or ids of tests in it.
        provisioner: entry point of what starts the kernels of every kernelspec that names none.
        variables: of the environment, beside those that there are.
    """
    # Kernels are told of few of the host's variables; these are of the suite and meant for them.
    passed_on = "IPYKERNEL_CELL_NAME,NBEXECUTE_TEST_*,COLUMNS,LINES"
    options = (
        "-p",
        "no:cacheprovider",
        "--color=no",
        "--timeout=120",
        "-W",  # our plugin of pytest is of a package that `observed` has imported
        "ignore::pytest.PytestAssertRewriteWarning",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.NamedTemporaryFile() as file:
        env |= {
            "JUPYTER_DEFAULT_PROVISIONER_NAME": provisioner,
            "KERNEL_EXEC_PASS_ENV": passed_on,
            observed.FILE: file.name,
            **variables,
        }
        command = [sys.executable, "-P", observed.__file__, *options, *tests]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
        return _report(Path(file.name).read_text(), done.stdout + done.stderr)


def lost(folder: Path, tests: set[str], provisioner: str, **variables: str) -> set[str]:
    """Return which of the tests that failed with a provisioner do so again, and again.

    Some of them allow a busy machine a tenth of a second: what failed is asked twice more, alone.
    """
    for _ in range(2):
        if tests:
            tests -= run(folder, sorted(tests), provisioner, **variables).passed
    return tests


def _report(text: str, output: str) -> Report:
    report = Report(output=output)
    for kind, name, *rest in map(json.loads, text.splitlines()):
        if kind == "launch":
            report.launches[name] += 1
        else:  # a test with parts ends more than once: it failed where one part did, and is skipped where all were
            report.outcomes[name] = min(rest[0], report.outcomes.get(name, rest[0]), key=_RANK.index)
    return report
