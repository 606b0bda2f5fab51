"""What a model reads of a cell."""

import pytest

from kernel_exec import Executor

pytestmark = pytest.mark.everywhere

FRAME = "import pandas as pd, numpy as np\nframe = pd.DataFrame({'n': range(1000), 'word': list('xy') * 500})\n"


def test_a_data_frame_has_its_shape_its_types_and_a_few_rows(ex: Executor) -> None:
    result = ex.execute(FRAME + "frame")
    first, *rest = result.text.splitlines()
    assert first == "DataFrame, 1000 rows x 2 columns"
    assert rest[0] == "  n: int64"
    assert rest[1].startswith("  word: ")
    assert rest[2] == "first 5 rows:"
    assert rest[-1].split() == ["4", "4", "x"]
    assert "text/html" in result.outputs[0]["data"]
    assert ex.execute("frame").text == result.text


def test_a_wide_frame_is_short(ex: Executor) -> None:
    text = ex.execute(FRAME + "pd.DataFrame(np.zeros((9, 5000)))").text
    assert "... 4970 more" in text
    assert len(text) < 10_000


def test_displays_are_described_as_results_are(ex: Executor) -> None:
    text = ex.execute(FRAME + "display(frame.head(2)); frame['n']").text
    assert text.startswith("DataFrame, 2 rows x 2 columns")
    assert "Series 'n', 1000 x int64" in text


def test_an_array_has_its_shape_and_its_type(ex: Executor) -> None:
    text = ex.execute("import numpy as np; np.zeros((200, 300))").text
    assert text.startswith("array, 200 x 300, float64\n")
    assert len(text) < 1_000


def test_what_has_no_description_is_as_it_says_itself(ex: Executor) -> None:
    code = FRAME + "class Mine(pd.DataFrame): pass\nMine({'a': [1]})"
    assert ex.execute(code).text == "   a\n0  1"
    assert ex.execute("[1, 2]").text == "[1, 2]"


def test_the_error_first_then_what_was_said_then_the_files(ex: Executor) -> None:
    text = ex.execute("print('said')\nn = open('made.txt', 'w').write('x')\n1 / 0").text
    assert text.startswith("ZeroDivisionError: division by zero\nCell In[")
    assert "----> 3 1 / 0\nsaid\n" in text
    assert text.endswith("\n[files: created 'made.txt']")
    many = ex.execute("for i in range(30): open(f'{i:02}', 'w').close()").text
    assert many.startswith("[files: created '00', created '01', ")
    assert many.endswith(", and 10 more]")


def test_progress_is_folded(ex: Executor) -> None:
    code = "for i in range(100): print(f'\\r{i} %', end='', flush=True)\nprint('\\rdone!')"
    assert ex.execute(code).text == "done!"
