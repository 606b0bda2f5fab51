"""The command line: arguments in, results out; all that is done in between is the executor's."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from kernel_exec.cli.arguments import INTERRUPTED, parse
from kernel_exec.cli.streams import OutputLost, lose_streams, mend_streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `kernel-exec`; return its exit status.

    Args:
        arguments: what follows the command's name; None for what this process was started with.
    """
    try:
        mend_streams()
        # Whoever ends this process politely gets what Ctrl-C gives: the cell interrupted, the recording finished.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        options = parse(arguments)
        from kernel_exec.cli.run import run  # takes a while, and --help does not need it

        return run(options)
    except OutputLost as error:
        return lose_streams(error)
    except KeyboardInterrupt:
        return INTERRUPTED
