"""Changes that a comparison must find, and harmless ones that it must not: code before and after, as tables.

Each piece of code is one cell, run in a fresh namespace and an empty directory. It may use what `PRELUDE` imports.
"""

from __future__ import annotations

from dataclasses import dataclass

PRELUDE = """
import datetime, io, json, logging, os, pathlib, random, sys, tempfile, threading, time, uuid, warnings
import numpy as np, pandas as pd, matplotlib.pyplot as plt
from IPython.display import HTML, JSON, SVG, Image, Latex, Markdown, display

df = pd.DataFrame({"city": ["Bonn", "Kiel", "Trier"], "sales": [41.0, 17.25, 8.5], "n": [3, 1, 2]})

def lines(first="tab:blue", second="tab:orange", where="upper left", title="Sales 2024", power=2.0, size=(6.4, 4.8)):
    figure, axes = plt.subplots(figsize=size)
    x = np.linspace(0, 1, 50)
    axes.plot(x, x, color=first, label="north")
    axes.plot(x, x**power, color=second, label="south")
    axes.set_title(title)
    axes.legend(loc=where)
    return axes

def encoded(figure, form="png", **more):
    file = io.BytesIO()
    figure.savefig(file, format=form, **more)
    return file.getvalue()

def bar(speed):
    for step in range(4):
        beside = f"[00:0{step}<00:0{3 - step}, {speed * step:.2f}it/s]"
        sys.stderr.write(f"\\r{step * 33:3d}%|{'#' * step}| {step}/3 {beside}")
    sys.stderr.write("\\n")
"""


@dataclass(frozen=True)
class Planted:
    """A cell as it was recorded and as it is run again.

    Attributes:
        name: what changed.
        before: the code then.
        after: the code now; "" for the same.
        kind: of the difference that must be found; "" for none.
    """

    name: str
    before: str
    after: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


