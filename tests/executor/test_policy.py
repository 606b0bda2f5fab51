"""A policy is asked before each cell; what it decided is in the result and in the recording."""

from __future__ import annotations

import asyncio
import functools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec import (
    AsyncExecutor,
    Decision,
    Executor,
    InvalidArgument,
    Policy,
    PolicyDenied,
    Proposal,
    Retry,
    WrongType,
    replay,
    verify,
)
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells, wait_until

pytestmark = pytest.mark.everywhere

CLOSED = Policy(blocked_imports=["os", "subprocess", "sys"], shell=False)

STOPPED = {
    "import": "import os",
    "one of several": "import math, os.path as p",
    "from": "from os import getcwd",
    "behind an if": "if True:\n    import os",
    "importlib": "import importlib\nimportlib.import_module('o' + 's')",
    "relative to a package": "import importlib\nimportlib.import_module('.path', 'o' + 's')",
    "relative to names": "__import__('path', {'__package__': 'o' + 's', '__name__': 'o' + 's'}, None, ['x'], 1)",
    "a copy of import_module": "from importlib import import_module as f\nf('o' + 's')",
    "__import__": "__import__('o' + 's')",
    "__import__ with names": "__import__(name='o' + 's', globals=None, locals=None, fromlist=(), level=0)",
    "builtins": "import builtins\nbuiltins.__import__('o' + 's')",
    "__builtins__": "__builtins__.__import__('o' + 's')",
    "exec": "exec('import ' + 'os')",
    "exec elsewhere": "exec('import ' + 'os', {})",
    "eval": "eval('__imp' + 'ort__(\"o\" + \"s\")')",
    "a pickle": "import pickle\npickle.loads(b'cos\\ngetcwd\\n(tR.')",
    "a module of its own": "open('mine_own.py', 'w').write('import os')\nimport mine_own",
    "a shell": "!true",
    "a shell's answer": "answer = !true",
    "a shell cell": "%%bash\ntrue",
    "another interpreter": "%%python\nimport os",
    "a line magic": "answer = %sx true",
    "the shell's function": "get_ipython().getoutput('true')",
    "the shell's function by name": "getattr(get_ipython(), 'sys' + 'tem')('true')",
}
# What a guard rail does not hold: the documentation says so, and the box holds it.
KNOWN = {
    "what libraries have": "import logging\nlogging.os.system('true')",
    "sys.modules": "import logging\nlogging.sys.modules['o' + 's'].system('true')",
    "subclasses": (
        "[kind for kind in object.__subclasses__() if kind.__name__ == '_wrap_close'][0]"
        ".__init__.__globals__['system']('true')"
    ),
    "ctypes": "import ctypes\nctypes.CDLL(None).system(b'true')",
    "a loader": "import importlib.util as u\nu.find_spec('o' + 's').loader.load_module('o' + 's').system('true')",
    "the machinery": "import importlib\nimportlib._bootstrap._gcd_import('o' + 's').system('true')",
    "a library's name": "exec('import ' + 'os', {'__name__': 'json'})",
    "a library that imports what it is asked to": "import pkgutil\npkgutil.resolve_name('o' + 's').system('true')",
    "an import hook": (
        "import importlib.machinery as m\n"
        "m.PathFinder.find_spec('posix' + 'path').loader.load_module('posix' + 'path').os.system('true')"
    ),
}


