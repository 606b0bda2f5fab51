"""What was put into a kernel, kept for a replay: a cell that sets the same value, and the file that it reads."""

from __future__ import annotations

import keyword
import math
import unicodedata
import uuid
from typing import Any

from kernel_exec.errors import InvalidArgument, RecordingError, WrongType
from kernel_exec.home import Home
from kernel_exec.inkernel.frames import steps
from kernel_exec.recording import code_cell
from kernel_exec.values import Packed
from kernel_exec.wire.cell import Cell

LITERAL = 2000
"""Bytes of a value that is written into the cell itself, at the most."""
_SHELL_NAMES = frozenset({"In", "Out", "get_ipython", "exit", "quit"})

# Nothing is imported under a name: the cell must leave no other variable than a `put` does.
_READERS = {
    "json": ("json", '__import__("json").loads(__import__("pathlib").Path({path}).read_text())'),
    "bytes": ("bin", '__import__("pathlib").Path({path}).read_bytes()'),
    "array": ("npy", '__import__("numpy").load({path})'),
    "scalar": ("npy", '__import__("numpy").load({path})[()]'),
    "table": ("arrow", '__import__("pyarrow").ipc.open_file({path}).read_all()'),
    "batch": ("arrow", '__import__("pyarrow").ipc.open_file({path}).get_batch(0)'),
    "frame": ("arrow", '__import__("pyarrow").ipc.open_file({path}).read_all().to_pandas()'),
}


def checked_key(name: str) -> str:
    """Return the name of a variable as Python writes it.

    Raises:
        WrongType: it is no string.
    """
    if not isinstance(name, str):
        raise WrongType(f"name must be a string, not {type(name).__name__}")
    return unicodedata.normalize("NFKC", name) if name.isidentifier() else str(name)


def checked_name(name: str) -> str:
    """Return the name of a variable that may be set. The name of a builtin may: user code may do that as well.

    Raises:
        InvalidArgument, WrongType: it is no name, or one that Python or IPython needs.
    """
    key = checked_key(name)
    if not key.isidentifier() or keyword.iskeyword(key):
        raise InvalidArgument(f"name must be a Python identifier, not {name!r}")
    if key.startswith("__") or key in _SHELL_NAMES or _is_history(key):
        raise InvalidArgument(f"name must not be {name!r}, which Python or IPython needs: choose another one")
    return key


def keep(name: str, value: Any, packed: Packed, home: Home, during: Cell | None = None) -> dict[str, Any]:
    """Return the cell that sets a variable to a value, whose file is written, where it has one.

    Args:
        name: of the variable.
        value: what was put.
        packed: the same as it travelled.
        home: where the session lives on disk.
        during: the cell that ran meanwhile.

    Raises:
        RecordingError: the file could not be written.
    """
    kind = packed.meta["kind"]
    facts = {"event": "put", "name": name, "kind": kind}
    if kind in ("json", "bytes") and len(packed.buffers[0]) <= LITERAL:
        source = f"{name} = {literal(value)}"
    else:
        source = _reading(name, packed, _written(name, packed, home))
    if during is not None:
        facts["during"] = during.cell_id
        number = f"In[{during.execution_count}]" if during.execution_count else "the cell above"
        source = f"# Set while {number} was running, which may have seen it or not.\n{source}"
    return code_cell(uuid.uuid4().hex[:8], source, metadata={"kernel_exec": facts})


def literal(value: Any) -> str:
    """Return Python for a value of exact JSON types, or bytes."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {literal(item)}' for key, item in value.items())}}}"
    return repr(value)


def _reading(name: str, packed: Packed, path: str) -> str:
    """The source of a cell that reads a value from its file."""
    kind = packed.meta["kind"]
    _, reader = _READERS.get(kind, _READERS["frame"])
    lines = [f"{name} = {reader.format(path=repr(path))}"]
    lines += steps(packed.meta, name) if kind in ("frame", "series", "index") else []
    if kind == "series":
        lines += [f"{name} = {name}.iloc[:, 0]", f"{name}.name = {packed.meta['name']!r}"]
    elif kind == "index":
        lines.append(f"{name} = {name}.index")
    return "\n".join(lines)


def _written(name: str, packed: Packed, home: Home) -> str:
    """Write the file; return its path as the kernel sees it."""
    suffix, _ = _READERS.get(packed.meta["kind"], _READERS["frame"])
    try:
        path = home.pictures.write(packed.buffers, f"put-{home.next_number()}-{name[:40]}", f".{suffix}")
    except OSError as error:
        place = home.pictures.path
        raise RecordingError(
            f"{name} is set, but its value could not be written to {place} ({error}): a replay will lack it"
        ) from error
    return str(path.relative_to(home.workdir) if path.is_relative_to(home.workdir) else path)


def _is_history(name: str) -> bool:
    """Is it one of the names that IPython moves: _, __, _12, _i, _ii, _i12, _ih, _oh, _dh, ...?"""
    rest = name.lstrip("_")
    return name.startswith("_") and (
        rest in {"", "i", "ii", "iii", "ih", "oh", "dh", "exit_code"} or rest.removeprefix("i").isdigit()
    )
