"""`kernel-exec console`, with a stand-in for what executors do not do yet: completing and inspecting."""

import sys

from kernel_exec.cli import main
from kernel_exec.results import Completions, Inspection
from kernel_exec.sync import Executor

if not hasattr(Executor, "complete"):

    def complete(self: Executor, code: str, cursor: int | None = None) -> Completions:
        cursor = len(code) if cursor is None else cursor
        start = code.rfind(" ", 0, cursor) + 1
        word = code[start:cursor]
        names = ("unmistakable_name", "several_one", "several_two")
        return Completions(tuple(name for name in names if word and name.startswith(word)), start, cursor)

    def inspect(self: Executor, code: str, cursor: int | None = None, detail: int = 0) -> Inspection:
        found = code.startswith("unmistakable")
        return Inspection(found, "Signature: unmistakable_name(x)\nDocstring: All about it." if found else "")

    Executor.complete, Executor.inspect = complete, inspect

sys.exit(main(["console", *sys.argv[1:]]))
