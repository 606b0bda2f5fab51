"""The process between host and kernel: it starts the kernel, and leaves nothing of it behind.

It makes the private runtime directory, starts the kernel, adopts every process that the kernel's code leaves alone
(child subreaper), and ends them all when the kernel has ended, when the host asks for it, or when the host is gone.

Run as `python -I -S start.py supervisor HOST_PID PARENT_DIRECTORY...` with descriptor 0 the channel: one JSON object a
line.

    from the host: {"launch": {"argv", "env", "cwd", "drain", "memory", "soft", "cpus"}}, {"signal": number},
                   {"cleanup": path}, {"forget": true}, {"peak": null}, {"mark": null}, {"sample": number},
                   {"kill": true}, {"stop": seconds of grace}, {"release": null}
    to the host:   {"directory": path}, {"started": pid}, {"signalled": number},
                   {"memory": bytes held, "above": whether that is too much}, {"outgrown": true when it dies of that},
                   {"sample": number, "cpu": seconds since the mark, "held": bytes, "processes": how many,
                   "took": seconds of a processor for that},
                   {"exited": wait status, "rest": [stdout, stderr]}, {"error": text}, {"stopped": true}

Only the standard library, and little of it: every import here delays every kernel.
"""

from __future__ import annotations

from typing import Any

from .below import Below
from .lease import Lease
from .loop import tell


class Supervisor(Lease):
    """Holds the lease for one kernel after the other, in one runtime directory."""

    def __init__(self, host: int, parents: list[str]) -> None:
        super().__init__(host, parents)
        self._below = Below(self.directory, self.loop, tell)

    def turn(self) -> None:
        """Wait for what comes next, and see to it."""
        due = self._below.due
        if self.stop_at is not None and self._below.kernel:
            due = min(due, self.stop_at)
        self.loop.turn(None if due == float("inf") else due)
        self._below.look()

    def busy(self) -> bool:
        """Return whether there is a kernel."""
        return bool(self._below.kernel)

    def end(self) -> None:
        """Kill the kernel and all that it started."""
        self._below.kill()

    def after(self) -> None:
        """Nothing is left by now."""

    def child_ended(self) -> None:
        """The kernel, or one of its orphans, has ended."""
        self._below.reap()

    def dispatch(self, name: str, value: Any) -> None:
        """Carry out a command: it is for this process, or for what is below it."""
        (getattr(self, "do_" + name, None) or getattr(self._below, "do_" + name))(value)

    def do_stop(self, grace: float) -> None:
        """Give the kernel `grace` seconds to end."""
        super().do_stop(grace)
        if grace > 0:
            self._below.terminate()


def main(arguments: list[str]) -> None:
    """Run for the host whose process id comes first, with a directory in the first of the others that works."""
    Supervisor(int(arguments[0]), arguments[1:]).run()
