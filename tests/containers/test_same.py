"""The same cells on the host and in a container give the same results, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernel_exec import DockerKernel, Executor, HostKernel
from tests.executor.looks import ended_by_its_deadline

CELLS = [
    "x = 1\nx + 1",
    "print('out'); import sys; print('err', file=sys.stderr)",
    "print('äöü 销售额 ' * 3)",
    "for i in range(3): print(i, end='\\r')",
    "1 / 0",
    "def f(:",
    "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
    "import pandas as pd; pd.DataFrame({'a': [1, 2], 'b': ['x', None]})",
    "import numpy as np; np.arange(6).reshape(2, 3)",
    "open('made.txt', 'w').write('made')",
    "from IPython.display import HTML, display\nh = display(HTML('1'), display_id='d'); h.update(HTML('2'))",
    "!echo from a shell",
    "import os; os.system('echo from a descriptor')",
    "raise KeyboardInterrupt",
    "print('x' * 6_000_000)",
    "input('name?')",
    "await __import__('asyncio').sleep(0)\n'awaited'",
    "%%capture held\nprint('captured')",
    "held.stdout",
    "exit",
    "x",
]


@pytest.fixture(
    scope="module",
    params=[((), "here"), (("ipykernel==6.29.5",), "here"), ((), "elsewhere")],
    ids=["default", "ipykernel 6", "elsewhere"],
)
def both(
    engine: Any, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Executor, Executor]]:
    """An executor on the host, and one in a container.

    Also with the oldest ipykernel that works, and with an engine that does not see the host's files.
    """
    requirements, where = request.param
    if where == "elsewhere":
        request.getfixturevalue("far")
    with (
        Executor(kernel=HostKernel(), workdir=tmp_path_factory.mktemp("host"), timeout=30) as host,
        Executor(
            kernel=DockerKernel(requirements=requirements), workdir=tmp_path_factory.mktemp("box"), timeout=30
        ) as box,
    ):
        version = box.execute("import ipykernel; ipykernel.__version__").text
        host.execute("import ipykernel")
        assert version.startswith("'6.29.5'" if requirements else "'7.")
        for executor in (host, box):
            executor.execute("import matplotlib.pyplot")  # who looks at the fonts for more than 5 s says so
        yield host, box


@pytest.mark.parametrize("code", CELLS, ids=lambda code: code[:20])
def test_a_cell(both: tuple[Executor, Executor], code: str) -> None:
    host, box = both
    one, other = host.execute(code), box.execute(code)
    for name in ("status", "ok", "stderr", "execution_count", "state_preserved", "truncated"):
        assert getattr(one, name) == getattr(other, name), name
    plain = [result.stdout.replace(str(result_of.workdir), "") for result, result_of in ((one, host), (other, box))]
    assert plain[0] == plain[1]
    assert [output["output_type"] for output in one.outputs] == [output["output_type"] for output in other.outputs]
    assert (one.error and one.error.name) == (other.error and other.error.name)
    assert [image.mime for image in one.images] == [image.mime for image in other.images]
    assert [(found.path.name, found.sha256) for found in one.artifacts] == [
        (found.path.name, found.sha256) for found in other.artifacts
    ]


def test_state_in_and_out(both: tuple[Executor, Executor]) -> None:
    for executor in both:
        executor.put("given", [1, {"a": None}])
        assert executor.get("given") == [1, {"a": None}]
        executor.execute("import numpy as np; array = np.arange(3)")
        assert list(executor.get("array")) == [0, 1, 2]
        assert {variable.name for variable in executor.variables()} >= {"given", "array"}
        assert "zip" in executor.complete("zi").matches


def test_the_recording(both: tuple[Executor, Executor]) -> None:
    for executor in both:
        path = executor.notebook_path
        assert path is not None
        notebook = nbformat.reads(Path(path).read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)


@pytest.mark.usefixtures("patient")
def test_the_deadline(both: tuple[Executor, Executor]) -> None:
    for executor in both:
        executor.execute("kept = 5")
        result = ended_by_its_deadline(executor, "print('before', flush=True)\nwhile True: pass", 0.5)
        assert result.status == "timeout"
        assert result.stdout == "before\n"
        assert executor.execute("kept").text == "5"


def test_a_death(both: tuple[Executor, Executor]) -> None:
    for executor in both:
        result = executor.execute("print('before', flush=True)\nimport os; os._exit(3)")
        assert (result.status, result.stdout, result.state_preserved) == ("died", "before\n", False)
        assert executor.execute("1 + 1").text == "2"
