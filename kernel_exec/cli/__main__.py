"""`python -m kernel_exec.cli`: the command, where its name is not on the path."""

import sys

from kernel_exec.cli import main

sys.exit(main())