CHANGES = [
    Planted("a digit beyond tolerance, printed", "print(0.123456789)", "print(0.123456788)", "number"),
    Planted("a digit beyond tolerance, as a result", "41.0", "42.0", "number"),
    Planted("a digit in a large whole number", "1000000000001", "1000000000002", "number"),
    Planted("a digit in an array", "np.array([1.5, 2.5])", "np.array([1.5, 2.6])", "number"),
    Planted("a sign", "print('change', 3.5)", "print('change', -3.5)", "number"),
    Planted("a number that becomes nan", "float(1)", "float('nan')", "text"),
    Planted("another type of number", "1", "1.0", "number"),
    Planted("a word", "print('rows kept: all')", "print('rows kept: none')", "text"),
    Planted("a capital letter", "'bonn'", "'Bonn'", "text"),
    Planted("a line less", "print('a\\nb\\nc')", "print('a\\nc')", "text"),
    Planted("a line more", "print('a\\nc')", "print('a\\nb\\nc')", "text"),
    Planted("a warning more", "print(1)", "print(1); warnings.warn('old')", "extra output"),
    Planted("a list in another order", "['a', 'b']", "['b', 'a']", "text"),
    Planted("another value in a dict", "{'a': 1, 'b': 2}", "{'a': 1, 'b': 3}", "number"),
    Planted("a key more in a dict", "{'a': 1}", "{'a': 1, 'b': 2}", "text"),
    Planted("another element in a set", "{'a', 'b'}", "{'a', 'c'}", "text"),
    Planted("a year in printed data", "print('2024-01-01', 5)", "print('2025-01-01', 5)", "text"),
    Planted("a day as a result", "datetime.date(2024, 1, 15)", "datetime.date(2024, 1, 16)", "text"),
    Planted("a whole number like a date", "20240115", "20240116", "number"),
    Planted("a duration as a result", "datetime.timedelta(hours=2)", "datetime.timedelta(hours=3)", "number"),
    Planted("a number in hexadecimal", "hex(255)", "hex(254)", "text"),
    Planted("an address of the internet", "'10.0.0.1'", "'10.0.0.10'", "text"),
    Planted("a file name below /tmp", "print('/tmp/a/sales.csv')", "print('/tmp/a/costs.csv')", "text"),
    Planted(
        "steps of a progress bar",
        "bar(9.5)",
        "bar(9.5); sys.stderr.write('  3%|   | 1/30 [00:01<00:02, 1it/s]');",
        "text",
    ),
    Planted("stdout that becomes stderr", "print('a')", "print('a', file=sys.stderr)", "missing output"),
    Planted("a result gone", "5", "5;", "missing output"),
    Planted("a result more", "x = 5", "x = 5; x", "extra output"),
    Planted("a cell of a table", "df", "df.assign(sales=[41.0, 17.25, 8.75])", "table"),
    Planted("a name in a table", "df", "df.replace('Kiel', 'Köln')", "table"),
    Planted("a dropped row", "df", "df.drop(1)", "table"),
    Planted("an added row", "df", "pd.concat([df, df.tail(1)], ignore_index=True)", "table"),
    Planted("a dropped column", "df", "df.drop(columns='n')", "table"),
    Planted("a renamed column", "df", "df.rename(columns={'n': 'count'})", "table"),
    Planted("rows in another order", "df", "df.sort_values('n')", "table"),
    Planted("columns in another order", "df", "df[['city', 'n', 'sales']]", "table"),
    Planted("a changed dtype", "df", "df.astype({'n': float})", "table"),
    Planted("a changed dtype of a series", "df.n", "df.n.astype('int32')", "text"),
    Planted("a name of an index", "df.set_index('city')", "df.set_index('city').rename_axis('town')", "table"),
    Planted(
        "a year in an index",
        "df.set_index(pd.date_range('2024-01-01', periods=3))",
        "df.set_index(pd.date_range('2025-01-01', periods=3))",
        "table",
    ),
    Planted("a row more, out of sight", "pd.DataFrame({'a': [0] * 100})", "pd.DataFrame({'a': [0] * 101})", "table"),
    Planted(
        "a cell of a table with two levels",
        "df.groupby(['city', 'n']).agg({'sales': ['sum', 'max']})",
        "df.assign(sales=[1.0, 17.25, 8.5]).groupby(['city', 'n']).agg({'sales': ['sum', 'max']})",
        "table",
    ),
    Planted(
        "a colour in a styled table",
        "df.style.highlight_max('n', color='red')",
        "df.style.highlight_max('n', color='blue')",
        "text",
    ),
    Planted("a moved legend", "lines(); plt.show()", "lines(where='lower right'); plt.show()", "image"),
    Planted("swapped colours", "lines(); plt.show()", "lines('tab:orange', 'tab:blue'); plt.show()", "image"),
    Planted("a paler line", "lines('#1f77b4'); plt.show()", "lines('#6fa7d4'); plt.show()", "image"),
    Planted("another line", "lines(); plt.show()", "lines(power=2.1); plt.show()", "image"),
    Planted("a digit in a title", "lines(); plt.show()", "lines(title='Sales 2025'); plt.show()", "image"),
    Planted("a dashed line", "lines(); plt.show()", "lines().lines[0].set_linestyle('--'); plt.show()", "image"),
    Planted("a point more", "lines(); plt.show()", "lines().plot([0.5], [0.1], 'k.'); plt.show()", "image"),
    Planted("a grid", "lines(); plt.show()", "lines().grid(alpha=0.3); plt.show()", "image"),
    Planted("other limits", "lines(); plt.show()", "lines().set_xlim(0, 1.2); plt.show()", "image"),
    Planted("another size of a figure", "lines(); plt.show()", "lines(size=(5, 4)); plt.show()", "image"),
    Planted(
        "a cell of a heat map",
        "plt.imshow(np.arange(25).reshape(5, 5)); plt.show()",
        "a = np.arange(25).reshape(5, 5); a[2, 2] = 14; plt.imshow(a); plt.show()",
        "image",
    ),
    Planted("a figure gone", "lines(); plt.show()", "lines(); plt.close()", "missing output"),
    Planted(
        "another shape in an SVG",
        "SVG('<svg><circle r=\"5\"/></svg>')",
        "SVG('<svg><circle r=\"6\"/></svg>')",
        "number",
    ),
    Planted("another exception", "1 / 0", "[][0]", "error"),
    Planted(
        "another message of an exception", "raise ValueError('no rows')", "raise ValueError('no columns')", "error"
    ),
    Planted("an exception gone", "1 / 0", "1 / 1", "missing output"),
    Planted("a new exception", "int('1')", "int('x')", "extra output"),
    Planted("a missing file", "pathlib.Path('c.csv').write_text('1');", "1;", "artifact"),
    Planted("a new file", "1;", "pathlib.Path('d.csv').write_text('1');", "artifact"),
    Planted("a file with other content", "df.to_csv('a.csv')", "df.head(2).to_csv('a.csv')", "artifact"),
    Planted("reordered outputs", "display('a'); display('b')", "display('b'); display('a')", "order"),
    Planted("text behind a display", "print('a'); display('b')", "display('b'); print('a')", "order"),
    Planted("a value in JSON", "JSON({'a': [1, 2]})", "JSON({'a': [1, 3]})", "data"),
    Planted("a list in JSON in another order", "JSON([1, 2])", "JSON([2, 1])", "data"),
    Planted("a word in HTML", "HTML('<b>good</b>')", "HTML('<b>bad</b>')", "text"),
    Planted("a caption", "df.style.set_caption('Sales')", "df.style.set_caption('Costs')", "text"),
    Planted("a tag in HTML", "HTML('<b>good</b>')", "HTML('<i>good</i>')", "text"),
    Planted("a formula", "Latex('$a^2$')", "Latex('$a^3$')", "number"),
    Planted("a heading", "Markdown('# Sales')", "Markdown('## Sales')", "text"),
]

