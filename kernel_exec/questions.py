"""Questions about the state of a kernel, asked beside its cells, and what its answers are worth.

Kernels that our launcher starts answer all of them, also while a cell runs, see `inkernel/inspector.py`. Of others
only `complete` and `inspect` are asked, as the protocol has it: on the shell channel, or through a subshell while a
cell runs. No kernel is trusted: an answer that is none is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, NoReturn, TypeVar

from kernel_exec.errors import (
    InvalidArgument,
    KernelBusy,
    RequestFailed,
    RequestTimeout,
    UnknownVariable,
    Unsupported,
    ValueRefused,
    WrongType,
)
from kernel_exec.results import Completions, Inspection, Variable
from kernel_exec.session import Session
from kernel_exec.settings import checked_text
from kernel_exec.values import Packed
from kernel_exec.wire.channels import Buffer
from kernel_exec.wire.messages import Message
from kernel_exec.wire.terminal import strip_ansi

T = TypeVar("T")

ANSWER_TIMEOUT = 10.0
"""Seconds that an answer may take, unless the call says otherwise."""
TRANSFER_TIMEOUT = 60.0
"""The same for an answer that is, or brings, a value."""

_ERRORS: dict[str, type[RequestFailed]] = {"refused": ValueRefused, "unknown": UnknownVariable}


class Questions:
    """Asks the kernel of one session.

    Args:
        session: its session.
        timeout: seconds that an answer may take; None for no bound.
    """

    def __init__(self, session: Session, timeout: float | None) -> None:
        self._session = session
        self._deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout

    async def variables(self) -> list[Variable]:
        """Ask for the names that user code has set, in the order of definition."""
        reply = await self.ask("variables")
        return [_variable(item) for item in _checked(reply.content.get("variables"), list)]

    async def get(self, name: str) -> Packed:
        """Ask for the value of a variable."""
        reply = await self.ask("get", name=name)
        return Packed(_checked(reply.content.get("value"), dict), reply.buffers)

    async def put(self, name: str, value: Packed, sent: asyncio.Event) -> None:
        """Ask to set a variable; `sent` is set as soon as that cannot be taken back."""
        try:
            await self.ask("put", value.buffers, sent, name=name, value=value.meta)
        except RequestTimeout as error:
            raise RequestTimeout(f"{error}. {name} may still be set later, and that is not recorded") from error

    async def complete(self, code: str, cursor: int | None) -> Completions:
        """Ask for what the code could go on with."""
        at = checked_cursor(code, cursor)
        if self._session.kernel.ours:
            content = (await self.ask("complete", code=code, cursor=at)).content
            return _completions(content, code, content.get("start"), content.get("end"))
        content = await self._ask_any("complete_request", {"code": code, "cursor_pos": at})
        return _completions(content, code, content.get("cursor_start"), content.get("cursor_end"))

    async def inspect(self, code: str, cursor: int | None, detail: int) -> Inspection:
        """Ask for what is known of the object at the cursor."""
        at = checked_cursor(code, cursor)
        if detail not in (0, 1):
            raise InvalidArgument(f"detail must be 0 or 1 (with the source), not {detail!r}")
        if self._session.kernel.ours:
            return _inspection((await self.ask("inspect", code=code, cursor=at, detail=detail)).content)
        request = {"code": code, "cursor_pos": at, "detail_level": detail}
        return _inspection(await self._ask_any("inspect_request", request))

    async def ask(
        self, question: str, buffers: Sequence[Buffer] = (), sent: asyncio.Event | None = None, **content: Any
    ) -> Message:
        """Ask a kernel of ours; `sent` is set when the question is.

        Raises:
            Unsupported: it is none.
            RequestFailed, UnknownVariable, ValueRefused: it says why it does not answer.
        """
        if not self._session.kernel.ours:
            name = self._session.kernel.kernelspec["name"]
            raise Unsupported(
                f"the kernel {name!r} cannot tell of its variables or take any: only Python kernels can whose "
                "kernelspec starts `python -m ipykernel_launcher`"
            )
        request = {"do": question, **content}
        async with self._turn():
            if sent is not None:
                sent.set()
            reply = await self._session.request(
                "control", "kernel_exec_request", request, deadline=self._deadline, buffers=buffers
            )
        if reply.content.get("status") != "ok":
            reason, message = reply.content.get("reason"), _checked(reply.content.get("message"), str)
            error = _ERRORS.get(reason, RequestFailed) if isinstance(reason, str) else RequestFailed
            raise error(f"the kernel did not answer: {message}" if error is RequestFailed else message)
        return reply

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until there are not too many questions at a time."""
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._session.asking.acquire()
        except TimeoutError:
            raise RequestTimeout("earlier questions were not answered in time: give it more time") from None
        try:
            yield
        finally:
            self._session.asking.release()

    async def _ask_any(self, msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
        """Ask any kernel, as the protocol has it."""
        header = {"subshell_id": await self._subshell()} if self._session.busy else None
        reply = await self._session.request("shell", msg_type, content, deadline=self._deadline, more_header=header)
        if reply.content.get("status") != "ok":
            raise RequestFailed(f"the kernel answered {msg_type} with an error: {reply.content.get('evalue')!r:.200}")
        return reply.content

    async def _subshell(self) -> str:
        """The subshell of the session, made when it is first needed.

        Raises:
            KernelBusy: the kernel has none.
        """
        session = self._session
        features = session.info.get("supported_features")
        if not isinstance(features, list) or "kernel subshells" not in features:
            raise KernelBusy(
                "the kernel runs a cell and cannot answer beside it, as it has no subshells: wait for the cell's end"
            )
        if session.subshell is None:
            reply = await session.request("control", "create_subshell_request", {}, deadline=self._deadline)
            session.subshell = _checked(reply.content.get("subshell_id"), str)
        return session.subshell


def checked_cursor(code: str, cursor: int | None) -> int:
    """Return the place in the code that is meant, its end for None.

    Raises:
        InvalidArgument, WrongType: there is no such place, or no code.
    """
    checked_text("code", code)
    if cursor is None:
        return len(code)
    if isinstance(cursor, bool) or not isinstance(cursor, int):
        raise WrongType(f"cursor must be an index into the code or None, not {type(cursor).__name__}")
    if not 0 <= cursor <= len(code):
        raise InvalidArgument(f"cursor must lie between 0 and {len(code)}, the length of the code, not {cursor}")
    return cursor


def _variable(item: Any) -> Variable:
    fields = _checked(item, dict)
    shape, size = fields.get("shape"), fields.get("size")
    return Variable(
        name=_checked(fields.get("name"), str),
        type=_checked(fields.get("type"), str),
        shape=None if shape is None else tuple(_checked(part, int) for part in _checked(shape, list)),
        size=None if size is None else _checked(size, int),
        preview=_checked(fields.get("preview"), str),
    )


def _completions(content: dict[str, Any], code: str, start: Any, end: Any) -> Completions:
    matches = tuple(_checked(match, str) for match in _checked(content.get("matches"), list))
    if not 0 <= _checked(start, int) <= _checked(end, int) <= len(code):
        _no_answer("it completes what lies outside the code")
    return Completions(matches, start, end)


def _inspection(content: dict[str, Any]) -> Inspection:
    if not _checked(content.get("found"), bool):
        return Inspection(found=False)
    data = _checked(content.get("data"), dict)
    text = data.get("text/plain", "")
    return Inspection(found=True, text=strip_ansi(_checked(text, str)), data=data)


def _checked(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        _no_answer(f"it has {type(value).__name__} where {kind.__name__} must be")
    return value


def _no_answer(why: str) -> NoReturn:
    raise RequestFailed(f"the kernel's answer cannot be used: {why}. Is it a kernel that you trust?")
