"""The same lies from a kernel: they come through sockets, and an executor lives with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_exec import Executor, HostKernel
from tests.fuzz.listener import valid
from tests.fuzz.mutations import Truth
from tests.fuzz.traffic import as_json

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ex(truths: list[Truth], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor whose kernel lies."""
    folder = tmp_path_factory.mktemp("jupyter")
    (folder / "kernels" / "fuzz").mkdir(parents=True)
    (folder / "truths.json").write_text(json.dumps(as_json(truths)), encoding="utf-8")
    argv = [sys.executable, "-m", "tests.fuzz.kernel", "{connection_file}", str(folder / "truths.json")]
    spec = {"argv": argv, "display_name": "F", "language": "x", "env": {"PYTHONPATH": str(ROOT)}}
    (folder / "kernels" / "fuzz" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        with Executor(HostKernel(kernel_name="fuzz"), workdir=folder / "work", timeout=60) as executor:
            yield executor


@pytest.mark.parametrize("seed", range(4))
def test_lies_of_a_kernel(ex: Executor, seed: int) -> None:
    lies(ex, seed, 400)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_very_many_lies_of_a_kernel(ex: Executor) -> None:
    for seed in range(1000, 1010):
        lies(ex, seed, 1000)


def lies(ex: Executor, seed: int, count: int) -> None:
    """Have the kernel lie, and see that the session goes on."""
    before = sum(ex.metrics.refused.values())
    result = ex.execute(f"{seed} {count}", on_input=lambda *_: "")
    assert (result.status, result.state_preserved) == ("ok", True), (seed, result)
    assert sum(ex.metrics.refused.values()) - before > count // 20
    assert len(ex.metrics.refused) <= 101
    assert sum("refused" in note for note in result.notes) == 1
    assert ex.execute("0 0").ok
    assert ex.notebook_path is not None
    valid(ex.notebook_path.read_bytes())
    assert ex.metrics.kernels == 1
