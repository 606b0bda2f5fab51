"""Modes: what each sets is read back from inside the kernel."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import Executor, HostKernel, InvalidArgument, KernelStartError, Limits, Mode, WrongType
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.kernels.modes import MODES
from tests.executor.looks import notebook

pytestmark = pytest.mark.everywhere(soon=True)

ASK = """
import faulthandler, json, logging, os, warnings
shell = get_ipython()
print(json.dumps({
    "env": dict(os.environ), "cwd": os.getcwd(), "tracebacks": shell.InteractiveTB.mode,
    "faulthandler": faulthandler.is_enabled(), "level": logging.getLogger().level, "cache": shell.cache_size,
    "history": shell.history_manager.enabled, "always": ("always", None, Warning, None, 0) in warnings.filters,
}))
"""


@pytest.fixture(scope="module", params=["standard", "debug", "performance", "testing"])
def told(
    request: pytest.FixtureRequest, kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Executor, dict[str, Any]]]:
    """A mode, an executor in it, and what its kernel tells."""
    with Executor(kernel, workdir=tmp_path_factory.mktemp("work"), mode=request.param, limits=Limits(cpus=1)) as ex:
        yield request.param, ex, json.loads(ex.execute(ASK).stdout)


def test_each_setting_is_in_force(told: tuple[str, Executor, dict[str, Any]]) -> None:
    mode, ex, facts = told
    expected = {
        name: value.format(workdir=facts["cwd"], cpus=1)
        for name, value in MODES[mode].env.items()
        if name != "PYTHONPATH"
    }
    assert {name: facts["env"].get(name) for name in expected} == expected
    path = MODES[mode].env.get("PYTHONPATH")
    first = facts["env"].get("PYTHONPATH", "").split(os.pathsep)[0]
    assert path is None or first == path.format(workdir=facts["cwd"])
    assert facts["tracebacks"] == ("Verbose" if mode == "debug" else "Context")
    assert facts["faulthandler"] is facts["always"] is (mode == "debug")
    assert (facts["level"] == 10) is (mode == "debug")
    assert facts["history"] is (mode != "performance")
    assert facts["cache"] == (0 if mode == "performance" else 1000)
    assert ex.execute("1").mode == mode
    assert notebook(ex.notebook_path).metadata.kernel_exec.mode == mode


def test_what_it_is_good_for(told: tuple[str, Executor, dict[str, Any]]) -> None:
    mode, ex, _ = told
    debug = mode == "debug"
    failed = ex.execute("def half(amount):\n    share = amount + 1\n    return share / 0\nhalf(4710)")
    assert failed.error is not None
    said = "Local variables of half, line 3: amount = 4710, share = 4711"
    assert (said in failed.error.traceback) is (said in failed.text) is debug
    logged = ex.execute("logging.getLogger('mine').debug('step %d', 3)").stderr
    assert logged == ("DEBUG mine: step 3\n" if debug else "")
    ex.execute("def twice():\n    for _ in range(2): warnings.warn('careful', UserWarning)")
    assert ex.execute("twice()").stderr.count("UserWarning: careful") == (2 if debug else 1)
    ex.execute("import gc\nclass Large: pass\nLarge()")
    ex.execute("pass")  # IPython itself keeps the last result
    alive = ex.execute("gc.collect(); print(any(isinstance(thing, Large) for thing in gc.get_objects()))").stdout
    assert alive == ("False\n" if mode == "performance" else "True\n")
    assert [variable.name for variable in ex.variables() if variable.name == "twice"] == ["twice"]


def test_modules_of_its_directory(kernel: KernelSettings, tmp_path: Path) -> None:
    (tmp_path / "debug").mkdir()
    (tmp_path / "debug" / "only_here.py").write_text("x = 1", encoding="utf-8")
    with Executor(kernel, workdir=tmp_path, mode="debug") as ex:
        assert ex.execute("import only_here").ok
        assert ex.execute("!python3 -c 'import only_here; print(only_here.x)'").stdout.strip() == "1"


def test_one_of_your_own(kernel: KernelSettings, tmp_path: Path) -> None:
    mine = Mode(
        name="mine", env={"A": "{workdir}/{cpus}/{other}", "B": "b"}, options={"InteractiveShell.xmode": "Minimal"}
    )
    settings = dataclasses.replace(kernel, env={"B": "kernel"})
    with Executor(settings, workdir=tmp_path, mode=mine, limits=Limits(cpus=1)) as ex:
        result = ex.execute("import os; print(os.environ['A'] == os.getcwd() + '/1/{other}', os.environ['B'])")
        assert result.stdout == "True kernel\n"
        assert result.mode == "mine"
        assert ex.execute("get_ipython().InteractiveTB.mode").text == "'Minimal'"
        ex.restart()
        assert ex.execute("get_ipython().InteractiveTB.mode").text == "'Minimal'"


CHANCE = """
import hashlib, io, random, time
import matplotlib.pyplot as plt
import numpy as np
figure = io.BytesIO()
plt.plot([1, 2]); plt.title("销售"); plt.savefig(figure, format="svg", metadata={"Date": None}); plt.close()
noon = time.strftime("%H %Z", (2026, 7, 1, 12, 0, 0, 0, 0, 0))
print(random.random(), np.random.rand(3), np.random.permutation(9), {"a", "b", "c"}, hash("a"), noon)
print(hashlib.sha256(figure.getvalue()).hexdigest())
"""
REACHES = """
import socket, urllib.request
def tried(reach):
    try:
        return reach()
    except OSError as error:
        return f"{type(error).__name__}: {error}"
