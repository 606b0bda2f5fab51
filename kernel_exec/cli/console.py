"""`kernel-exec console`: a prompt to a live kernel."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from queue import SimpleQueue
from types import FrameType
from typing import Literal

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import StyleAndTextTuples

from kernel_exec.cli import values as status
from kernel_exec.cli.arguments import ConsoleArguments
from kernel_exec.cli.bars import Bars
from kernel_exec.cli.display import Display
from kernel_exec.cli.kernels import chosen
from kernel_exec.cli.lines import Lines
from kernel_exec.cli.notebook_arguments import ResumeArguments
from kernel_exec.cli.prompt import Question, history_path, make_prompt, open_history, question, wants_to_leave
from kernel_exec.cli.render import dim
from kernel_exec.cli.streams import Out, OutputLost
from kernel_exec.cli.tame import tamed
from kernel_exec.errors import InvalidArgument, KernelExecError, NotebookError
from kernel_exec.kernels.host import HostKernel
from kernel_exec.kernels.kinds import language_of
from kernel_exec.results import ExecutionResult
from kernel_exec.sync import Executor, Stream

Press = Literal["stop", "over"]


def console(arguments: ConsoleArguments) -> int:
    """Talk to a person until that leaves; return the exit status."""
    kernel = HostKernel(kernel_name=arguments.kernel) if arguments.kernel else HostKernel()

    def make() -> Executor:
        return Executor(kernel, workdir=arguments.workdir, notebook=arguments.notebook, timeout=arguments.timeout)

    return _talk(make, kernel.kernel_name, lambda: language_of(kernel))


def resume(arguments: ResumeArguments) -> int:
    """Rebuild the state of a session, and talk to a person until that leaves; return the exit status."""

    def make() -> Executor:
        with Bars() as bars:
            executor = Executor.resume(
                arguments.notebook,
                kernel=chosen(arguments.kernel),
                workdir=arguments.workdir,
                timeout=arguments.timeout,
                needed_for=arguments.needed_for or None,
                on_progress=bars.follow(arguments.notebook.name),
            )
        print(dim(f"resumed: {executor.resumed}"), end="", flush=True)
        return executor

    return _talk(make, arguments.notebook.name, lambda: "python")


def _talk(make: Callable[[], Executor], kernel: str, language: Callable[[], str]) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse("this is no terminal; `kernel-exec run -` runs what comes on standard input", status.USAGE)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        speaks = language()
        with make() as executor:
            Console(executor, kernel, speaks).talk()
        print(dim(f"recorded in {executor.notebook_path}"), end="", flush=True)
    except (InvalidArgument, NotebookError) as error:
        return _refuse(str(error), status.USAGE)
    except KernelExecError as error:
        return _refuse(str(error), status.CANNOT)
    return status.OK


def _refuse(message: str, code: int) -> int:
    print(f"kernel-exec: {tamed(message)}", file=sys.stderr)
    return code


def _terminated(number: int, frame: FrameType | None) -> None:
    """Leave in order; no KeyboardInterrupt, which means the cell and not the session."""
    raise SystemExit(status.INTERRUPTED)


class Console:
    """One conversation.

    Args:
        executor: runs what is typed.
        kernel: name of the kernelspec.
        language: of the kernel.
    """

    def __init__(self, executor: Executor, kernel: str, language: str) -> None:
        self._executor = executor
        self._helper = executor
        self._kernel = kernel
        self._out = Out(sys.stdout)
        self._count = 1
        history, trouble = open_history(history_path())
        self._prompt: PromptSession[str] = make_prompt(self._helper, language=language, history=history)
        self._trouble = trouble

    def talk(self) -> None:
        """Read cells and run them, until the person leaves."""
        self._greet()
        while (code := self._read()) is not None:
            if asked := question(code):
                self._explain(asked)
            elif code.strip():
                self._run(code)

    def _greet(self) -> None:
        self._out.write(
            dim(f"kernel-exec {version('kernel-exec')}, {self._kernel}, recorded in {self._executor.notebook_path}")
        )
        if self._trouble:
            self._out.write(dim(f"history is kept in memory only: {self._trouble}"))

    def _read(self) -> str | None:
        """Return the next cell; None for the wish to leave."""
        message: StyleAndTextTuples = [("ansigreen", f"In [{self._count}]: ")]
        while True:
            try:
                code = self._prompt.prompt(message)
            except KeyboardInterrupt:  # the line is cleared by being left
                continue
            except EOFError:
                return None
            return None if wants_to_leave(code) else code

    def _explain(self, asked: Question) -> None:
        try:
            found = self._helper.inspect(asked.name, len(asked.name), asked.detail)
        except (KernelExecError, KeyboardInterrupt) as error:
            self._out.write(dim(str(error) or "interrupted"))
            return
        self._out.write(tamed(found.text).rstrip() + "\n" if found.found else dim(f"nothing is known of {asked.name}"))

    def _run(self, code: str) -> None:
        display = Display(self._out, Out(sys.stderr), width=shutil.get_terminal_size().columns)
        lines = Lines()
        try:
            with (
                self._executor.stream(code, on_input=lines.read) as stream,
                _interrupts(self._executor, stream, display),
            ):
                for item in stream:
                    if isinstance(item, ExecutionResult):
                        self._ended(display, item)
                    else:
                        display.shows(item)
        except KernelExecError as error:  # no fresh kernel, or no room for the recording: the next cell tries again
            display.fails(error)
        except KeyboardInterrupt:  # pressed before the cell had begun
            display.tells("interrupted")
        finally:
            lines.close()

    def _ended(self, display: Display, result: ExecutionResult) -> None:
        display.ends(result)
        if not result.state_preserved:
            self._count = 1
        elif result.execution_count is not None:
            self._count = result.execution_count + 1


@contextlib.contextmanager
def _interrupts(executor: Executor, stream: Stream, display: Display) -> Iterator[None]:
    """While a cell runs, Ctrl-C is the stop button of a notebook; the next ones insist.

    A KeyboardInterrupt would end the stream, and with it what the cell still has to say.
    """
    presses: SimpleQueue[Press] = SimpleQueue()
    steps = (
        (executor.interrupt, "interrupting; Ctrl-C again if that is not enough"),
        (stream.cancel, "the kernel will be killed if the cell does not end; Ctrl-C again kills it at once"),
        (partial(stream.cancel, kill=True), "killing the kernel"),
    )

    def obey() -> None:
        # Closed meanwhile, there is nothing to stop any more; a terminal that is gone is met by the outputs too.
        with contextlib.suppress(KernelExecError, OutputLost):
            for step, text in steps:
                if presses.get() == "over":
                    return
                display.tells(text)
                step()

    before = signal.signal(signal.SIGINT, lambda *_: presses.put("stop"))
    thread = threading.Thread(target=obey, name="kernel-exec-interrupts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        presses.put("over")
        thread.join()
