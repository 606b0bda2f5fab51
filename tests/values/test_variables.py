"""What `variables` tells: quickly, of everything, and without running anybody's code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernel_exec import Executor, RequestTimeout, UnknownVariable, Variable

pytestmark = pytest.mark.everywhere

SHOWN = {
    "1": ("int", None, "1"),
    "10**4000": ("int", None, "<int of 13288 bits>"),
    "'x' * 10**6": ("str", (10**6,), "'xxx"),
    "[1, 'a', (2,), {3}, {'k': None}, frozenset()]": ("list", (6,), "[1, 'a', (2,), {3}, {'k': None}, frozenset()]"),
    "list(range(10**6))": ("list", (10**6,), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
    "{}": ("dict", (0,), "{}"),
    "np.zeros((3, 4))": ("numpy.ndarray", (3, 4), "float64: 0.0, 0.0"),
    "np.datetime64('2020')": ("numpy.datetime64", None, "np.datetime64('2020')"),
    "pd.DataFrame({'a': [1, 2], 'b': 'x'})": ("pandas.DataFrame", (2, 2), "2 rows x 2 columns: a, b"),
    "pd.Series([1.5, None], name='s')": ("pandas.Series", (2,), "float64: 1.5, nan"),
    "pd.date_range('2020', periods=2)": ("pandas.DatetimeIndex", (2,), "2020-01-01 00:00:00, 2020-01-02"),
    "pd.Timestamp('2020')": ("pandas.Timestamp", None, "<pandas.Timestamp object>"),
    "pa.table({'a': [1]})": ("pyarrow.Table", (1, 1), "1 rows x 1 columns: a"),
    "len": ("builtin_function_or_method", None, "<function len>"),
    "decimal.Decimal": ("type", None, "<class decimal.Decimal>"),
    "__import__('collections').OrderedDict(a=1)": ("collections.OrderedDict", None, "<collections.OrderedDict object>"),
}

HOSTILE = """
import sys, time
calls, armed = [], False
def called(*args, **kwargs):
    if not armed:
        raise AttributeError
    calls.append(args)
    print('called', flush=True)
    globals().pop('victim', None)
    time.sleep(600)
class Meta(type):
    __repr__ = __eq__ = __hash__ = __getattribute__ = __instancecheck__ = __subclasscheck__ = __len__ = called
    __name__ = __module__ = property(called)
everything = dict.fromkeys(
    '__repr__ __str__ __len__ __getattr__ __getattribute__ __dir__ __iter__ __getitem__ __eq__ __hash__ __bool__ '
    '__sizeof__ __array__ __reduce__ __reduce_ex__ __format__ __index__ __int__ __float__ __contains__'.split(), called)
everything['__class__'] = everything['shape'] = everything['nbytes'] = everything['dtype'] = property(called)
Evil = Meta('Evil', (), dict(everything))
evil = object.__new__(Evil)
Kinds = [type.__call__(type, 'Sub' + base.__name__, (base,), dict(everything)) for base in (int, str, list, dict)]
for number, base in enumerate((int, str, list, dict)):
    globals()[f'evil_{base.__name__}'] = base.__new__(Kinds[number])
inside = [evil, (evil,), {'k': evil}]
class Key:
    def __hash__(self):
        return 1