HARMLESS = [
    Planted("another address", "object()"),
    Planted("addresses in a list", "print([object(), print, lambda: 0])"),
    Planted("an address of a method", "threading.Event().wait"),
    Planted("an address in a message", "[].index(object())"),
    Planted("an address in a table", "pd.DataFrame({'a': [object()]})"),
    Planted("an axes and its lines", "lines().plot([1, 2]); plt.close(); plt.plot([1]);"),
    Planted("lines of matplotlib as a result", "r = plt.plot([1, 2]); plt.close(); r"),
    Planted("another temporary directory", "tempfile.mkdtemp()"),
    Planted("another temporary file", "print('written to', tempfile.mkstemp(suffix='.csv')[1])"),
    Planted("the same file in another temporary directory", "print(tempfile.mkdtemp() + '/sales.csv')"),
    Planted(
        "a path of a kernel",
        "warnings.warn_explicit('old', UserWarning, f'/tmp/ipykernel_{os.getpid()}/{id(1)}.py', 1)",
    ),
    Planted("the time, printed", "print('done at', datetime.datetime.now())"),
    Planted("the time as a result", "datetime.datetime.now()"),
    Planted("the time as pandas has it", "pd.Timestamp.now()"),
    Planted("the time as C has it", "print(time.ctime(), '|', time.strftime('%a, %d %b %Y %H:%M:%S %Z'))"),
    Planted("seconds since 1970", "time.time()"),
    Planted("the time in a table", "pd.DataFrame({'read': [pd.Timestamp.now()]})"),
    Planted(
        "a log with times",
        "logging.basicConfig(format='%(asctime)s %(levelname)s %(message)s', force=True)\n"
        "logging.warning('pid %d, %d rows', os.getpid(), 5)",
    ),
    Planted("a duration, printed", "print('took 0.12 s, finished in 3 ms')", "print('took 1.57 s, finished in 41 ms')"),
    Planted("a clock, printed", "print('elapsed 0:00:01.25')", "print('elapsed 0:01:14.07')"),
    Planted("%timeit", "%timeit -n 2 -r 2 sum(range(1000))"),
    Planted("%time", "%time sum(range(1000))"),
    Planted("another speed of a progress bar", "bar(9.5)", "bar(123.75)"),
    Planted("more steps on the way to the same bar", "bar(9.5)", "sys.stderr.write('\\r  1%|  | 0/3'); bar(7)"),
    Planted("another UUID", "uuid.uuid4()"),
    Planted("a UUID in HTML", 'HTML(f\'<div id="{uuid.uuid4()}"></div><script>plot("{uuid.uuid4().hex}")</script>\')'),
    Planted("a set in another order", "{'north', 'south', 'east', 'west'}"),
    Planted("a set in another order, printed", "print({'north', 'south', 'east', 'west'})"),
    Planted("a set among words", "print('found', {'north', 'south', 'east', 'west'}, 'here')"),
    Planted("a dict in the order of a set", "{name: 1 for name in {'north', 'south', 'east'}}"),
    Planted(
        "JSON with keys in another order",
        "JSON({'a': 1, 'b': {'c': 2, 'd': 3}})",
        "JSON({'b': {'d': 3, 'c': 2}, 'a': 1})",
    ),
    Planted("another id of a styled table", "df.style.highlight_max('n', color='red')"),
    Planted("colours of the terminal", "print('ok')", "print('\\x1b[32mok\\x1b[0m')"),
    Planted("print in pieces", "print('a', 'b', 'c')", "for c in 'abc': print(c, end=' ', flush=True)"),
    Planted(
        "stdout and stderr interleaved",
        "print(1); print(2); print(3, file=sys.stderr)",
        "print(1); print(3, file=sys.stderr); print(2)",
    ),
    Planted("another order of a sum", "sum([0.1, 0.2, 0.3])", "sum([0.3, 0.2, 0.1])"),
    Planted(
        "another order of sums in a table",
        "pd.DataFrame({'a': [0.1 + 0.2 + 0.3]}).style.format('{!r}')",
        "pd.DataFrame({'a': [0.3 + 0.2 + 0.1]}).style.format('{!r}')",
    ),
    Planted("what is left where zero was meant", "0.1 + 0.2 - 0.3", "0.3 - 0.2 - 0.1"),
    Planted("spaces at the ends of lines", "print('a\\nb')", "print('a  \\nb\\n')"),
    Planted("wider columns of text", "print('a 1')", "print('a    1')"),
    Planted("metadata of a figure", "lines(); Image(encoded(plt.gcf(), metadata={'Software': 'a'})); plt.close()"),
    Planted(
        "metadata of a PNG",
        "i = Image(encoded(lines().figure, metadata={'Author': 'a'})); plt.close(); i",
        "i = Image(encoded(lines().figure, metadata={'Author': 'b'})); plt.close(); i",
    ),
    Planted("the same figure again", "lines(); plt.show()"),
    Planted(
        "a figure smoothed differently",
        "lines(); plt.show()",
        "a = lines(); [line.set_linewidth(1.55) for line in a.lines]; plt.show()",
    ),
    Planted(
        "a line a quarter of a pixel beside",
        "plt.plot([1, 2], [1, 2]); plt.ylim(0, 3); plt.show()",
        "plt.plot([1, 2], [1.002, 2.002]); plt.ylim(0, 3); plt.show()",
    ),
    Planted(
        "a PNG compressed differently",
        "i = Image(encoded(lines().figure, pil_kwargs={'compress_level': 1})); plt.close(); i",
        "i = Image(encoded(lines().figure, pil_kwargs={'compress_level': 9})); plt.close(); i",
    ),
    Planted(
        "a JPEG of another quality",
        "i = Image(encoded(lines().figure, 'jpeg', pil_kwargs={'quality': 92})); plt.close(); i",
        "i = Image(encoded(lines().figure, 'jpeg', pil_kwargs={'quality': 85})); plt.close(); i",
    ),
    Planted("ids and dates of an SVG", "s = SVG(encoded(lines().figure, 'svg')); plt.close(); s"),
    Planted("another version", "print('pandas 2.2.3'); 'numpy', '1.26.4'", "print('pandas 3.1.1'); 'numpy', '2.4.6'"),
    Planted("the version of Python", "sys.version"),
    Planted("another process", "print('pid', os.getpid())"),
    Planted("another thread", "threading.current_thread()"),
    Planted("an exception from another line", "1 / 0", "def f():\n    return 1 / 0\n\nf()"),
    Planted("a file written again", "df.to_csv('b.csv')"),
    Planted("what id gives", "x = object(); id(x)"),
    Planted("the time as a stamp", "print(time.strftime('%Y%m%d_%H%M%S'))"),
    Planted("nanoseconds since 1970", "time.time_ns()"),
    Planted("the seconds of something fast", "print('elapsed', 4.2e-05)", "print('elapsed', 0.0001)"),
    Planted("memory in use", "print('Memory usage: 43.9 MB')", "print('Memory usage: 44.25 MB')"),
    Planted(
        "a name made up in a chart",
        "display({'application/vnd.plotly.v1+json': {'data': [{'y': [1], 'uid': str(uuid.uuid4())}]}}, raw=True)",
    ),
    Planted(
        "another model of a widget",
        "display({'application/vnd.jupyter.widget-view+json': {'model_id': uuid.uuid4().hex}}, raw=True)",
    ),
]
