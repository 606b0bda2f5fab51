"""What is no artifact and why, in sentences that people and models can read whatever the names are."""

from __future__ import annotations

from kernel_exec.artifacts.signatures import Kind

KINDS = {
    Kind.SYMLINK: "they are symbolic links, which are not followed",
    Kind.FIFO: "they are FIFOs",
    Kind.SOCKET: "they are sockets",
    Kind.DEVICE: "they are devices",
    Kind.FOREIGN: "they lie in another file system",
    Kind.DEEP: "they lie too deep",
    Kind.DIRECTORY: "they are directories",
}
_NAMES = 5
_LENGTH = 100


class Refusals:
    """Counts what was refused, and keeps the first names for each reason."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, place: tuple[str, ...]) -> None:
        """Refuse a file or directory.

        Args:
            reason: a part of a sentence, such as "they are FIFOs".
            place: the names from the work directory down to it.
        """
        self._counts[reason] = self._counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if len(names) < _NAMES:
            names.append(_quoted("/".join(place)))

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each reason."""
        return tuple(self._note(reason, count) for reason, count in self._counts.items())

    def _note(self, reason: str, count: int) -> str:
        names = ", ".join(self._names[reason])
        more = f" and {count - _NAMES} more" if count > _NAMES else ""
        return f"not among the artifacts, because {reason}: {names}{more}"


def _quoted(name: str) -> str:
    """Quote a name as Python does: no control character and no broken Unicode remains."""
    return repr(name if len(name) <= _LENGTH else f"{name[: _LENGTH // 2]}...{name[-_LENGTH // 2 :]}")