keyed = {Key(): 1}
Key.__hash__ = Key.__eq__ = Key.__repr__ = called
around = np.empty(2, object)
around[0] = evil
frame = pd.DataFrame({'o': around}, copy=False)
cycle = []
cycle.append(cycle)
victim, armed = 'alive', True
"""


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory, ex: Executor) -> Executor:
    """The shared kernel, with the worst objects in it."""
    ex.execute(HOSTILE).raise_for_error()
    return ex


def one(ex: Executor, name: str) -> Variable:
    (found,) = [variable for variable in ex.variables() if variable.name == name]
    return found


@pytest.mark.parametrize("source", SHOWN)
def test_shown(ex: Executor, source: str) -> None:
    ex.execute(f"shown = {source}").raise_for_error()
    kind, shape, preview = SHOWN[source]
    found = one(ex, "shown")
    assert (found.type, found.shape) == (kind, shape)
    assert preview in found.preview
    assert len(found.preview) <= 120
    assert "\n" not in found.preview


def test_sizes(ex: Executor) -> None:
    ex.execute("array = np.zeros(1000); text = 'x' * 1000; thing = object(); series = pd.Series([1.5] * 1000)")
    sizes = {variable.name: variable.size for variable in ex.variables()}
    assert sizes["array"] == 8000
    assert 1000 <= (sizes["text"] or 0) < 1200
    assert sizes["thing"] is None
    assert 8000 <= (sizes["series"] or 0) < 9000


def test_names_in_the_order_of_definition_and_only_those_of_the_user(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    assert ex.variables() == []
    ex.execute("z = 1\nimport os\nfrom os import path\ndef f(): pass\nclass C: pass\n_hidden = 1\na = C()\n3 + 4")
    assert [(variable.name, variable.type) for variable in ex.variables()] == [
        ("z", "int"),
        ("f", "function"),
        ("C", "type"),
        ("a", "__main__.C"),
    ]
    ex.execute("open = 3; globals()[5] = 'no name'")
    assert one(ex, "open").preview == "3"


@pytest.mark.parametrize(
    "name", ["Evil", "evil", "evil_int", "evil_str", "evil_list", "evil_dict", "inside", "keyed", "around", "frame"]
)
def test_nobodys_code_runs(harmed: Executor, name: str) -> None:
    found = one(harmed, name)
    assert found.name == name
    with pytest.raises(Exception, match=name):
        harmed.get(name)
    after = harmed.execute("(calls, victim)")
    assert (after.text, after.stdout) == ("([], 'alive')", "")


def test_cycles_and_what_is_changed_meanwhile(harmed: Executor) -> None:
    assert one(harmed, "cycle").preview.startswith("[[[")
    running = harmed.submit("moving = {}\nwhile True:\n    moving[len(moving) % 999] = 1; moving.pop(5, 0)")
    for _ in range(30):
        harmed.variables()
    running.cancel()


def test_ten_thousand_names_and_two_gigabytes(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("import numpy as np\nbig = np.zeros(2**28)\nfor n in range(10_000): globals()[f'name{n}'] = [n] * 100")
    found = ex.variables()
    assert len(found) == 10_002
    assert found[0].size == 2**31


def test_threads_that_never_end_are_bounded_and_leave_no_trace(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute(
        "import getpass, sys, threading, time\n"
        "asked = []\n"
        "class Slow:\n"
        "    def __dir__(self):\n"
        "        print('out'); sys.stderr.write('err'); threading.Thread(target=print, args=('later',)).start()\n"
        "        get_ipython().display_pub.publish({'text/plain': 'shown'})\n"
        "        for ask in (input, getpass.getpass):\n"
        "            try: ask()\n"
        "            except EOFError: asked.append(ask)\n"
        "        time.sleep(600)\n"
        "class Stuck:\n"
        "    def __dir__(self): time.sleep(600)\n"
        "slow, stuck = Slow(), Stuck()"
    )
    running = ex.submit("print('begin'); time.sleep(1.5); print('end')")
    with pytest.raises(RequestTimeout):
        ex.complete("slow.", timeout=0.3)
    assert ex.variables()[-1].name == "stuck"
    for _ in range(15):
        with pytest.raises(RequestTimeout, match="did not answer in time"):
            ex.complete("stuck.", timeout=0.05)
    with pytest.raises(Exception, match="questions are still open"):
        ex.variables()
    result = running.result()
    assert (result.stdout, result.stderr, len(result.outputs)) == ("begin\nend\n", "", 1)
    assert ex.execute("len(asked)").text == "2"


def test_reading_leaves_no_trace(ex: Executor) -> None:
    ex.execute("kept = [1, 2]; 41 + 1").raise_for_error()
    look = "(sorted(globals()), len(In), dict(Out), _, __, get_ipython().execution_count)"
    before = ex.execute(look)
    assert ex.notebook_path is not None
    recorded = ex.notebook_path.read_bytes()
    session = ex._core._conductor.kernels.session
    assert session is not None
    published = len(session._channels.seen)
    ex.variables()
    ex.get("kept")
    ex.complete("kept.ap")
    ex.inspect("kept")
    with pytest.raises(UnknownVariable):
        ex.get("missing")
    assert ex.notebook_path.read_bytes() == recorded
    assert len(session._channels.seen) == published
    count = ex.execute("get_ipython().execution_count, len(In), len(get_ipython().history_manager.input_hist_raw)")
    assert before.execution_count is not None
    assert count.execution_count == before.execution_count + 1
    names = ex.execute("sorted(globals())").text
    assert "missing" not in names


def test_after_a_restart_there_are_none(fresh: Callable[..., Executor]) -> None:
    ex = fresh()
    ex.execute("x = 1")
    ex.restart()
    assert ex.variables() == []
    with pytest.raises(UnknownVariable, match="'x'"):
        ex.get("x")
