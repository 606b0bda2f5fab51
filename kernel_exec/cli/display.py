"""The outputs of one cell, on a terminal, as they come."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from kernel_exec.cli import pictures
from kernel_exec.cli.render import RED, dim, ending, error_text, readable
from kernel_exec.cli.streams import Out, OutputLost
from kernel_exec.cli.tame import RESET, Tamer, tamed
from kernel_exec.pictures import images_of
from kernel_exec.results import ExecutionResult, Output


class Display:
    """Shows one cell.

    Args:
        out: standard output, a terminal.
        err: standard error.
        width: columns of the terminal.
    """

    def __init__(self, out: Out, err: Out, *, width: int) -> None:
        self._out, self._err, self._width = out, err, width
        self._tamers = {"stdout": Tamer(), "stderr": Tamer()}
        self._newline = True
        self._errors: set[str] = set()

    def shows(self, output: Output) -> None:
        """Show an output."""
        kind = output["output_type"]
        if kind == "stream":
            self._stream(output["name"], output["text"])
        elif kind == "error":
            self._errors.add(output["ename"])
            self._lines(error_text(output["ename"], output["evalue"], output["traceback"]))
        elif kind != "clear_output":  # what is shown on a terminal stays
            self._bundle(output)

    def ends(self, result: ExecutionResult) -> None:
        """Say how it ended."""
        for tamer in self._tamers.values():
            self._write(self._out, tamer.end())
        shown = bool(result.error and result.error.name in self._errors)
        self._lines(ending(result, error_shown=shown))

    def fails(self, error: Exception) -> None:
        """Say why there is no result."""
        self._lines(f"{RED}{tamed(str(error))}{RESET}")

    def tells(self, text: str) -> None:
        """Say something that is not the cell's."""
        self._lines(dim(text))

    def _stream(self, name: str, text: str) -> None:
        tamer = self._tamers[name]
        text = tamer(text)
        if name == "stdout":
            self._write(self._out, text)
        elif self._err.is_terminal:
            self._write(self._err, text if tamer.coloured or "\x1b" in text else f"{RED}{text}{RESET}" if text else "")
        else:
            self._err.write(text)

    def _bundle(self, output: Output) -> None:
        data: Mapping[str, Any] = output["data"]
        label = f"{RED}Out[{output['execution_count']}]:{RESET} " if output.get("execution_count") else ""
        if any(self._picture(image.data, image.mime) for image in images_of([output])):
            return
        text = readable(data, width=self._width)
        if text:
            self._lines(label + ("\n" if label and "\n" in text else "") + text)

    def _picture(self, data: bytes, mime: str) -> bool:
        self._lines("")
        try:
            return pictures.show(data, mime, out=sys.stdout)
        except OSError as error:
            raise OutputLost from error

    def _lines(self, text: str) -> None:
        """Write whole lines, on lines of their own; "" only ends the line that is begun."""
        before = "" if self._newline else "\n"
        self._write(self._out, before + (text.rstrip("\n") + "\n" if text else ""))

    def _write(self, stream: Out, text: str) -> None:
        if text:
            self._newline = text.removesuffix(RESET).endswith("\n")
            stream.write(text)
