"""The docker package, whose calls block: each in a thread of its own, its errors as ours."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from kernel_exec.errors import EngineError, EngineUnavailable
from kernel_exec.kernels.engine import Engine

SLOW = 600.0
"""Seconds in which an engine has taken in, or written down, an image of any size."""

T = TypeVar("T")


class Calls:
    """The client of the docker package for one engine; made when it is first needed, as its import takes long.

    Args:
        engine: which one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._client: Any = None
        self._lock = threading.Lock()

    async def do(self, work: Callable[[Any], T]) -> T:
        """Return what `work` makes of the client. It is never left behind: who is cancelled waits for its end.

        Raises:
            EngineError: the engine refuses.
            EngineUnavailable: it does not answer.
        """
        return await finished(in_thread(lambda: self._work(work)))

    async def do_or_leave(self, work: Callable[[Any], T]) -> T:
        """Likewise, for what may take for ever and leaves nothing: who is cancelled does not wait for its end.

        Raises:
            EngineError: the engine refuses.
            EngineUnavailable: it does not answer.
        """
        return await in_thread(lambda: self._work(work))

    def _work(self, work: Callable[[Any], T]) -> T:
        with _errors(self._engine.url):
            return work(self._connected())

    def _connected(self) -> Any:
        import docker

        with self._lock:
            if self._client is None:
                self._client = docker.APIClient(base_url=self._engine.url, version="auto", timeout=SLOW)
            return self._client

    def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            self._client.close()


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run `work` in a daemon thread: unlike those of the loop's executor, nobody waits for it at the end."""
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="kernel_exec image", daemon=True).start()
    return asyncio.wrap_future(answer)


async def finished(future: asyncio.Future[T]) -> T:
    """Wait for a future to its end, also when the caller is cancelled before it; then that is raised."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        future.cancelled() or future.exception()  # it has been seen
        raise


async def to_its_end(work: Awaitable[T]) -> T:
    """Run what cleans up, whole, also when the caller is cancelled meanwhile."""
    return await finished(asyncio.ensure_future(work))


@contextlib.contextmanager
def _errors(url: str) -> Iterator[None]:
    import docker.errors
    import requests.exceptions

    try:
        yield
    except docker.errors.APIError as error:
        status = error.response.status_code if error.response is not None else 500
        raise EngineError(str(error.explanation or error), status) from error
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise EngineUnavailable(f"the engine at {url} does not answer any more ({error}): start it again") from error
