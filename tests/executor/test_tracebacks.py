"""What a model reads of an error: which lines of the cell it concerns, and not a line more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kernel_exec import Executor, Limits
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.results import ErrorInfo
from kernel_exec.tracebacks import printed_group, short, without_cell_files
from tests.executor.looks import ended_by_its_deadline

CALLS = "def f(x):\n    return 1/x\n\ndef g():\n    return f(0)\n\ng()"
LIBRARY = "import json\nx = 1\njson.loads('{bad')\ny = 2"
CHAIN = (
    "def f():\n    try:\n        {}['k']\n    except KeyError as e:\n        raise RuntimeError('o\\ntwo') from e\nf()"
)
GROUP = (
    "def f():\n    raise ExceptionGroup('many', [ValueError('a\\nb'), ExceptionGroup('inner', [KeyError('c')])])\nf()"
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a = 1\n1/0", "ZeroDivisionError: division by zero\nCELL, line 2\n      1 a = 1\n----> 2 1/0"),
        (
            CALLS,
            (
                "ZeroDivisionError: division by zero\n"
                "CELL, line 7\n----> 7 g()\n"
                "CELL, line 5, in g\n----> 5     return f(0)\n"
                "CELL, line 2, in f\n      1 def f(x):\n----> 2     return 1/x"
            ),
        ),
        (
            CHAIN,
            (
                "RuntimeError: o\ntwo\n"
                "CELL, line 6\n----> 6 f()\n"
                "CELL, line 5, in f\n"
                "      4     except KeyError as e:\n----> 5         raise RuntimeError('o\\ntwo') from e\n"
                "caused by KeyError: 'k'"
            ),
        ),
        (
            "try:\n    1/0\nexcept Exception:\n    nothing",
            (
                "NameError: name 'nothing' is not defined\nCELL, line 4\n"
                "      3 except Exception:\n----> 4     nothing\n"
                "while handling ZeroDivisionError: division by zero"
            ),
        ),
        (
            "for i in range(3)\n    pass",
            "SyntaxError: expected ':'\nCELL, line 1\n    for i in range(3)\n                     ^",
        ),
        (
            "eval('1 +')",
            (
                "SyntaxError: invalid syntax (<string>, line 1)\nCELL, line 1\n    eval('1 +')\n"
                "File <string>:1\n    1 +\n      ^"
            ),
        ),
        (
            "e = ValueError('v'); e.add_note('a note\\ntwo'); raise e",
            (
                "ValueError: v\nCELL, line 1\n"
                "----> 1 e = ValueError('v'); e.add_note('a note\\ntwo'); raise e\na note\ntwo"
            ),
        ),
        ("assert 1 == 2", "AssertionError\nCELL, line 1\n----> 1 assert 1 == 2"),
        (
            "exec('def q():\\n    1/0\\nq()')",
            (
                "ZeroDivisionError: division by zero\nCELL, line 1\n----> 1 exec('def q():\\n    1/0\\nq()')\n"
                "down to <string>:2, in q"
            ),
        ),
        (
            GROUP,
            (
                "ExceptionGroup: many (2 sub-exceptions)\n"
                "Cell, line 3, in <module>\n    f()\n"
                "Cell, line 2, in f\n"
                "    raise ExceptionGroup('many', [ValueError('a\\nb'), ExceptionGroup('inner', [KeyError('c')])])\n"
                "  ValueError: a\n  b\n  ExceptionGroup: inner (1 sub-exception)\n    KeyError: 'c'"
            ),
        ),
        ("%nosuchmagic", "UsageError: Line magic function `%nosuchmagic` not found."),
        (
            "raise ValueError('Cell In[9], line 3\\n---> 1 foo')",
            (
                "ValueError: Cell In[9], line 3\n---> 1 foo\nCELL, line 1\n"
                "----> 1 raise ValueError('Cell In[9], line 3\\n---> 1 foo')"
            ),
        ),
    ],
)
def test_the_error_is_short_and_told_once(ex: Executor, code: str, expected: str) -> None:
    result = ex.execute(code)
    assert result.error is not None
    assert result.text == expected.replace("CELL", f"Cell In[{result.execution_count}]")


def test_what_was_said_follows_and_the_whole_traceback_stays(ex: Executor) -> None:
    result = ex.execute("import sys\nprint('said')\nprint('to stderr', file=sys.stderr)\n" + LIBRARY)
    assert result.error is not None
    first, place, *source, down, one, two = result.text.splitlines()
    assert first == "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    assert place == f"Cell In[{result.execution_count}], line 6"
    assert source == ["      5 x = 1", "----> 6 json.loads('{bad')", "      7 y = 2"]
    assert down.startswith("down to ")
    assert down.endswith("/json/decoder.py:353, in JSONDecoder.raw_decode")
    assert {one, two} == {"said", "to stderr"}
    assert len([line for line in result.error.traceback if "decoder.py" in line]) == 2
    assert "decoder.py" in "".join(result.outputs[-1]["traceback"])


@pytest.mark.parametrize("mode", ["Plain", "Verbose", "Minimal", "Context"])
@pytest.mark.parametrize("kind", ["ours", "stock"])
def test_however_the_kernel_tells_it(
    fresh: Callable[..., Executor], stock: KernelSettings, request: pytest.FixtureRequest, mode: str, kind: str
) -> None:
    executor = fresh(kernel=stock if kind == "stock" else None)
    executor.execute(f"%xmode {mode}")
    for code, line in ((CALLS, "return 1/x"), (LIBRARY, "json.loads('{bad')"), (CHAIN, "caused by KeyError: 'k'")):
        result = executor.execute(code)
        assert result.error is not None
        assert result.text.startswith(str(result.error))
        assert result.text.count(str(result.error)) == 1
        assert (line in result.text) == (mode != "Minimal")
        assert len(result.text.splitlines()) <= 9


def test_a_recursion_is_a_few_lines(ex: Executor) -> None:
    result = ex.execute("def r(n):\n    return r(n + 1)\nr(0)")
    cell = f"Cell In[{result.execution_count}], line"
    lines = result.text.splitlines()
    assert lines[:5] == [
        *("RecursionError: maximum recursion depth exceeded", f"{cell} 3", "----> 3 r(0)"),
        *(f"{cell} 2, in r", "----> 2     return r(n + 1)"),
    ]
    assert lines[5].startswith("[... ")
    assert lines[5].endswith(" more calls ...]")
    assert len(lines) == 11


def test_a_huge_message_is_cut(ex: Executor) -> None:
    result = ex.execute("raise ValueError('x' * 100_000 + 'end')")
    assert result.error is not None
    assert len(result.error.value) == 100_003
    assert len(result.text) < 2_500
    assert "characters left out" in result.text
    assert "end\nCell In[" in result.text


@pytest.mark.usefixtures("patient")
def test_the_end_of_a_deadline_says_where(ex: Executor, tmp_path: Path) -> None:
    on = tmp_path / "on"  # it has begun: what it put out, or a file of its own, would be told as well
    sleep = f"time.sleep(open('{on}', 'w').close() or 50)"
    result = ended_by_its_deadline(ex, f"import time\n{sleep}", 0.5, on.exists)
    assert result.error is not None
    assert result.text == (
        f"{result.error}\nCell In[{result.execution_count}], line 2\n      1 import time\n----> 2 {sleep}"
    )


def test_a_death_is_told_once(fresh: Callable[..., Executor]) -> None:
    result = fresh().execute("print('last words', flush=True)\nimport os; os._exit(3)")
    assert result.text == f"{result.error}\nlast words"


def test_an_error_that_was_only_shown_is_short_as_well(ex: Executor) -> None:
    result = ex.execute("try:\n    1/0\nexcept Exception:\n    get_ipython().showtraceback()\nprint('on')")
    assert result.ok
    assert result.text.startswith("ZeroDivisionError: division by zero\nCell In[")
    assert result.text.endswith("\non")


def test_warnings_name_no_invented_files(ex: Executor) -> None:
    text = ex.execute("import warnings\nwarnings.warn('beware')").text
    assert text == "Cell, line 2: UserWarning: beware\n  warnings.warn('beware')"


def test_an_error_that_was_cut_is_still_told(fresh: Callable[..., Executor]) -> None:
    result = fresh(limits=Limits(output_bytes=2_000)).execute("raise ValueError('x' * 100_000)")
    assert result.text.count("ValueError: xxx") == 1


IPYTHON_8 = (
    "-" * 75,
    "RecursionError                            Traceback (most recent call last)",
    "Cell In[12], line 3\n      1 def r(n):\n      2     return r(n+1)\n----> 3 r(0)\n",
    "Cell In[12], line 2, in r(n)\n      1 def r(n):\n----> 2     return r(n+1)\n",
    "    [... skipping similar frames: r at line 2 (970 times)]\n",
    "Cell In[12], line 2, in r(n)\n      1 def r(n):\n----> 2     return r(n+1)\n",
    "RecursionError: deep",
)
IPYTHON_8_0 = (
    "-" * 75,
    "ZeroDivisionError                         Traceback (most recent call last)",
    "Input In [3], in <cell line: 2>()\n      1 x = 0\n----> 2 1/x\n",
    "ZeroDivisionError: division by zero",
)
COMPILED = (
    "-" * 75,
    "KeyError                                  Traceback (most recent call last)",
    "File /v/lib/python3.11/site-packages/pandas/base.py:3816, in Index.get_loc(self, key)\n-> 3816 return x\n",
    (
        "File pandas/_libs/index.pyx:172, in pandas._libs.index.IndexEngine.get_loc()\n"
        "--> 172 'Could not get source, probably due dynamically evaluated source code.'\n"
    ),
    "KeyError: 'b'",
    "\nThe above exception was the direct cause of the following exception:\n",
    "KeyError                                  Traceback (most recent call last)",
    "Cell In[5], line 2\n      1 import pandas as pd\n----> 2 pd.DataFrame()['b']\n",
    "File /v/lib/python3.11/site-packages/pandas/base.py:3823, in Index.get_loc(self, key)\n-> 3823 raise KeyError\n",
    "KeyError: 'b'",
)
VERBOSE_8 = (
    "-" * 75,
    "ZeroDivisionError                         Traceback (most recent call last)",
    (
        "Cell In[7], line 2, in f(x=<object object at 0x7f51bb>)\n      1 def f(x):\n----> 2     return 1/0\n"
        "        x =    a\n3  1    3 y = 1\n"
    ),
    "File ~/project/my mod.py:7, in g(x)\n      6 \n----> 7 1/0\n      8 \n",
    "ZeroDivisionError: division by zero",
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ErrorInfo("RecursionError", "deep", IPYTHON_8),
            (
                "RecursionError: deep\nCell In[12], line 3\n----> 3 r(0)\n"
                "Cell In[12], line 2, in r\n----> 2     return r(n+1)\n"
                "[... skipping similar frames: r at line 2 (970 times)]\n"
                "Cell In[12], line 2, in r\n      1 def r(n):\n----> 2     return r(n+1)"
            ),
        ),
        (
            ErrorInfo("ZeroDivisionError", "division by zero", IPYTHON_8_0),
            "ZeroDivisionError: division by zero\nInput In [3], in <cell line: 2>\n      1 x = 0\n----> 2 1/x",
        ),
        (
            ErrorInfo("KeyError", "'b'", COMPILED),
            (
                "KeyError: 'b'\nCell In[5], line 2\n      1 import pandas as pd\n----> 2 pd.DataFrame()['b']\n"
                "down to /v/lib/python3.11/site-packages/pandas/base.py:3823, in Index.get_loc"
            ),
        ),
        (
            ErrorInfo("ZeroDivisionError", "division by zero", VERBOSE_8),
            (
                "ZeroDivisionError: division by zero\nCell In[7], line 2, in f\n----> 2     return 1/0\n"
                "File ~/project/my mod.py:7, in g\n      6 \n----> 7 1/0\n      8 "
            ),
        ),
        (ErrorInfo("ERROR", "Error in f(): no", ("Error in f(): no\nTraceback:\n", "1. f()")), "x"),
        (ErrorInfo("E", "v", tuple(f"at {i}" for i in range(1000))), "y"),
        (ErrorInfo("E", "", ("", "\n", "----> 99999999999999999999 x")), "E\n----> 99999999999999999999 x"),
        (ErrorInfo("E", "v"), "E: v"),
        (ErrorInfo("E", "v", ("File x:1" * 100_000, "Cell In[1], line 1\n----> 1 " + "a" * 9_000)), "z"),
    ],
)
def test_other_kernels(error: ErrorInfo, expected: str) -> None:
    text = short(error)
    if len(expected) == 1:
        expected = {
            "x": "ERROR: Error in f(): no\nTraceback:\n1. f()",
            "y": "\n".join(
                ["E: v", "at 0", "at 1", "[... 988 more lines ...]", *(f"at {i}" for i in range(990, 1000))]
            ),
            "z": "E: v\nCell In[1], line 1\n----> 1 " + "a" * 188 + " ...",
        }[expected]
    assert text == expected


def test_a_printed_group_among_other_text() -> None:
    group = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/v/lib/python3.11/site-packages/IPython/x.py", line 3, in run_code\n  |     exec(code)\n'
        '  |   File "/tmp/ipykernel_1/2.py", line 3, in <module>\n  |     f()\n'
        "  | ExceptionGroup: many (1 sub-exception)\n  +-+---------------- 1 ----------------\n"
        "    | Traceback (most recent call last):\n"
        '    |   File "/tmp/ipykernel_1/2.py", line 1, in h\n    |     1/0\n'
        "    | ValueError: a\n    +------------------------------------\n"
    )
    told = ["Cell, line 3, in <module>", "    f()", "  ValueError: a"]
    assert printed_group(without_cell_files(f"before\n{group}behind\n")) == ("before\nbehind\n", told)
    assert printed_group("  + nothing\n") == ("  + nothing\n", [])
