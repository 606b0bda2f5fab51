"""A session as a page that follows it: whoever looks at it, and what they are told of each change."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from kernel_exec.pages.document import page
from kernel_exec.pages.outputs import escaped
from kernel_exec.viewing.follow import Follower, Snapshot
from kernel_exec.viewing.script import SCRIPT
from kernel_exec.viewing.watch import Watch

_CALM = 0.2
"""Seconds between two looks at the least, however often the file changes."""
_SOON = 0.1
"""Seconds until the next look at a file that could not be read."""
_LATE = 1.0
"""Seconds until the next look where the system does not tell of changes, and at the end of a session."""


def policy_of(nonce: str) -> str:
    """Return the policy of a live page: its own script runs, and asks its own server; nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Live:
    """Follows one notebook for all who look at it; reads nothing while nobody does.

    Args:
        notebook: the notebook; it need not be there.
    """

    def __init__(self, notebook: Path) -> None:
        self._follower = Follower(notebook)
        self._watch = Watch(notebook)
        self._looking = threading.Lock()
        self._changed = threading.Condition()
        self._watched = 0
        self._ended = False
        self._failed = False
        self._thread = threading.Thread(target=self._follow, name="kernel_exec view", daemon=True)
        self._thread.start()

    @property
    def snapshot(self) -> Snapshot:
        """The notebook as it was seen last."""
        return self._follower.snapshot

    def page(self, nonce: str) -> str:
        """Return the page as of now; `nonce` is of its policy."""
        self._look()
        now = self.snapshot
        body = (
            f'<div id="head">{now.head}</div>'
            f'<main data-version="{now.version}" data-now="{time.time()}">{"".join(now.cells)}</main>'
            f'<script nonce="{nonce}">{SCRIPT}</script>'
        )
        return page(now.title, body, policy=policy_of(nonce).replace("; frame-ancestors 'none'", ""))

    def wait(self, version: int, seconds: float) -> tuple[int, str] | None:
        """Wait for a change beyond a version that was seen.

        Returns:
            The version that there is now, and what changed as JSON; None when nothing has, in some seconds.
        """
        with self._changed:
            self._watched += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._ended or self.snapshot.version != version, seconds)
            finally:
                self._watched -= 1
            now = self.snapshot
        return (now.version, json.dumps(now.update(version))) if now.version != version else None

    @property
    def ended(self) -> bool:
        """Whether it has been closed."""
        return self._ended

    def close(self) -> None:
        """End it; all who wait return."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._watch.wake()
        self._thread.join()
        self._watch.close()

    def _follow(self) -> None:
        try:
            while not self._ended and not self._failed:
                with self._changed:
                    self._changed.wait_for(lambda: self._watched or self._ended)
                self._watch.begin()  # before the look, so that no change slips through between the two
                soon = self._look()
                time.sleep(_CALM)
                if not self._ended:
                    self._watch.wait(_SOON if soon else _LATE)
        except Exception as error:
            with self._looking:
                self._fail(error)

    def _look(self) -> bool:
        """Look at the file; whether to look again soon."""
        soon = False
        with self._looking:
            before = self.snapshot
            if not self._failed:
                try:
                    soon = self._follower.look()
                except Exception as error:
                    self._fail(error)
        if self.snapshot is not before:
            with self._changed:
                self._changed.notify_all()
        return soon

    def _fail(self, error: Exception) -> None:
        """Look no more, as something went wrong that nobody foresaw; what was seen stays."""
        self._failed = True
        self._follower.tell(f"The notebook is not followed any more: {type(error).__name__}: {error}")
        with self._changed:
            self._changed.notify_all()


def message(title: str, text: str) -> str:
    """Return a small page that says something."""
    return page(title, f"<h1>{escaped(title)}</h1><p>{escaped(text)}</p>")
