"""What keeps a kernel alive after cells that break what it stands on."""

from __future__ import annotations

import builtins
import contextvars
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from .outstream import OutStream


class Guards:
    """Restores what a cell took away from the kernel. Made once the streams are in place.

    Changes of things are the user's right (another `print`, a redirected stdout); what is gone or unusable comes back.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._streams: dict[str, OutStream] = {name: getattr(sys, name) for name in ("stdout", "stderr")}
        # Bound now: after `vars(builtins).clear()` no name of a builtin can be looked up.
        self._builtins = dict(vars(builtins))
        self._present = vars(builtins).keys()
        self._set_builtin = vars(builtins).__setitem__

    def after_code(self) -> None:
        """To be called as soon as user code has ended."""
        for name in self._builtins.keys() - self._present:
            self._set_builtin(name, self._builtins[name])
        self.end_child(0)

    def before_cell(self) -> None:
        """To be called before a cell runs."""
        for stream in self._streams.values():
            stream.begin_cell()

    def after_cell(self) -> None:
        """To be called before the kernel goes on after a cell."""
        for name, stream in self._streams.items():
            stream.reopen()
            stream.end_cell()
            if not _is_usable(getattr(sys, name, None)):
                setattr(sys, name, stream)
        _reopen_descriptors([os.devnull, *(stream.fifo for stream in self._streams.values())])

    def set_parent(self, parent: dict[str, Any]) -> None:
        """Tell our streams which request is served, also those that user code has replaced."""
        for stream in self._streams.values():
            stream.set_parent(parent)

    def is_child(self) -> bool:
        """Is this a forked child of the kernel?"""
        return os.getpid() != self._owner

    def end_child(self, status: int) -> None:
        """End a forked child that comes out of its cell: sockets and loop are its parent's."""
        if self.is_child():
            for name, stream in self._streams.items():
                if getattr(sys, name, None) is stream:
                    stream.flush()
            os._exit(status)


def _is_usable(stream: Any) -> bool:
    """Can the kernel flush this stream, as it does between cells?"""
    try:
        stream.flush()
    except Exception:
        return False
    return not getattr(stream, "closed", False)


def _reopen_descriptors(paths: list[str]) -> None:
    """Open those of the descriptors 0 to 2 that were closed: the next socket or file would get their number."""
    for descriptor, path in enumerate(paths):
        try:
            os.fstat(descriptor)
        except OSError:
            fresh = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
            if fresh == descriptor:  # the lowest that was free
                os.set_inheritable(fresh, True)  # noqa: FBT003 - it has no keyword
            else:  # another thread has just got it, for a file of its own
                os.close(fresh)


def keep_context_in_threads() -> None:
    """Let threads inherit the context of their creator, so that their output stays with its cell."""
    start: Callable[[threading.Thread], None] = threading.Thread.start

    def start_in_context(self: threading.Thread) -> None:
        context, run = contextvars.copy_context(), self.run
        self.run = lambda: context.run(run)  # type: ignore[method-assign]
        start(self)

    start_in_context.__doc__ = start.__doc__
    threading.Thread.start = start_in_context  # type: ignore[method-assign]
