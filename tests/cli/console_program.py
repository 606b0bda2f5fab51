"""`kernel-exec console` as a file, for interpreters that are started in unusual ways."""

import sys

from kernel_exec.cli import main

sys.exit(main(["console", *sys.argv[1:]]))
