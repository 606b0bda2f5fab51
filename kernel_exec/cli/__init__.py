"""The command line: arguments in, results out; all that is done in between is the executor's."""

from __future__ import annotations

import signal
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `kernel-exec`; return its exit status.

    Args:
        arguments: what follows the command's name; None for what this process was started with.
    """
    from kernel_exec.cli.arguments import INTERRUPTED, parse

    options = parse(arguments)
    from kernel_exec.cli.run import end_quietly, run

    # Whoever ends this process politely gets what Ctrl-C gives: the cell interrupted, the recording finished.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(options)
    except BrokenPipeError:
        return end_quietly()
    except KeyboardInterrupt:
        return INTERRUPTED