print(tried(lambda: urllib.request.urlopen("http://example.invalid/x")))
print(tried(lambda: socket.create_connection(("192.0.2.1", 80), 1)))
print(tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))))
print(tried(lambda: socket.socket(socket.AF_INET).connect_ex(("192.0.2.1", 80))))
server = socket.create_server(("127.0.0.1", 0))
print(socket.create_connection(server.getsockname()).getpeername() == server.getsockname())
a, b = socket.socketpair()
a.sendall(b"y")
print(b.recv(1))
"""


def test_the_same_by_chance(kernel: KernelSettings, tmp_path: Path) -> None:
    said = set()
    for number in range(2):
        with Executor(kernel, workdir=tmp_path / str(number), mode="testing") as ex:
            result = ex.execute(CHANCE)
            assert result.ok, result.text
            said.add(result.stdout)
            seeds = notebook(ex.notebook_path).metadata.kernel_exec.environment.seeds
            assert seeds == {"PYTHONHASHSEED": "0", "KERNEL_EXEC_SEED": "0"}
    assert len(said) == 1


def test_the_network_is_refused_with_the_reason(kernel: KernelSettings, tmp_path: Path) -> None:
    with Executor(kernel, workdir=tmp_path, mode="testing") as ex:
        *refused, local, pair = ex.execute(REACHES).stdout.splitlines()
        assert len(refused) == 4
        assert all("this session is offline, so that its results do not depend on" in line for line in refused)
        assert (local, pair) == ("True", "b'y'")
        uncaught = ex.execute("socket.create_connection(('192.0.2.1', 80))")
        assert (uncaught.error and uncaught.error.name) == "Offline"


@pytest.mark.host_only("containers see nothing of the host's environment")
def test_what_the_host_has_on_its_path_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hosts"))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with Executor(workdir=tmp_path, mode="performance", limits=Limits(cpus=1)) as ex:
        result = ex.execute("import os; print(os.environ['PYTHONPATH'], os.environ['OMP_NUM_THREADS'])")
    assert result.stdout == f"{tmp_path}/optimized:{tmp_path}/hosts 1\n"


@pytest.mark.host_only("a container's kernel is one of Python")
def test_a_kernel_that_is_none_of_pythons(foreign: Callable[[], str], tmp_path: Path) -> None:
    name = foreign()
    with pytest.raises(KernelStartError, match="'debug' has settings of IPython"):
        Executor(HostKernel(kernel_name=name), workdir=tmp_path, mode="debug").start()


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Installs the kernelspec of a kernel that ipykernel has nothing to do with."""

    def install() -> str:
        folder = tmp_path / "jupyter" / "kernels" / "foreign"
        folder.mkdir(parents=True)
        spec = {"argv": ["cat", "{connection_file}"], "display_name": "Foreign", "language": "none"}
        (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
        return "foreign"

    return install


@pytest.mark.host_only("no kernel starts")
def test_its_options_win_over_those_of_the_kernelspec() -> None:
    mode = Mode(name="x", options={"A.b": "mine"})
    command = ["python", "launcher.py", "-f", "file", "--A.b=theirs", "--C.d=theirs"]
    made = mode.command(command, {"--C.d": "usual", "--E.f": "usual"})
    assert made == ["python", "launcher.py", "-f", "file", "--C.d=theirs", "--E.f=usual", "--A.b=mine"]
    assert Mode(name="x").command(None, {"--E.f": "usual"}) is None


@pytest.mark.host_only("no kernel starts")
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Executor(mode="fast"), InvalidArgument),
        (lambda: Executor(mode=3), WrongType),  # type: ignore[arg-type]
        (lambda: Mode(name=""), InvalidArgument),
        (lambda: Mode(name=3), WrongType),  # type: ignore[arg-type]
        (lambda: Mode(name="x", env={"A=B": "c"}), InvalidArgument),
        (lambda: Mode(name="x", env=3), WrongType),  # type: ignore[arg-type]
        (lambda: Mode(name="x", options={"xmode": "Verbose"}), InvalidArgument),
        (lambda: Mode(name="x", options={"A.b": 3}), InvalidArgument),  # type: ignore[dict-item]
        (lambda: Mode(name="x", log_level="LOUD"), InvalidArgument),
        (lambda: Mode(name="x", local_variables="yes"), WrongType),  # type: ignore[arg-type]
        (lambda: Mode(name="x", offline=1), WrongType),  # type: ignore[arg-type]
        (lambda: Mode(name="x", seed="1"), WrongType),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_work(make: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()
