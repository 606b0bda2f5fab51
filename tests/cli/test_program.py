"""Scripts and notebooks, cut into cells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_exec.cli.cells import looks_like_notebook, parameter_value, read_script
from kernel_exec.errors import NotebookError
from kernel_exec.recording.source import Program, SourceCell, read_notebook, with_parameters


def sources(program: Program) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in program.cells]


def test_a_script_without_markers_is_one_cell() -> None:
    assert sources(read_script("import os\n\nprint(os)\n")) == [("code", "import os\n\nprint(os)")]


def test_markers_cut_and_what_is_before_the_first_is_a_cell() -> None:
    text = '"""Doc."""\nx = 1\n# %%\ny = 2\n\n#%%\nz = 3\n# %%\n\n# %% [markdown]\n# # Title\n#\n# text\n'
    assert sources(read_script(text)) == [
        ("code", '"""Doc."""\nx = 1'),
        ("code", "y = 2"),
        ("code", "z = 3"),
        ("markdown", "# Title\n\ntext"),
    ]


@pytest.mark.parametrize("line", ["# %%time", "# %matplotlib inline", "    # %%", "x = 1  # %%", "#  %%", "# %%%"])
def test_what_is_no_marker(line: str) -> None:
    assert len(read_script(f"a\n{line}\nb\n").cells) == 1


def test_a_marker_inside_a_string_is_text() -> None:
    text = 'x = """\n# %%\n"""\n# %%\ny = f"""\n# %% {x}\n"""\n'
    assert [cell.source for cell in read_script(text).cells] == ['x = """\n# %%\n"""', 'y = f"""\n# %% {x}\n"""']


def test_magics_do_not_keep_a_script_from_being_cut() -> None:
    assert len(read_script("%matplotlib inline\n# %%\n!ls\n# %%\n%%bash\necho\n").cells) == 3


def test_a_marker_names_kind_title_and_tags() -> None:
    text = '# %% Load the data tags=["parameters", "x"]\na = 1\n# %% [md]\n"""\nHello\n"""\n# %% [raw] tags=no\n# r\n'
    code, markdown, raw = read_script(text).cells
    assert (code.title, code.tags) == ("Load the data", ["parameters", "x"])
    assert (markdown.cell_type, markdown.source) == ("markdown", "Hello")
    assert (raw.cell_type, raw.source, raw.tags) == ("raw", "r", ["no"])


def test_windows_line_ends_and_byte_order_marks_are_no_code() -> None:
    assert sources(read_script("\ufeffa = 1\r\n# %%\r\nb = 2\r\n")) == [("code", "a = 1"), ("code", "b = 2")]


def test_the_header_of_jupytext_is_no_cell() -> None:
    text = "# ---\n# jupyter:\n#   kernelspec: {}\n# ---\n\n# %%\nx = 1\n"
    assert sources(read_script(text)) == [("code", "x = 1")]


lines = st.sampled_from(["# %%", "# %% [markdown]", "x = 1", "# text", "", '"""', "if x:", "    pass"])


@given(st.lists(lines))
def test_no_line_of_code_is_lost(script: list[str]) -> None:
    kept = "\n".join(cell.source for cell in read_script("\n".join(script)).cells)
    for line in ("x = 1", "if x:", "    pass"):
        assert kept.count(line) == "\n".join(script).count(line)


def notebook(*cells: dict[str, Any], **metadata: Any) -> str:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4})


def test_a_notebook_gives_its_cells_its_kernel_and_its_language() -> None:
    text = notebook(
        {"cell_type": "markdown", "metadata": {}, "source": ["# T\n", "x"], "attachments": {"a": {"image/png": "a"}}},
        {"cell_type": "code", "metadata": {"tags": ["t"]}, "source": "1", "outputs": [], "execution_count": None},
        kernelspec={"name": "ir", "display_name": "R", "language": "R"},
    )
    program = read_notebook(text)
    assert sources(program) == [("markdown", "# T\nx"), ("code", "1")]
    assert program.cells[0].attachments == {"a": {"image/png": "a"}}
    assert program.cells[1].tags == ["t"]
    assert (program.kernel_name, program.language) == ("ir", "R")


def test_an_old_notebook_is_read() -> None:
    cells = [{"cell_type": "code", "input": ["x = 1"], "outputs": [], "language": "python", "collapsed": False}]
    old = {"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}
    assert sources(read_notebook(json.dumps(old))) == [("code", "x = 1")]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": 3}', '{"cells": [1], "metadata": {}, "nbformat": 4}'])
def test_what_is_no_notebook_says_so(text: str) -> None:
    with pytest.raises(NotebookError, match="no notebook"):
        read_notebook(text)


def test_notebooks_are_known_by_what_they_are() -> None:
    assert looks_like_notebook("\n" + notebook())
    assert not looks_like_notebook("{'cells': 1}")
    assert not looks_like_notebook("x = {}")
    assert not looks_like_notebook("{}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5e3", 1500.0),
        ("true", True),
        ("True", True),
        ("null", None),
        ("None", None),
        ('"quoted"', "quoted"),
        ("'quoted'", "quoted"),
        ("[1, {}]", [1, {}]),
        ("(1, 2)", (1, 2)),
        ("plain text", "plain text"),
        ("2024-01-01", "2024-01-01"),
        ("os.system('x')", "os.system('x')"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_values_of_parameters(text: str, value: Any) -> None:
    assert parameter_value(text) == value
    assert eval(repr(parameter_value(text))) == value  # what is injected is what was meant


def cells(*tags: str) -> Program:
    return Program([SourceCell("code", str(index), {"tags": [tag]}) for index, tag in enumerate(tags)])


@pytest.mark.parametrize(
    ("tags", "place", "total"),
    [
        ((), 0, 1),
        (("a", "b"), 0, 3),
        (("a", "parameters", "b"), 2, 4),
        (("parameters", "injected-parameters", "b"), 1, 3),
        (("injected-parameters", "b"), 0, 2),
        (("parameters", "x", "parameters"), 1, 4),
    ],
)
def test_parameters_go_where_papermill_puts_them(tags: tuple[str, ...], place: int, total: int) -> None:
    program = with_parameters(cells(*tags), {"a": 1, "b": "x'y"})
    assert len(program.cells) == total
    assert program.cells[place] == SourceCell(
        "code", '# Parameters\na = 1\nb = "x\'y"', {"tags": ["injected-parameters"]}
    )


def test_without_parameters_nothing_is_injected() -> None:
    assert with_parameters(cells("parameters"), {}) == cells("parameters")
