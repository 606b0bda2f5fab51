"""Answers questions about the state of the kernel, also while a cell runs.

A question is a message of our own on the control channel: no request of the shell, which would become the parent of
what threads put out later. Nothing is published for it, no status either. Each is answered in a thread of its own, so
that code of the user's that gets to run there (a `__dir__`, say) and never ends holds up nothing but its own answer.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

from IPython.core.completer import IPCompleter
from IPython.utils.tokenutil import line_at_cursor, token_at_cursor
from jupyter_client.session import DELIM

from .codec import decode, encode
from .libraries import Refused
from .outstream import quiet
from .previews import variables

REQUEST, REPLY = "kernel_exec_request", "kernel_exec_reply"
MOST = 16
"""Questions that may be open at a time: a few that are answered, and threads of user code that never end."""
SWITCH_INTERVAL = 0.0005
"""Seconds after which a cell that computes gives way while a question is open."""
MATCHES = 10_000
LONG = 1_000_000
"""Characters of a text that tells of an object."""

Answer = tuple[dict[str, Any], list[Any]]


class Inspector:
    """Answers the questions that arrive on the control channel of one kernel.

    Args:
        kernel: the kernel, whose control thread calls `take`.

    Attributes:
        most_bytes: what each part of a value may take; a client cuts off who sends more than two gigabytes at once.
    """

    most_bytes = 2**31 - 2**20

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._open = 0
        self._lock = threading.Lock()
        self._interval = self._lowered = 0.0

    @staticmethod
    def is_question(frames: list[Any]) -> bool:
        """Is this message, which nobody has verified yet, one for `take`?"""
        with contextlib.suppress(StopIteration, ValueError, IndexError, AttributeError):
            start = next(index for index, frame in enumerate(frames) if bytes(frame) == DELIM)
            return bool(json.loads(bytes(frames[start + 2])).get("msg_type") == REQUEST)
        return False

    def take(self, frames: list[Any]) -> None:
        """Take a question; its answer is sent when it is ready. What nobody has signed is dropped."""
        session = self._kernel.session
        identities, rest = session.feed_identities(frames, copy=False)
        try:
            message = session.deserialize(rest, copy=False)
        except (ValueError, TypeError, KeyError):
            self._kernel.log.exception("Invalid Control Message")
            return
        send = partial(self._send, identities, message)
        if not self._begin():
            send(*_refusal("busy", f"{MOST} earlier questions are still open: user code does not come to an end"))
            return
        try:
            Thread(target=self._work, args=(message, send), name="kernel_exec question", daemon=True).start()
        except RuntimeError as error:
            self._end()
            send(*_refusal("busy", f"there is no thread for it ({error})"))

    def _work(self, message: dict[str, Any], send: Callable[..., None]) -> None:
        quiet.set(True)
        try:
            answer = self._answer(message)
        except Refused as refused:
            answer = _refusal(refused.reason, str(refused))
        except BaseException as error:  # SystemExit of user code as well: every question is answered
            answer = _refusal("failed", f"{type.__repr__(type(error))} came up in the kernel")
        finally:
            self._end()
        self._kernel.control_thread.io_loop.add_callback(send, *answer)

    def _answer(self, message: dict[str, Any]) -> Answer:
        content = message["content"]
        match content.pop("do"):
            case "variables":
                shell = self._kernel.shell
                return {"variables": variables(shell.user_ns, shell.user_ns_hidden)}, []
            case "complete":
                return complete(self._kernel.shell, **content), []
            case "inspect":
                return inspect(self._kernel.shell, **content), []
            case "get":
                return self._get(**content)
            case "put":
                return self._put(buffers=message["buffers"], **content)
            case unknown:
                raise Refused(f"it knows no question {unknown!r}")

    def _get(self, name: str) -> Answer:
        try:
            value = self._kernel.shell.user_ns[name]
        except KeyError:
            raise Refused(f"no variable is named {name!r}", "unknown") from None
        try:
            meta, buffers = encode(value)
        except Refused as refused:
            raise Refused(f"{name!r} cannot be taken out as it is: {refused}") from None
        size = max((memoryview(buffer).nbytes for buffer in buffers), default=0)
        if size > self.most_bytes:
            raise Refused(
                f"{name!r} cannot be taken out: it takes {size:,} bytes, and {self.most_bytes:,} are the most; have "
                "the kernel write it to a file in the work directory"
            )
        return {"value": meta}, buffers

    def _put(self, name: str, value: dict[str, Any], buffers: list[Any]) -> Answer:
        self._kernel.shell.user_ns[name] = decode(value, buffers)
        return {}, []

    def _send(self, identities: Any, message: dict[str, Any], content: dict[str, Any], buffers: list[Any]) -> None:
        """To be called in the control thread, which owns the socket."""
        content = {"status": "ok", **content}
        kernel = self._kernel
        kernel.session.send(kernel.control_stream, REPLY, content, message, identities, buffers)

    def _begin(self) -> bool:
        """One question more is open, unless there are too many; while one is, a busy cell gives way sooner."""
        with self._lock:
            if self._open == MOST:
                return False
            self._open += 1
            if self._open == 1:
                self._interval = sys.getswitchinterval()
                sys.setswitchinterval(min(self._interval, SWITCH_INTERVAL))
                self._lowered = sys.getswitchinterval()
            return True

    def _end(self) -> None:
        with self._lock:
            self._open -= 1
            if not self._open and sys.getswitchinterval() == self._lowered:  # else user code has set its own
                sys.setswitchinterval(self._interval)


def complete(shell: Any, code: str, cursor: int) -> dict[str, Any]:
    """What the code could go on with at the cursor.

    Without jedi: its import alone takes seconds beside a cell that computes. With a completer of its own: IPython's
    may be in use by the shell at this moment.
    """
    completer = IPCompleter(
        shell=shell, namespace=shell.user_ns, global_namespace=shell.user_global_ns, config=shell.config
    )
    completer.use_jedi = False
    completer.custom_completers = shell.Completer.custom_completers
    line, offset = line_at_cursor(code, cursor)
    try:
        text, matches = completer.complete(line_buffer=line, cursor_pos=cursor - offset)
    except PendingDeprecationWarning:  # it gives that for itself, and the user has made errors of warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text, matches = completer.complete(line_buffer=line, cursor_pos=cursor - offset)
    return {"matches": list(matches)[:MATCHES], "start": cursor - len(text), "end": cursor}


def inspect(shell: Any, code: str, cursor: int, detail: int) -> dict[str, Any]:
    """What is known of the object at the cursor."""
    try:
        data = shell.object_inspect_mime(token_at_cursor(code, cursor), detail_level=detail)
    except KeyError:
        return {"found": False, "data": {}}
    return {"found": True, "data": {mime: text[:LONG] for mime, text in data.items() if isinstance(text, str)}}


def _refusal(reason: str, message: str) -> Answer:
    return {"status": "error", "reason": reason, "message": message}, []
