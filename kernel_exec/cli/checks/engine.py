"""The container engine, as the Docker SDK finds it."""

from __future__ import annotations

import os

from kernel_exec.cli.checks.finding import Finding

TIMEOUT = 3
"""Seconds that the engine may take for an answer."""


def engine() -> list[Finding]:
    """Ask the engine for its version."""
    try:
        import docker
    except ImportError as error:
        return [_missing(f"the Docker SDK cannot be imported: {error}", "python -m pip install 'docker>=7.0'")]
    where = os.environ.get("DOCKER_HOST") or "its default socket"
    try:
        client = docker.from_env(timeout=TIMEOUT)
        try:
            version = client.version()
        finally:
            client.close()
    except Exception as error:  # whatever the SDK, and what is below it, make of a broken engine
        return [_missing(f"no answer at {where}: {_reason(error)}", _remedy(error))]
    name = (version.get("Platform") or {}).get("Name") or "Docker"
    return [Finding("container engine", "ok", f"{name} {version.get('Version', '?')} at {where}")]


def _missing(detail: str, remedy: str) -> Finding:
    return Finding("container engine", "missing", detail, remedy)


def _reason(error: BaseException) -> str:
    return " ".join(str(_root(error)).split())[:200]


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
