"""Kernels that lie: every answer that is none ends in a typed error, whatever it is, and nothing else happens."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kernel_exec import Executor, KernelExecError, RequestFailed, RequestTimeout, ValueRefused
from kernel_exec.values import Packed, packed, unpacked
from tests.executor.looks import wait_until
from tests.values.kinds import KEPT, make

pytestmark = pytest.mark.everywhere

LIES: list[Any] = [None, True, -1, 2**70, 1.5, "x", [], [1], {}, {"a": 1}, "\ud800"]
FORGE = """
inspector = get_ipython().kernel.inspector
def forged(message):
    import json
    return json.loads({content!r}), []
inspector._answer = forged
"""


@pytest.fixture(scope="module")
def liar(ex: Executor) -> Executor:
    """A kernel whose inspector is replaced."""
    return ex


def forge(liar: Executor, content: Any) -> None:
    liar.execute(FORGE.format(content=json.dumps(content))).raise_for_error()


VARIABLE = {"name": "x", "type": "int", "shape": None, "size": 28, "preview": "1"}
ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("variables", {"variables": [VARIABLE]}),
    ("complete", {"matches": ["abc"], "start": 0, "end": 2}),
    ("inspect", {"found": True, "data": {"text/plain": "text"}}),
    ("get", {"value": {"kind": "json"}}),
]
ASK = {
    "variables": lambda ex: ex.variables(),
    "complete": lambda ex: ex.complete("ab"),
    "inspect": lambda ex: ex.inspect("ab"),
    "get": lambda ex: ex.get("ab"),
}


@pytest.mark.parametrize(("question", "answer"), ANSWERS)
def test_every_field_of_every_answer(liar: Executor, question: str, answer: dict[str, Any]) -> None:
    for lied in mutated(answer):
        forge(liar, lied)
        with contextlib.suppress(KernelExecError):
            ASK[question](liar)
    liar.execute("del inspector._answer").raise_for_error()
    assert liar.execute("1").text == "1"


@pytest.mark.everywhere(soon=True)
@pytest.mark.parametrize(
    "status", [{"status": "error"}, {"status": "error", "message": 3}, {"status": 7, "message": "m"}]
)
def test_errors_that_are_none(liar: Executor, status: dict[str, Any]) -> None:
    forge(liar, status)
    with pytest.raises(RequestFailed):
        liar.variables()
    liar.execute("del inspector._answer").raise_for_error()


@pytest.mark.everywhere(soon=True)
def test_places_outside_the_code(liar: Executor) -> None:
    for start, end in ((-1, 0), (1, 0), (0, 3), (3, 3)):
        forge(liar, {"matches": ["abc"], "start": start, "end": end})
        with pytest.raises(RequestFailed, match="outside the code"):
            liar.complete("ab")
    liar.execute("del inspector._answer").raise_for_error()


@pytest.mark.parametrize("kind", KEPT)
def test_values_that_were_changed_on_the_way(kind: str) -> None:
    """Bits flipped, parts cut, kinds exchanged: a value comes out, or a typed error; numpy and Arrow never crash."""
    value = packed(make(KEPT[kind]))
    chance = random.Random(kind)
    others = ["json", "bytes", "array", "scalar", "table", "batch", "frame", "series", "index", "pickle", 3, None]
    for _ in range(60):
        buffers = [damaged(bytes(buffer), chance) for buffer in value.buffers]
        meta = dict(value.meta)
        if chance.random() < 0.3:
            meta["kind"] = chance.choice(others)
        elif chance.random() < 0.3:
            meta[chance.choice(list(meta))] = chance.choice(LIES)
        if chance.random() < 0.1:
            buffers = buffers[1:]
        attempt(Packed(meta, buffers))


def test_a_value_that_is_too_large_is_refused_by_the_kernel_and_not_cut_off(liar: Executor) -> None:
    liar.execute("import numpy as np\ninspector = get_ipython().kernel.inspector\ninspector.most_bytes = 1000")
    liar.execute("small, large = np.zeros(100, 'i1'), np.zeros(2000, 'i1')").raise_for_error()
    assert len(liar.get("small")) == 100
    with pytest.raises(
        ValueRefused, match=r"'large' cannot be taken out: it takes 2,000 bytes, and 1,000 are the most"
    ):
        liar.get("large")
    liar.execute("del inspector.most_bytes").raise_for_error()


def test_an_answer_that_is_too_long_is_refused(liar: Executor) -> None:
    before = liar.metrics.refused
    forge(liar, {"variables": [VARIABLE]})
    liar.execute("forged_short = inspector._answer\ninspector._answer = lambda m: ({'x': 'y' * 70_000_000}, [])")
    with pytest.raises(RequestTimeout):
        liar.variables(timeout=3)
    assert wait_until(lambda: set(liar.metrics.refused) - set(before) == {"its content is too large"})
    liar.execute("del inspector._answer").raise_for_error()
    assert liar.variables()


def test_objects_are_never_made(tmp_path: Any) -> None:
    """An array of objects would be unpickled."""
    path = tmp_path / "objects.npy"
    np.save(path, np.array([1, None], object))
    data = path.read_bytes()
    for kind in ("array", "scalar", "frame"):
        with pytest.raises(RequestFailed):
            unpacked(Packed({"kind": kind}, [data[:128], data[128:]]))


def test_announced_sizes_that_are_not_there() -> None:
    header, data = packed(np.arange(4)).buffers
    huge = bytes(header).replace(b"(4,)", b"(2**40,)").replace(b"      \n", b"\n")
    for shape in (b"(9,)", b"(-1,)", b"(1e9,)", b"'no'", b"(0,)"):
        lied = bytes(header).replace(b"(4,)", shape)
        with pytest.raises(RequestFailed):
            unpacked(Packed({"kind": "array"}, [lied, data]))
    with pytest.raises(RequestFailed):
        unpacked(Packed({"kind": "array"}, [huge, data]))


def test_offsets_of_strings_that_lead_elsewhere() -> None:
    offsets = pa.py_buffer(np.array([0, 2**30, 3], "i4").tobytes())
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"abc")])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, pa.schema([("s", pa.string())])) as writer:
        writer.write(pa.record_batch([array], names=["s"]))
    for kind in ("table", "batch", "frame"):
        with pytest.raises(RequestFailed):
            unpacked(Packed({"kind": kind, "objects": {}, "axes": {"index": [], "columns": []}}, [sink.getvalue()]))


def test_rows_that_take_no_room() -> None:
    nulls = pa.Array.from_buffers(pa.null(), 2**31 - 1, [None])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, pa.schema([("n", pa.null())])) as writer:
        writer.write(pa.record_batch([nulls], names=["n"]))
    with pytest.raises(RequestFailed, match="no data stands behind"):
        unpacked(Packed({"kind": "table"}, [sink.getvalue()]))


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_little_that_becomes_very_much(compression: str) -> None:
    table = pa.table({"zeros": np.zeros(10**6), "names": pa.array(["x"] * 10**6).dictionary_encode()})
    options = pa.ipc.IpcWriteOptions(compression=compression)
    for part in (table, table.select(["zeros"]), table.select(["names"])):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, part.schema, options=options) as writer:
            writer.write(part)
        for kind in ("table", "batch"):
            with pytest.raises(RequestFailed, match="compressed"):
                unpacked(Packed({"kind": kind}, [sink.getvalue()]))


def test_dtypes_that_libraries_register_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Registered(pd.api.extensions.ExtensionDtype):
        name = "registered"
        type = int
        read: ClassVar[list[Any]] = []

        @classmethod
        def construct_from_string(cls, string: str) -> Registered:
            if string != cls.name:
                raise TypeError
            return cls()

        def __from_arrow__(self, array: Any) -> Any:
            self.read.append(array)

    dtypes = pd.core.dtypes.base._registry.dtypes
    monkeypatch.setattr(pd.core.dtypes.base._registry, "dtypes", [*dtypes, Registered])
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1]}))
    metadata = table.schema.metadata[b"pandas"].replace(b'"numpy_type": "int64"', b'"numpy_type": "registered"', 1)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema.with_metadata({b"pandas": metadata})) as writer:
        writer.write(table)
    with pytest.raises(ValueRefused, match="Registered"):
        unpacked(Packed({"kind": "frame", "objects": {}, "axes": {"index": [], "columns": []}}, [sink.getvalue()]))
    assert not Registered.read


def test_what_is_missing_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    value = packed(pd.DataFrame({"a": [1]}))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ValueRefused, match=r"pip install 'kernel-exec\[data\]'"):
        unpacked(value)
    with pytest.raises(ValueRefused, match=r"pip install 'kernel-exec\[data\]'"):
        packed(pd.DataFrame({"a": [1]}))


def mutated(answer: Any) -> list[Any]:
    """The answer with each of its parts exchanged for something else, or left out."""
    if isinstance(answer, dict):
        changed = [{**answer, key: lied} for key, value in answer.items() for lied in (*LIES, *mutated(value))]
        return changed[:80] + [{k: v for k, v in answer.items() if k != key} for key in answer]
    return [[item] for item in mutated(answer[0])[:40]] if isinstance(answer, list) else []


def damaged(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    match chance.randrange(4):
        case 0 if changed:
            for _ in range(chance.randrange(1, 8)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case 1:
            del changed[chance.randrange(len(changed) + 1) :]
        case 2 if len(changed) > 8:
            at = chance.randrange(len(changed) - 8)
            changed[at : at + 8] = chance.choice([b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7])
    return bytes(changed)


def attempt(value: Packed) -> None:
    with contextlib.suppress(KernelExecError):
        unpacked(value)
