"""An orderly end of a kernel is quick, and no less an end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernel_exec import Executor
from kernel_exec.kernels.kernel import Kernel

LEFT_OPEN = """
import atexit

plain = open('plain', 'w')
plain.write('kept')

atexit.register(lambda: open('at exit', 'w').write('kept'))
"""


def test_what_the_code_left_open_is_written(fresh: Callable[..., Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    # How long an end takes says something of the machine.
    monkeypatch.setattr(Kernel.stop, "__kwdefaults__", {"grace": 20.0, "release": True})
    executor = fresh(notebook=False)
    executor.execute(LEFT_OPEN).raise_for_error()
    executor.close()
    assert {path.name: path.read_text() for path in executor.workdir.iterdir()} == {
        "plain": "kept",
        "at exit": "kept",
    }


def test_garbage_of_the_code_is_collected(fresh: Callable[..., Executor]) -> None:
    executor = fresh()
    make = "import gc, weakref\nclass C: pass\nc = C(); c.c = c; gone = weakref.ref(c)\ndel c"
    code = f"{make}\n_ = gc.collect()\ngone() is None"
    assert executor.execute(code).text == "True"