@pytest.fixture(scope="module")
def closed(kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor whose cells may not import what the sandbox does not have."""
    with Executor(kernel, workdir=tmp_path_factory.mktemp("closed"), policy=CLOSED, timeout=30) as executor:
        yield executor


@pytest.mark.parametrize("way", STOPPED)
def test_ways_in_that_are_stopped(closed: Executor, way: str) -> None:
    result = closed.execute(STOPPED[way])
    assert result.error is not None
    assert (result.status, result.error.name) in {
        ("denied", "PolicyDenied"),
        ("error", "ImportDenied"),
        ("error", "ShellDenied"),
    }
    assert result.state_preserved


@pytest.mark.parametrize("way", KNOWN)
def test_ways_around_that_are_known(closed: Executor, way: str) -> None:
    """Each that begins to fail here can be moved to those that are stopped."""
    assert closed.execute(KNOWN[way]).ok


def test_a_file_that_is_run(closed: Executor) -> None:
    closed.execute("open('run_me.py', 'w').write('import os')")
    assert "ImportDenied" in closed.execute("%run run_me.py").text


def test_libraries_use_what_cells_may_not(closed: Executor) -> None:
    result = closed.execute(
        "import matplotlib.pyplot as plt\nimport pandas as pd\nimport tempfile, pathlib, concurrent.futures\n"
        "frame = pd.DataFrame({'a': [1, 2]})\nframe.to_csv('a.csv')\npd.read_csv('a.csv').plot()\n"
        "pathlib.Path('b').write_text('x')\nplt.savefig('c.png')"
    )
    assert result.ok, result.text
    assert {artifact.path.name for artifact in result.artifacts} == {"a.csv", "b", "c.png"}


@pytest.mark.host_only("it is read, not run")
def test_a_part_of_a_module_is_seen_at_once() -> None:
    assert "line 1 imports 'os.path'" in Policy(blocked_imports=["os.path"]).denied("from os import path")


def test_what_the_cell_says_is_quick_and_names_the_line(closed: Executor) -> None:
    result = closed.execute("print('not this')\nimport os")
    assert (result.status, result.stdout, result.attempts) == ("denied", "", 0)
    assert result.error is not None
    assert result.error.value == "the cell was not run: line 2 imports 'os', which policy.blocked_imports forbids"
    assert "line 2 imports 'os'" in result.text
    with pytest.raises(PolicyDenied, match="line 2") as raised:
        result.raise_for_error()
    assert raised.value.result is result
    cell = code_cells(closed.notebook_path)[-1]
    assert cell.id == result.cell_id
    assert (cell.metadata.kernel_exec.status, cell.execution_count) == ("denied", None)
    assert cell.outputs[0].ename == "PolicyDenied"


def test_a_restart_changes_nothing(kernel: KernelSettings, tmp_path: Path) -> None:
    with Executor(kernel, workdir=tmp_path, policy=CLOSED) as ex:
        ex.restart()
        assert ex.execute("__import__('o' + 's')").status == "error"
        assert ex.execute("import os").status == "denied"


def test_only_what_is_allowed(kernel: KernelSettings, tmp_path: Path) -> None:
    policy = Policy(allowed_imports=["math", "os.path"], blocked_imports=["math.secret"])
    with Executor(kernel, workdir=tmp_path, policy=policy) as ex:
        assert ex.execute("import math\nfrom math import pi\nimport os.path\nfrom os import path\npi").text.startswith(
            "3.1"
        )
        assert ex.execute("import json").status == "denied"
        assert ex.execute("from os import getcwd").status == "denied"
        dynamic = ex.execute("__import__('js' + 'on')")
        assert (dynamic.status, dynamic.error and dynamic.error.name) == ("error", "ImportDenied")


@pytest.fixture
def with_policy(kernel: KernelSettings, tmp_path: Path) -> Iterator[Callable[..., Executor]]:
    """Makes an executor with a policy."""
    made: list[Executor] = []

    def make(**settings: Any) -> Executor:
        made.append(Executor(kernel, workdir=tmp_path / "work", timeout=30, policy=Policy(**settings)))
        return made[-1].start()

    yield make
    for executor in made:
        executor.close()


async def agreeing(proposal: Proposal) -> bool:
    await asyncio.sleep(0)
    return "x" in proposal.code


async def cancelling(proposal: Proposal) -> bool:
    raise asyncio.CancelledError


def raising(proposal: Proposal) -> bool:
    raise LookupError(proposal.code)


@pytest.mark.host_only("the same on any kernel")
class TestRules:
    """What rules say."""

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"max_length": 3}, "it has 5 characters, and policy.max_length is 3"),
            ({"patterns": ["a.b", r"x\s*="]}, "line 1 has 'x =', which a pattern of the policy forbids"),
            ({"patterns": [re.compile("X =", re.IGNORECASE)]}, "line 1 has 'x =', which"),
            ({"rules": [lambda _: False]}, "the rule '<lambda>' rejects it"),
            ({"rules": [lambda _: True, lambda _: "no numbers today"]}, "no numbers today"),
            ({"rules": [lambda _: Decision.deny("not now")]}, "not now"),
            ({"rules": [lambda _: Decision.ask("odd")]}, "a rule asks for a review, and nobody reviews: odd"),
            ({"rules": [raising]}, "the rule 'raising' failed: LookupError: x = 1"),
            ({"rules": [lambda _: 3]}, "the rule '<lambda>' answered with int, which is no decision"),
            ({"review": lambda _: False}, "the review says no: the review rejects it"),
            ({"review": lambda _: "ask me tomorrow"}, "the review says no: ask me tomorrow"),
            ({"review": raising}, "the review says no: the review failed: LookupError"),
            ({"review": cancelling}, "the review says no: the review was cancelled"),
            (
                {"rules": [lambda _: Decision.edit("y")]},
                "the rule '<lambda>' wants to edit it, which only the review may",
            ),
            ({"rules": [lambda _: Decision.deny("")]}, "the rule '<lambda>' rejects it"),
            ({"review": lambda _: Decision.ask("somebody else")}, "the review says no: somebody else"),
            ({"review": lambda _: Decision.edit("\ud800")}, "the review says no: the review failed: InvalidArgument"),
        ],
    )
    def test_denied(self, with_policy: Callable[..., Executor], settings: dict[str, Any], reason: str) -> None:
        ex = with_policy(**settings)
        result = ex.execute("x = 1")
        assert (result.status, result.attempts) == ("denied", 0)
        assert result.error is not None
        assert result.error.value.startswith(f"the cell was not run: {reason}")

    @pytest.mark.parametrize(
        "settings",
        [
            {"max_length": 5, "patterns": ["y"], "rules": [lambda _: None, lambda _: True, agreeing]},
            {"rules": [lambda _: Decision.allow()], "review": agreeing},
            {"review": functools.partial(agreeing)},
        ],
    )
    def test_allowed(self, with_policy: Callable[..., Executor], settings: dict[str, Any]) -> None:
        ex = with_policy(**settings)
        assert ex.execute("x = 1").ok

    def test_an_edit_is_what_runs_and_the_recording_tells(self, with_policy: Callable[..., Executor]) -> None:
        seen: list[Proposal] = []

        def review(proposal: Proposal) -> Decision:
            seen.append(proposal)
            return Decision.edit("print('gentle')", "too loud")

        ex = with_policy(rules=[lambda _: Decision.ask("it shouts")], review=review)
        result = ex.execute("print('LOUD')", filename="says.py")
        assert result.stdout == "gentle\n"
        assert seen == [Proposal("print('LOUD')", "says.py", 1, ("it shouts",))]
        cell = code_cells(ex.notebook_path)[-1]
        assert cell.source == (ex.workdir / "says.py").read_text(encoding="utf-8") == "print('gentle')"
        assert cell.metadata.kernel_exec.policy == {
            "review": "edit",
            "reason": "too loud",
            "asked": ["it shouts"],
            "proposed": "print('LOUD')",
        }

    def test_an_edit_into_something_denied(self, with_policy: Callable[..., Executor]) -> None:
        ex = with_policy(blocked_imports=["os"], review=lambda _: Decision.edit("import os"))
        result = ex.execute("x = 1")
        assert result.status == "denied"
        cell = code_cells(ex.notebook_path)[-1]
        assert (cell.source, cell.metadata.kernel_exec.policy.proposed) == ("import os", "x = 1")

    @pytest.mark.parametrize("kind", ["asynchronous", "blocking"])
    def test_a_review_that_never_answers(self, with_policy: Callable[..., Executor], kind: str) -> None:
        for_ever = threading.Event()

        async def waits(_: Proposal) -> bool:
            await asyncio.get_running_loop().create_future()
            return True

        ex = with_policy(review=waits if kind == "asynchronous" else lambda _: for_ever.wait(100), review_timeout=0.2)
        result = ex.execute("x = 1")
        for_ever.set()
        assert result.error is not None
        assert "the review has not answered within 0.2 s" in result.error.value

    @pytest.mark.parametrize("how", ["cancel", "interrupt", "close"])
    def test_ended_while_it_is_reviewed(self, with_policy: Callable[..., Executor], how: str) -> None:
        asked, cancelled = threading.Event(), threading.Event()

        async def waits(_: Proposal) -> bool:
            asked.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return True

        ex = with_policy(review=waits, review_timeout=None)
        execution = ex.submit("x = 1")
        assert asked.wait(60)
        {"cancel": execution.cancel, "interrupt": ex.interrupt, "close": ex.close}[how]()
        assert (execution.result(60).status, execution.result(60).attempts) == ("aborted", 0)
        assert "while it was being reviewed" in execution.result(60).text
        assert cancelled.wait(60)
        facts = code_cells(ex.notebook_path)[-1].metadata.kernel_exec
        assert (facts.status, facts.policy) == ("aborted", {"review": "cancelled"})

    def test_others_wait_for_the_review(self, with_policy: Callable[..., Executor]) -> None:
        go = threading.Event()
        ex = with_policy(review=lambda proposal: go.wait(60) if "first" in proposal.code else True)
        first, second = ex.submit("print('first')"), ex.submit("print('second')")
        wait_until(lambda: ex.is_alive)
        go.set()
        assert [one.result(60).execution_count for one in (first, second)] == [1, 2]

    def test_denied_the_second_time(self, with_policy: Callable[..., Executor]) -> None:
        ex = with_policy(rules=[lambda proposal: proposal.attempt < 2 or "once is enough"])
        result = ex.execute("1 / 0", retry=Retry(attempts=5, backoff=0))
        assert (result.status, result.attempts) == ("denied", 1)
        assert [one.status for one in result.earlier] == ["error"]
        assert [cell.metadata.kernel_exec.status for cell in code_cells(ex.notebook_path)] == ["error", "denied"]

    def test_what_was_denied_is_not_replayed(self, with_policy: Callable[..., Executor], tmp_path: Path) -> None:
        ex = with_policy(patterns=["danger"])
        ex.execute("open('danger', 'w')")
        ex.execute("x = 1")
        ex.close()
        assert ex.notebook_path is not None
        again = replay(ex.notebook_path, workdir=tmp_path / "again", output=tmp_path / "again.ipynb")
        assert again.ok
        assert [cell.status for cell in again.cells] == ["skipped", "ok"]
        assert not (tmp_path / "again" / "danger").exists()
        assert verify(ex.notebook_path).ok

    async def test_resumed_below_a_policy(self, tmp_path: Path) -> None:
        async with AsyncExecutor(workdir=tmp_path) as ex:
            await ex.execute("x = 1")
            recording = ex.notebook_path
        assert recording is not None
        async with await AsyncExecutor.resume(recording, policy=Policy(patterns=["y"])) as ex:
            assert (await ex.execute("x")).text == "1"
            assert (await ex.execute("y = 2")).status == "denied"

    @pytest.mark.parametrize(
        ("settings", "error"),
        [
            ({"max_length": 0}, InvalidArgument),
            ({"max_length": "3"}, WrongType),
            ({"patterns": "x"}, WrongType),
            ({"patterns": ["("]}, InvalidArgument),
            ({"patterns": [3]}, WrongType),
            ({"blocked_imports": "os"}, WrongType),
            ({"blocked_imports": ["o s"]}, InvalidArgument),
            ({"allowed_imports": [3]}, InvalidArgument),
            ({"shell": "no"}, WrongType),
            ({"rules": lambda _: True}, WrongType),
            ({"rules": ["x"]}, WrongType),
            ({"review": 3}, WrongType),
            ({"review_timeout": 0}, InvalidArgument),
        ],
    )
    def test_what_cannot_work(self, settings: dict[str, Any], error: type[Exception]) -> None:
        with pytest.raises(error, match="policy"):
            Policy(**settings)

    def test_something_else_than_a_policy(self) -> None:
        with pytest.raises(WrongType, match="policy must be a Policy"):
            Executor(policy={"patterns": []})  # type: ignore[arg-type]


def test_a_kernel_that_cannot_watch_is_refused(stock: KernelSettings, tmp_path: Path) -> None:
    from kernel_exec import KernelStartError

    with pytest.raises(KernelStartError, match=r"cannot be held to policy\.blocked_imports"):
        Executor(stock, workdir=tmp_path, policy=CLOSED).start()
    with Executor(stock, workdir=tmp_path, policy=Policy(patterns=["danger"])) as ex:
        assert ex.execute("danger").status == "denied"
