"""What a cell produces comes back, whole and in order; code is sent as it is."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

import pytest

from kernel_exec import ExecutionFailed, Executor
from kernel_exec.kernels.kinds import KernelSettings
from tests.executor.looks import code_cells, notebook
from tests.libraries import with_libraries

pytestmark = pytest.mark.everywhere


def test_state_is_kept_and_a_result_is_readable(ex: Executor) -> None:
    ex.execute("x = 41").raise_for_error()
    result = ex.execute("print('hello')\nx + 1")
    assert result.ok
    assert result.stdout == "hello\n"
    assert result.text == "hello\n42"
    assert [output["output_type"] for output in result.outputs] == ["stream", "execute_result"]
    assert result.state_preserved
    assert result.steps == ()
    assert result.duration > 0
    assert result.raise_for_error() is result


def test_resources_are_measured_for_each_cell(ex: Executor) -> None:
    busy = ex.execute("import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass")
    assert busy.cpu_seconds is not None
    assert busy.cpu_seconds >= 0.2
    large = ex.execute("block = b'x' * 200_000_000\ndel block")
    small = ex.execute("1")
    assert large.peak_memory is not None
    assert small.peak_memory is not None
    assert large.peak_memory > small.peak_memory + 150_000_000
    assert small.cpu_seconds is not None
    assert small.cpu_seconds < busy.cpu_seconds


def test_an_error_has_structure_and_no_colours(ex: Executor) -> None:
    result = ex.execute("def f():\n    return 1 / 0\nprint('before')\nf()")
    assert result.status == "error"
    assert not result.ok
    assert result.stdout == "before\n"
    assert result.error is not None
    assert (result.error.name, result.error.value) == ("ZeroDivisionError", "division by zero")
    trace = "\n".join(result.error.traceback)
    assert "\x1b" not in trace
    assert "----> 4" in trace or "line 4" in trace
    assert "\x1b" in "".join(result.outputs[-1]["traceback"])
    assert result.text.startswith("ZeroDivisionError: division by zero")
    with pytest.raises(ExecutionFailed, match="division by zero") as raised:
        result.raise_for_error()
    assert raised.value.result is result


@pytest.mark.everywhere(soon=True)
@pytest.mark.parametrize(
    ("code", "stdout"),
    [
        ("%%bash\necho $((1 + 1))", "2\n"),
        ("import asyncio\nawait asyncio.sleep(0)\nprint('awaited')", "awaited\n"),
        ("from __future__ import annotations\nprint('future')", "future\n"),
        ("%time 1", None),
        ("!echo shell", "shell\n"),
        ("print('é漢字🎉')", "é漢字🎉\n"),
        ("print('a\\rb')", "b\n"),
        ("", ""),
        ("# only a comment", ""),
        ("print('$x {y}')", "$x {y}\n"),
    ],
)
def test_code_is_sent_as_it_is(ex: Executor, code: str, stdout: str | None) -> None:
    result = ex.execute(code)
    assert result.ok, result.text
    if stdout is not None:
        assert result.stdout.replace("\r\n", "\n") == stdout


def test_a_syntax_error_names_the_users_line(ex: Executor) -> None:
    result = ex.execute("x = 1\ny = (2\nz = 3")
    assert result.error is not None
    assert result.error.name == "SyntaxError"
    assert "line 2" in result.text


def test_source_is_recorded_to_the_letter(ex: Executor) -> None:
    code = "# ünïcode\n\n  \nx = '''a\n\tb'''\n"
    result = ex.execute(code)
    assert [cell.source for cell in code_cells(ex.notebook_path) if cell.id == result.cell_id] == [code]


FIGURE = """
import matplotlib.pyplot as plt
plt.figure(figsize=(2, 1)); plt.plot([1, 2]); plt.show()
plt.figure(figsize=(2, 1)); plt.plot([2, 1])
"""


def test_charts_come_as_bytes_and_as_files(ex: Executor) -> None:
    """One shown, one left open: both are there."""
    result = ex.execute(FIGURE)
    assert len(result.images) == 2, result.text
    for image in result.images:
        assert image.mime == "image/png"
        assert image.data.startswith(b"\x89PNG")
        assert image.path is not None
        assert image.path.read_bytes() == image.data
        width, height = struct.unpack(">II", image.data[16:24])
        assert width > height > 10
    assert len({image.path for image in result.images}) == 2


def test_images_of_other_types(ex: Executor) -> None:
    jpeg = base64.b64encode(b"\xff\xd8\xff\xe0fake").decode()
    result = ex.execute(
        "from IPython.display import display, SVG\n"
        f"display({{'image/jpeg': {jpeg!r}, 'text/plain': 'j'}}, raw=True)\n"
        'SVG(\'<svg xmlns="http://www.w3.org/2000/svg"><circle r="1"/></svg>\')'
    )
    assert [image.mime for image in result.images] == ["image/jpeg", "image/svg+xml"]
    assert result.images[0].data == b"\xff\xd8\xff\xe0fake"
    assert b"<circle" in result.images[1].data
    assert [image.path.suffix for image in result.images if image.path] == [".jpg", ".svg"]


def test_rich_outputs_are_left_alone(ex: Executor) -> None:
    result = ex.execute(
        "from IPython.display import display, HTML, Latex, JSON\n"
        "display(HTML('<b>x</b>')); display(Latex('$x$')); display(JSON({'a': [1, None]}))"
    )
    bundles = [output["data"] for output in result.outputs]
    assert bundles[0]["text/html"] == "<b>x</b>"
    assert bundles[1]["text/latex"] == "$x$"
    assert bundles[2]["application/json"] == {"a": [1, None]}


@pytest.mark.everywhere(soon=True)
def test_a_display_is_updated_in_its_own_cell_and_in_earlier_ones(ex: Executor) -> None:
    first = ex.execute("from IPython.display import display\nhandle = display('one', display_id=True)")
    second = ex.execute("handle.update('two')\nown = display('a', display_id='own'); own.update('b')")
    assert first.outputs[0]["data"]["text/plain"] == "'one'"
    assert [output["data"]["text/plain"] for output in second.outputs] == ["'b'"]
    ex.execute("1")
    cells = {cell.id: cell for cell in code_cells_when(ex, first.cell_id, "'two'")}
    assert cells[first.cell_id].outputs[0].data["text/plain"] == "'two'"


def code_cells_when(ex: Executor, cell_id: str, text: str) -> list:  # type: ignore[type-arg]
    """Late changes are on disk a moment later: run cells until this one is."""
    for _ in range(200):
        cells = code_cells(ex.notebook_path)
        if any(cell.id == cell_id and text in str(cell.outputs) for cell in cells):
            return cells
        ex.execute("import time; time.sleep(0.02)")
    raise AssertionError(f"{text!r} never reached the recording")


def test_clear_output(ex: Executor) -> None:
    code = "from IPython.display import clear_output\nprint('old')\nclear_output(wait={})\nprint('new')"
    assert ex.execute(code.format(True)).stdout == "new\n"
    assert ex.execute(code.format(False)).stdout == "new\n"
    assert ex.execute("print('kept')\nclear_output(wait=True)").stdout == "kept\n"


@pytest.mark.everywhere(soon=True)
def test_input_is_answered(ex: Executor) -> None:
    asked = []

    def answer(prompt: str, password: bool) -> str:
        asked.append((prompt, password))
        return "Ada"

    code = "import getpass\nname = input('name? '); secret = getpass.getpass('pass? ')\nprint(name, secret)"
    result = ex.execute(code, on_input=answer)
    assert result.stdout.endswith("Ada Ada\n")
    assert asked == [("name? ", False), ("pass? ", True)]


def test_input_without_anybody_to_ask_is_an_error_at_once(ex: Executor) -> None:
    result = ex.execute("input('name? ')")
    assert result.error is not None
    assert result.error.name == "StdinNotImplementedError"


@pytest.mark.usefixtures("patient")
def test_a_callback_that_raises_interrupts_the_cell_and_comes_out(ex: Executor) -> None:
    ex.execute("kept = 5")

    def raising(*_: object) -> str:
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        ex.execute("input()", on_input=raising)
    with pytest.raises(ArithmeticError, match="mine"):
        ex.execute("print(1, flush=True)\nimport time; time.sleep(60)", on_output=raising)
    with pytest.raises(TypeError, match="string"):
        ex.execute("input()", on_input=lambda prompt, password: 3)  # type: ignore[arg-type, return-value]
    assert ex.execute("kept").text == "5"


def test_output_arrives_while_the_cell_runs(ex: Executor) -> None:
    seen = []
    code = "import os, time\nfor i in range(3):\n    print(i, flush=True)\n"
    code += "    while not os.path.exists(f'seen{i}'): time.sleep(0.01)"
    with ex.stream(code) as stream:
        for item in stream:
            seen.append(item)
            for number in item["text"].split() if isinstance(item, dict) else ():
                assert not stream._core._execution.done
                (ex.workdir / f"seen{number}").touch()  # it goes on when what it has put out is here
    *outputs, result = seen
    assert "".join(item["text"] for item in outputs) == "0\n1\n2\n"  # type: ignore[index]
    assert result.stdout == "0\n1\n2\n"  # type: ignore[union-attr]


def test_changes_to_earlier_outputs_arrive_too(ex: Executor) -> None:
    items: list[dict] = []  # type: ignore[type-arg]
    ex.execute(
        "from IPython.display import display, clear_output\n"
        "h = display(1, display_id='x')\nh.update(2)\nclear_output()",
        on_output=items.append,
    )
    assert [item["output_type"] for item in items] == ["display_data", "update_display_data", "clear_output"]
    assert items[0]["transient"] == items[1]["transient"] == {"display_id": "x"}


def test_widgets_are_in_the_notebook(fresh: Callable[..., Executor], kernel: KernelSettings) -> None:
    pytest.importorskip("ipywidgets")
    ex = fresh(kernel=with_libraries(kernel, "ipywidgets"))
    result = ex.execute("import ipywidgets\nslider = ipywidgets.IntSlider(value=3)\nslider")
    view = result.outputs[0]["data"]["application/vnd.jupyter.widget-view+json"]
    ex.execute("slider.value = 7")
    stored = notebook(ex.notebook_path).metadata.widgets["application/vnd.jupyter.widget-state+json"]
    assert stored.state[view["model_id"]].state.value == 7


def test_an_output_widget_takes_what_is_put_out_inside_it(
    fresh: Callable[..., Executor], kernel: KernelSettings
) -> None:
    pytest.importorskip("ipywidgets")
    ex = fresh(kernel=with_libraries(kernel, "ipywidgets"))
    ex.execute("import ipywidgets\nfrom IPython.display import clear_output\nout = ipywidgets.Output()")
    result = ex.execute("print('mine')\nwith out:\n    print('its')\n    1/0\nprint('mine too')")
    assert (result.status, result.stdout) == ("ok", "mine\nmine too\n")
    assert "ipywidgets.Output" in result.notes[0]
    assert [(one["output_type"], one.get("ename")) for one in taken(ex)[0]] == [
        ("stream", None),
        ("error", "ZeroDivisionError"),
    ]
    ex.execute("with out:\n    clear_output()\n    handle = display('before', display_id=True)")
    ex.execute("handle.update('after')")
    assert taken(ex)[0][0]["data"]["text/plain"] == "'after'"
    assert ex.execute("with out:\n    clear_output(wait=True)\nprint('not in it')").stdout == "not in it\n"
    ex.execute("inner = ipywidgets.Output()\nwith out:\n    with inner:\n        print('in')\n    print('out')")
    assert sorted(outputs[0]["text"] for outputs in taken(ex)) == ["in\n", "out\n"]
    set_by_code = {"output_type": "stream", "name": "stdout", "text": "set"}
    ex.execute(f"inner.close()\nout.outputs = ({set_by_code},)")
    assert taken(ex) == [[set_by_code]]
    assert ex.execute("1 + 1").notes == ()


def taken(ex: Executor) -> list[list[Any]]:
    """What each Output widget of the recording shows."""
    models = notebook(ex.notebook_path).metadata.widgets["application/vnd.jupyter.widget-state+json"].state.values()
    return [model.state.outputs for model in models if model.model_name == "OutputModel"]
