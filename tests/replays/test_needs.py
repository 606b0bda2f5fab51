"""Which cells a variable depends on."""

from __future__ import annotations

import contextlib
import io
from typing import Any

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


TRICKY = {
    "mutating function": (["a=[]", "def f(): a.append(1)", "f()", "z=1"], "a"),
    "append alias": (["a=[]", "l=[]", "l.append(a)", "l[0].append(1)", "z=1"], "a"),
    "dict alias": (["a=[]", "d={}", "d['k']=a", "d['k'].append(1)", "z=1"], "a"),
    "attr alias": (["import types", "a=[]", "o=types.SimpleNamespace()", "o.x=a", "o.x.append(1)"], "a"),
    "alias in if": (["a=[]", "if True:\n  b=a", "b.append(1)"], "a"),
    "comp mutate": (["a=[]", "l=[a]", "[x.append(1) for x in l]"], "a"),
    "globals": (["a=1", "globals()['a']=2", "b=a+1"], "b"),
    "exec": (["a=1", "exec('a=2')", "b=a+1"], "b"),
    "star": (["pi=3", "from math import *", "b=pi"], "b"),
    "decorator": (["r=[]", "def reg(f):\n  r.append(f.__name__)\n  return f", "@reg\ndef g(): pass", "n=len(r)"], "n"),
    "subclass": (
        ["class B:\n  subs=[]\n  def __init_subclass__(cls): B.subs.append(1)", "class A(B): pass", "n=len(B.subs)"],
        "n",
    ),
    "count method": (["class K:\n  n=0\n  def count(self): self.n+=1", "k=K()", "k.count()", "m=k.n"], "m"),
    "sum method": (["class K:\n  n=0\n  def sum(self): self.n+=1", "k=K()", "k.sum()", "m=k.n"], "m"),
    "zip iterator": (["it=iter(range(10))", "p=list(zip(range(3),it))", "n=next(it)"], "n"),
    "list generator": (["g=(i for i in range(5))", "x=list(g)", "y=list(g)"], "y"),
    "for iterator": (["it=iter(range(10))", "for q in it:\n  if q==3: break", "n=next(it)"], "n"),
    "gen func": (["def gen():\n  yield 1\n  yield 2", "g=gen()", "s=sum(g)", "t=list(g)"], "t"),
    "any map": (["m=map(int,'123')", "any(m)", "r=list(m)"], "r"),
    "inplace": (
        ["import pandas as pd", "df=pd.DataFrame({'a':[1,2]})", "df.replace(1,5,inplace=True)", "s=int(df.a.sum())"],
        "s",
    ),
    "seed sample": (
        [
            "import pandas as pd, numpy as np",
            "np.random.seed(1)",
            "df=pd.DataFrame({'a':range(20)})",
            "v=list(df.sample(frac=1).a)",
        ],
        "v",
    ),
    "seed noise sample": (
        [
            "import pandas as pd, numpy as np",
            "np.random.seed(1)",
            "noise=np.random.rand(3)",
            "df=pd.DataFrame({'a':range(20)})",
            "v=list(df.sample(frac=1).a)",
        ],
        "v",
    ),
    "two names of numpy": (
        ["import numpy as np", "from numpy import random as R", "R.seed(3)", "a=float(np.random.rand())"],
        "a",
    ),
    "from seed": (["import random", "from random import seed", "seed(1)", "a=random.random()"], "a"),
    "method global": (["log=[]", "class A:\n  def m(self): log.append(1)", "x=A()", "x.m()", "n=len(log)"], "n"),
    "default mutable": (["def f(x=[]):\n  x.append(1)\n  return len(x)", "f()", "n=f()"], "n"),
    "closure": (
        ["def mk():\n  n=0\n  def i():\n    nonlocal n\n    n+=1\n    return n\n  return i", "i=mk()", "i()", "n=i()"],
        "n",
    ),
    "sort key": (["c=[]", "def k(x):\n  c.append(x)\n  return x", "s=sorted([2,1],key=k)", "n=len(c)"], "n"),
    "print calls": (["c=[]", "def k():\n  c.append(1)", "print(k())", "n=len(c)"], "n"),
    "tuple alias": (["a=[]", "b,c=a,1", "b.append(1)"], "a"),
    "for alias": (["a=[]", "for x in [a]: pass", "x.append(2)"], "a"),
    "with alias": (["import contextlib", "a=[]", "with contextlib.nullcontext(a) as b: b.append(1)"], "a"),
    "out=": (["import numpy as np", "a=np.zeros(3)", "np.add(a,1,out=a)", "s=float(a.sum())"], "s"),
    "cond def": (["def f(): return 1", "if True:\n  def f(): return 2", "b=f()"], "b"),
    "cond import": (["import math as m", "try:\n  import cmath as m\nexcept ImportError: pass", "b=m.__name__"], "b"),
    "monkeypatch": (["class A:\n  def m(self): return 1", "def m2(self): return 2", "A.m=m2", "b=A().m()"], "b"),
    "monkey module": (["import math", "import math as q", "q.tau=3", "b=math.tau"], "b"),
    "partial": (["import functools", "a=[]", "p=functools.partial(list.append,a)", "p(3)"], "a"),
    "bound method": (["a=[]", "ap=a.append", "ap(3)"], "a"),
    "bound via loop": (["a=[]", "f={}\nf['x']=a.append", "f['x'](3)"], "a"),
    "nested func": (["a=[]", "def g():\n  def h(): a.append(1)\n  h()", "def k(): g()", "k()"], "a"),
    "lambda mutate": (["a=[]", "f=lambda: a.append(1)", "f()"], "a"),
    "lambda in dict": (["a=[]", "f={'x':lambda: a.append(1)}", "f['x']()"], "a"),
    "func passed": (["a=[]", "def f(): a.append(1)", "def call(g): g()", "call(f)"], "a"),
    "global set by func of func": (["a=1", "def f():\n  global a\n  a=2", "def g(): f()", "g()", "b=a"], "b"),
    "map f": (["a=[]", "def f(x): a.append(x)", "list(map(f,[1,2]))"], "a"),
    "prop": (
        ["a=[]", "class P:\n  @property\n  def x(self):\n    a.append(1)\n    return 1", "p=P()", "y=p.x", "n=len(a)"],
        "n",
    ),
    "operator": (["a=[]", "class P:\n  def __lshift__(self,o): a.append(o)", "p=P()", "p<<3", "n=len(a)"], "n"),
    "contextmgr": (
        [
            "a=[]",
            "class P:\n  def __enter__(self): a.append(1)\n  def __exit__(self,*x): pass",
            "p=P()",
            "with p: pass",
            "n=len(a)",
        ],
        "n",
    ),
    "walrus2": (["y=5", "x=[y:=i for i in range(3)]", "z=y"], "z"),
    "vars": (["a=1", "vars()['a']=2", "b=a"], "b"),
    "type alias": (
        [
            "from dataclasses import dataclass, field",
            "@dataclass\nclass D:\n  x:list=field(default_factory=list)",
            "d=D()",
            "d.x.append(1)",
            "n=len(d.x)",
        ],
        "n",
    ),
    "enumerate reg": (
        ["from collections import defaultdict", "d=defaultdict(int)", "for w in 'abca': d[w]+=1", "n=d['a']"],
        "n",
    ),
    "read touches default": (["from collections import defaultdict", "d=defaultdict(int)", "d['x']", "n=len(d)"], "n"),
    "cached": (["import functools", "n=[0]", "@functools.cache\ndef f(): \n  n[0]+=1", "f()", "f()", "m=n[0]"], "m"),
    "eval": (["a=1", "eval('globals().update(a=2)')", "b=a"], "b"),
    "func globals": (["a=1", "def setit(v): globals()['a']=v", "setit(3)", "b=a"], "b"),
    "stringio loop": (["import io", "f=io.StringIO('1\\n2\\n3')", "for l in f: break", "rest=f.read()"], "rest"),
    "unpack iter": (["it=iter([1,2,3,4])", "*u,=it", "n=list(it)"], "n"),
    "tee": (["import itertools", "c=itertools.count()", "a=list(itertools.islice(c,3))", "n=next(c)"], "n"),
    "class attr by inst": (["class A: n=0", "def bump(): A.n+=1", "bump()", "m=A.n"], "m"),
    "redirect": (
        ["import io, contextlib", "s=io.StringIO()", "with contextlib.redirect_stdout(s): print(5)", "v=s.getvalue()"],
        "v",
    ),
    "print file": (["import io", "s=io.StringIO()", "print(5,file=s)", "v=s.getvalue()"], "v"),
    "pop in print": (["a=[1,2]", "print(a.pop())", "n=len(a)"], "n"),
    "pop in len": (["a=[[1],[2]]", "len(a.pop())", "n=len(a)"], "n"),
    "pop in fstring": (["a=[1,2]", "f'{a.pop()}'", "n=len(a)"], "n"),
    "pop in assert": (["a=[1,2]", "assert a.pop()==2", "n=len(a)"], "n"),
    "join": (["g=(str(i) for i in range(3))", "','.join(g)", "n=list(g)"], "n"),
}
"""Cells that act on a variable which they do not name, or by what only looks like looking; and the variable."""


@pytest.mark.parametrize(("sources", "name"), TRICKY.values(), ids=TRICKY)
def test_only_the_cells_needed_give_the_same_value(sources: list[str], name: str) -> None:
    needs = needed(sources, [name])
    assert repr(_run(sources)[name]) == repr(_run([sources[index] for index in sorted(needs)])[name])


def test_what_earlier_cells_gave_needs_them_all() -> None:
    assert needed(["1", "a = 1", "b = Out[1]", "c = 2"], ["b"]) == {0, 1, 2}


def _run(sources: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    for source in sources:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "cell", "exec"), names)
    return names
