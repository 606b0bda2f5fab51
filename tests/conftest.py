"""What all tests share: an environment that is the same on every machine, an engine, and a kernel to run on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import docker
import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from kernel_exec import DockerKernel, HostKernel, KernelExecError
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.kernels.leftovers import sweep
from tests.images.stubs import stub

# How long an example takes says something of the machine. New examples are for whoever looks for them
# (HYPOTHESIS=explore), not for whoever wants to know what a change has done.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS", "tests"))


@pytest.fixture(autouse=True, scope="session")
def _plain_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests from reading, and writing to, what the person who runs them has set up for Jupyter."""
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        os.environ[name] = str(home / name.lower())
    if os.environ.get("ENGINE") != "no":
        with contextlib.suppress(KernelExecError):  # once a process: not while a test leaves some on purpose
            asyncio.run(sweep(Engine.find()))
    for name in ("JUPYTER_PATH", "JUPYTER_DEFAULT_PROVISIONER_NAME", "MPLBACKEND", "PYTHONSTARTUP"):
        os.environ.pop(name, None)


CONTAINED = (
    *("tests/containers/", "tests/images/", "tests/lab/", "tests/scenarios/"),
    *("tests/integrations/", "tests/magics/test_end.py"),
    *("tests/replays/test_replay.py", "tests/replays/test_resume.py", "tests/replays/test_verify.py"),
)
"""Where there are tests with containers: processes that start one remove those that nobody owns, which others count."""

LEFT_OUT = "ENGINE=no: no container engine is used"
NO_BROWSER = "BROWSER=no: no browser is used"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real browser. Where there is none every test that uses it fails, unless BROWSER=no says that none is wanted."""
    from tests.browser import Browser  # takes a while

    running = Browser(tmp_path_factory.mktemp("browser"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """A client of the engine. Without one every test that uses it fails, unless ENGINE=no says that none is wanted."""
    client = docker.from_env()
    client.ping()
    yield client
    client.close()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pip, and what is called ipykernel and is installed in a moment: making an image is the same."""
    from kernel_exec.kernels.images.python import Python
    from kernel_exec.kernels.images.wheels import download

    folder = tmp_path_factory.mktemp("wheels")
    asyncio.run(download(folder, [], Python("python3", "3.11.2", "x86_64", "2.36")))
    stub(folder, "6.30.0")
    return folder


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever obeys an interrupt, or answers, may stand still before, as anybody on a busy machine.

    Not for tests of the grace itself, or of code that does not obey, which would have it for a minute.
    """
    monkeypatch.setattr("kernel_exec.session.REPEAT", 10.0)
    monkeypatch.setattr("kernel_exec.session.GRACE", 60.0)
    monkeypatch.setattr("kernel_exec.kernels.link.SIGNAL_TIMEOUT", 20.0)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Side by side: of a file all tests stay together, as they share kernels.

    Those of containers and images run one after the other, as they look at what others leave in the engine.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        contained = file.startswith(CONTAINED) or "container]" in nodeid
        return "containers" if contained and not file.startswith("tests/conformance/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Have them scheduled like that."""
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)  # so that `-m` knows the marker
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark the tests that need an engine or a browser, and leave them out where none is wanted."""
    for item in items:
        container = hasattr(item, "callspec") and item.callspec.params.get("kernel") == "container"
        if container or "engine" in getattr(item, "fixturenames", ()) or item.get_closest_marker("engine"):
            item.add_marker("engine")
            if os.environ.get("ENGINE") == "no":
                item.add_marker(pytest.mark.skip(reason=LEFT_OUT))
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
            if os.environ.get("BROWSER") == "no":
                item.add_marker(pytest.mark.skip(reason=NO_BROWSER))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what ENGINE=no and BROWSER=no have left out."""
    reports = terminalreporter.stats.get("skipped", ())
    for reason, what in (
        (LEFT_OUT, "CONTAINERS"),
        (NO_BROWSER, "PAGES"),
    ):
        files = Counter(report.nodeid.partition("::")[0] for report in reports if reason in str(report.longrepr))
        if files:
            title = f"{files.total()} TESTS OF {what} DID NOT RUN ({reason.partition(':')[0]})"
            terminalreporter.section(title, sep="!", red=True, bold=True)
        for name, count in sorted(files.items()):
            terminalreporter.line(f"{name}: {count}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that is marked `everywhere` on the host and in a container (a hook of pytest).

    In a container it is one of the long tests, unless the mark says `soon=True`. Marked `host_only`, which says why, a
    test of such a module runs on the host alone.
    """
    everywhere = metafunc.definition.get_closest_marker("everywhere")
    if (
        everywhere is None
        or "kernel" not in metafunc.fixturenames
        or metafunc.definition.get_closest_marker("host_only")
    ):
        return
    long = () if everywhere.kwargs.get("soon") else (pytest.mark.long,)
    metafunc.parametrize("kernel", ["host", pytest.param("container", marks=long)], indirect=True, scope="module")


@pytest.fixture(scope="module")
def kernel(request: pytest.FixtureRequest) -> KernelSettings:
    """The kernel that a test runs on."""
    if getattr(request, "param", "host") == "host":
        return HostKernel()
    request.getfixturevalue("engine")
    return DockerKernel()
