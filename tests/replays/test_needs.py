"""Which cells a variable depends on."""

from __future__ import annotations

import pytest

from kernel_exec.recording.needs import needed

CASES = {
    "a chain": (["a = 1", "b = 2", "c = a + 1"], "c", {0, 2}),
    "set again": (["a = 1", "a = 2"], "a", {1}),
    "set again from itself": (["a = 1", "a = a + 1"], "a", {0, 1}),
    "set perhaps": (["a = 1", "if b: a = 2", "b = 3"], "a", {0, 1}),
    "augmented": (["a = 1", "a += 1", "b = 1"], "a", {0, 1}),
    "a method": (["a = []", "a.append(1)", "b = []", "b.append(2)"], "a", {0, 1}),
    "an argument": (["a = []", "def f(x): x.append(1)", "f(a)", "c = 1"], "a", {0, 1, 2}),
    "an item": (["a = {}", "a['x'] = 1", "z = 1"], "a", {0, 1}),
    "an attribute": (["import types", "a = types.SimpleNamespace()", "a.x = 1", "z = 1"], "a", {0, 1, 2}),
    "an alias": (["a = []", "b = a", "b.append(1)", "z = 1"], "a", {0, 1, 2}),
    "an alias inside another": (["a = []", "b = [a]", "b[0].append(1)", "z = 1"], "a", {0, 1, 2}),
    "an import": (["import math", "import os", "a = math.pi"], "a", {0, 2}),
    "an import of a part": (["from os import path as p", "import re", "a = p.sep"], "a", {0, 2}),
    "a seed": (["import random", "random.seed(1)", "import os", "a = random.random()"], "a", {0, 1, 3}),
    "a function's names": (["def f(): return k", "k = 2", "z = 3", "a = f()"], "a", {0, 1, 3}),
    "a function of a function": (
        ["def g(): return k", "def f(): return g()", "k = 1", "z = 1", "a = f()"],
        "a",
        {0, 1, 2, 4},
    ),
    "a lambda": (["k = 1", "f = lambda: k", "z = 1", "a = f()"], "a", {0, 1, 3}),
    "a class": (["k = 1", "class C:\n def m(self): return k", "z = 1", "a = C().m()"], "a", {0, 1, 3}),
    "a global": (["def f():\n global a\n a = 1", "z = 1", "f()"], "a", {0, 2}),
    "a loop": (["b = [1]", "for a in b: pass", "z = 1"], "a", {0, 1}),
    "with": (["z = 1", "with open('x') as a: pass"], "a", {1}),
    "except": (["try: 1/0\nexcept ZeroDivisionError as error: a = str(error)", "z = 1"], "a", {0}),
    "match": (["b = [1]", "match b:\n case [a]: pass", "z = 1"], "a", {0, 1}),
    "walrus": (["b = 1", "print(a := b)", "z = 1"], "a", {0, 1}),
    "unpacked": (["b = 1, 2", "a, *c = b", "z = 1"], "c", {0, 1}),
    "a comprehension": (["b = [1]", "a = [x for x in b]", "x = 1"], "a", {0, 1}),
    "a magic": (["%matplotlib inline", "b = 1", "a = 1"], "a", {0, 2}),
    "a magic that assigns": (["b = 1", "a = !ls", "z = 1"], "a", {1}),
    "broken code": (["a = 1", "a = = 2", "z = 1"], "a", {0, 1}),
    "looked at": (["a = [1]", "print(a, len(a))", "a.append(2)", "str(a)"], "a", {0, 2}),
    "a frame that is looked at": (
        ["import pandas as pd", "a = pd.DataFrame()", "a.head()", "a['x'] = 1", "a.describe()"],
        *("a", {0, 1, 3}),
    ),
    "nothing": (["a = 1"], "other", set()),
    "deleted and set": (["a = 1", "del a", "a = 2", "z = 1"], "a", {2}),
}


@pytest.mark.parametrize(("sources", "name", "expected"), CASES.values(), ids=CASES)
def test_what_a_variable_depends_on(sources: list[str], name: str, expected: set[int]) -> None:
    found = needed(sources, [name])
    assert expected <= found
    assert len(found) < len(sources) or len(expected) == len(sources)


@pytest.mark.parametrize(
    "name", ["a chain", "set again", "an import", "a loop", "looked at", "a frame that is looked at"]
)
def test_and_nothing_else(name: str) -> None:
    sources, wanted, expected = CASES[name]
    assert needed(sources, [wanted]) == expected
