"""The notebook's interrupt button stops the session's cell; both kernels and their variables stay."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.executor.looks import wait_until
from tests.magics.conftest import Notebook


def presses(nb: Notebook, after: float = 0.0) -> Any:
    """Interrupt the notebook each time that "now" appears, or some time after it."""

    def on(kind: str, content: dict[str, Any]) -> None:
        if kind == "stream" and "now" in content["text"]:
            time.sleep(after)
            nb.manager.interrupt_kernel()

    return on


def test_the_cell_ends_and_all_else_stays(nb: Notebook) -> None:
    nb.ok("%%kx lab\nkept = 1")
    nb.ok("mine = 2")
    code = "%%kx lab\nimport time\ntry:\n    print('now')\n    time.sleep(60)\nfinally:\n    print('cleaned up')"
    ran = nb.run(code, on=presses(nb))
    assert ran.seconds < 10
    assert ran.text == "now\ncleaned up\n"
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert "time.sleep" in "".join(ran.error["traceback"])
    assert nb.ok("%%kx lab\nkept").value == "1"
    assert nb.ok("mine").value == "2"


def test_no_loop_goes_on_behind_it(nb: Notebook) -> None:
    code = (
        "for n in range(3):\n    try:\n        get_ipython().run_cell_magic('kx', 'lab', "
        "'import time; print(\"now\", flush=True); time.sleep(60)')\n    except Exception:\n        print('caught')"
    )
    ran = nb.run(code, on=presses(nb))
    assert (ran.text, ran.error["ename"]) == ("now\n", "KeyboardInterrupt")


def test_a_second_press_kills(nb: Notebook) -> None:
    nb.ok("%%kx lab\nkept = 1")
    code = (
        "%%kx lab\nimport time\ntry:\n    print('now')\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
        "    while True:\n        try:\n            print('now, again')\n            time.sleep(60)\n"
        "        except KeyboardInterrupt:\n            pass"
    )
    ran = nb.run(code, on=presses(nb))
    assert ran.seconds < 30  # by the second press: the grace is a minute here
    assert ran.text.startswith("now\nnow, again\n")
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert "all variables are lost" in ran.error["evalue"]
    assert nb.ok("%%kx lab\n'kept' in globals()").value == "False"


def test_while_it_floods(nb: Notebook) -> None:
    ran = nb.run("%%kx lab\nprint('now')\nwhile True: print('x' * 1000)", on=presses(nb))
    assert ran.seconds < 20
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert nb.ok("%%kx lab\n1").value == "1"


def test_while_it_waits_for_a_result(nb: Notebook, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    nb.ok(f"%%kx lab --bg\nimport time; print('began'); open({str(begun)!r}, 'w').close(); time.sleep(60)")
    assert wait_until(begun.exists)
    ran = nb.run("print('now', flush=True)\nget_ipython().run_line_magic('kx', 'result lab')", on=presses(nb, 2))
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert ran.text == "now\nbegan\n"
    assert nb.ok("%%kx lab\n1").value == "1"


def test_while_it_waits_for_its_turn(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    nb.ok(f"%%kx lab --bg\nopen({str(gate)!r}).close(); 'went on'")
    ran = nb.run("print('now', flush=True)\nget_ipython().run_cell_magic('kx', 'lab', 'never = 1')", on=presses(nb, 2))
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert len(ran.error["traceback"]) == 1  # nothing of how it waited
    gate.write_text("")  # until here the cell before it has not ended
    assert nb.ok("%kx result lab").value == "'went on'"
    assert nb.ok("%%kx lab\n'never' in globals()").value == "False"


def test_while_it_asks(nb: Notebook) -> None:
    request = nb.send("%%kx lab\nprint('ask'); input('? ')", allow_stdin=True)
    asked = nb.client.get_stdin_msg(timeout=60)
    assert asked["content"]["prompt"] == "? "
    nb.manager.interrupt_kernel()
    assert nb.watch(request).error["ename"] == "KeyboardInterrupt"
    assert nb.ok("%%kx lab\n1").value == "1"


def test_while_it_starts(nb: Notebook) -> None:
    ran = nb.run("print('now', flush=True)\nget_ipython().run_line_magic('kx', 'start late')", on=presses(nb))
    if ran.status == "error":  # else it had started before
        assert ran.error["ename"] == "KeyboardInterrupt"
        assert " late " not in nb.ok("%kx list").text


@pytest.mark.long
def test_many_times_at_any_moment(nb: Notebook) -> None:
    for number in range(40):
        wait = "import time; time.sleep(60)" if number % 2 else "while True: print('x')"
        ran = nb.run(f"%%kx lab\nprint('now')\n{wait}", on=presses(nb))
        assert ran.error["ename"] == "KeyboardInterrupt", ran
        assert nb.ok(f"%%kx lab\n{number}").value == str(number)
