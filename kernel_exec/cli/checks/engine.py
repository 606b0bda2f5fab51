"""The container engine, and how kernels in its containers are reached."""

from __future__ import annotations

import asyncio
import os

from kernel_exec.cli.checks.finding import Finding
from kernel_exec.errors import KernelExecError
from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.far import description

TIMEOUT = 3
"""Seconds that the engine may take for an answer."""


def engine() -> list[Finding]:
    """Ask the engine for its version, and whether it sees this machine's files."""
    where = os.environ.get("DOCKER_HOST") or "its default socket"
    try:
        return [Finding("container engine", "ok", asyncio.run(_described()))]
    except TimeoutError as error:
        return [_missing(f"no answer at {where} within {TIMEOUT} s", _remedy(error))]
    except KernelExecError as error:
        return [_missing(f"no answer at {where}: {_reason(error)}", _remedy(error))]


async def _described() -> str:
    return await asyncio.wait_for(description(Engine.find()), TIMEOUT)


def _missing(detail: str, remedy: str) -> Finding:
    return Finding("container engine", "missing", detail, remedy)


def _reason(error: BaseException) -> str:
    root = _root(error)
    text = os.strerror(root.errno) if isinstance(root, OSError) and root.errno else str(root)
    return " ".join(text.split())[:200]


def _remedy(error: BaseException) -> str:
    match _root(error):
        case PermissionError():
            return "let this user in: sudo usermod -aG docker $USER, and log in again"
        case FileNotFoundError() | ConnectionRefusedError():
            return "install and start Docker or Podman; DOCKER_HOST names a socket elsewhere"
        case _:
            return "see what runs there; DOCKER_HOST names another engine"


def _root(error: BaseException) -> BaseException:
    """Return the error of the system below those of the libraries."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno:
            return seen
        seen = seen.__cause__ or seen.__context__
    return error
