"""ipykernel's application, kernel and shell, with what makes a kernel easier to own.

Only what is public in ipykernel 6.29 and 7 is overridden; `application` fails where something is missing, and the
stock kernel starts instead.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Any

# debugpy takes a third of the start and is of use to an IDE only. It is hidden from ipykernel alone: user code may
# import it.
sys.modules.setdefault("debugpy", None)  # type: ignore[arg-type]
import ipykernel.debugger  # noqa: E402, F401 - decides whether there is a debugger

if sys.modules["debugpy"] is None:
    del sys.modules["debugpy"]
from ipykernel.ipkernel import IPythonKernel  # noqa: E402
from ipykernel.kernelapp import IPKernelApp as _IPKernelApp  # noqa: E402
from ipykernel.zmqshell import ZMQInteractiveShell as _Shell  # noqa: E402
from traitlets import DottedObjectName, Type  # noqa: E402

from .budget import CUT_TYPE, DisplayBudget, Sizes, cut_reply, sizes_from  # noqa: E402
from .describe import describing  # noqa: E402
from .environment import environment  # noqa: E402
from .fixed import OFFLINE_VARIABLE, SEED_VARIABLE, seed, stay_offline  # noqa: E402
from .guards import Guards, keep_context_in_threads  # noqa: E402
from .import_guard import POLICY_VARIABLE, guard  # noqa: E402
from .imports import await_imports  # noqa: E402
from .inspector import Inspector  # noqa: E402
from .interrupts import Interrupts  # noqa: E402
from .local_variables import LOCALS_VARIABLE, local_variables  # noqa: E402
from .logs import LOG_LEVEL_VARIABLE, show_logging  # noqa: E402
from .naming import Compiler  # noqa: E402
from .outstream import OutStream, quiet  # noqa: E402
from .reserve import Reserve  # noqa: E402
from .spool import Spool  # noqa: E402
from .text import sendable_packer  # noqa: E402

DIRECTORY_VARIABLE = "KERNEL_EXEC_DIRECTORY"
_NEEDED = frozenset({"_ih", "_oh", "_dh", "In", "Out", "get_ipython"})
"""Names of the user's namespace that IPython itself looks up."""


class ZMQInteractiveShell(_Shell):
    """The shell. Named as ipykernel's: libraries look at the name to see where they run."""

    def init_instance_attrs(self) -> None:
        """Make what each shell has of its own."""
        super().init_instance_attrs()
        self.compile = Compiler()

    def init_display_formatter(self) -> None:
        """Make the formatter of displays and results."""
        super().init_display_formatter()
        if Kernel.sizes is not None:  # a front end shows the thing itself
            formatter: Any = self.display_formatter
            formatter.format = describing(formatter.format)

    async def run_code(self, *args: Any, **kwargs: Any) -> Any:
        """Run user code, and put right at once what nothing can run without."""
        try:
            with self.kernel.interrupts.code():
                return await super().run_code(*args, **kwargs)
        finally:
            self.kernel.guards.after_code()
            for name in _NEEDED.intersection(self.user_ns_hidden).difference(self.user_ns):
                self.user_ns[name] = self.user_ns_hidden[name]

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Show the error of a cell; in a forked child, end it with its error."""
        if isinstance(sys.exc_info()[1], MemoryError):
            self.kernel.reserve.give()
        if self.kernel.guards.is_child():
            error = sys.exc_info()[1]
            status = error.code if isinstance(error, SystemExit) else 1
            if not isinstance(error, SystemExit):
                traceback.print_exc()
            self.kernel.guards.end_child(status if isinstance(status, int) else int(status is not None))
        self.kernel.interrupts.hide(sys.exc_info()[2])
        with self.kernel.interrupts.telling(sys.exc_info()[1]):
            super().showtraceback(*args, **kwargs)

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        if os.environ.get(LOCALS_VARIABLE):
            stb = [*stb, *local_variables(evalue.__traceback__, self.compile)]
        super()._showtraceback(etype, evalue, stb)


class Kernel(IPythonKernel):
    """The kernel."""

    shell_class = Type(ZMQInteractiveShell)
    # ipykernel sleeps to let output overtake the reply; here the order of messages is right without.
    _execute_sleep = 0.0
    spool: Spool
    sizes: Sizes | None = None
    displays: DisplayBudget | None = None
    _environment: dict[str, Any] | None = None

    def __init__(self, **kwargs: Any) -> None:
        self.guards = Guards()
        self.interrupts = Interrupts()
        self.interrupts.insist()
        self.inspector = Inspector(self)
        self.reserve = Reserve()
        super().__init__(**kwargs)
        if level := os.environ.get(LOG_LEVEL_VARIABLE):
            show_logging(level)
        if policy := os.environ.pop(POLICY_VARIABLE, ""):
            guard(self.shell, policy)

    @property
    def kernel_info(self) -> dict[str, Any]:
        """What the kernel tells of itself."""
        if self._environment is None:
            self._environment = environment()
        return {**super().kernel_info, "kernel_exec": self._environment}

    def pre_handler_hook(self) -> None:
        """Prepare to serve a request."""
        self.interrupts.hear()

    def post_handler_hook(self) -> None:
        """Have served a request."""
        self.interrupts.hear()

    def set_parent(self, ident: Any, parent: dict[str, Any], channel: str = "shell") -> None:
        """Begin to serve a request."""
        if channel == "shell":
            if parent["header"]["msg_type"] == "execute_request":
                self.guards.before_cell()
                if self.displays is not None:
                    self.displays.begin()
                self.spool.begin(parent["header"]["msg_id"])
                self.interrupts.expect()
                self.reserve.take()
                self.shell.compile.expect(parent)  # type: ignore[union-attr]
            self.guards.set_parent(parent)
        super().set_parent(ident, parent, channel)

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run a cell."""
        count = self.execution_count
        try:
            with self.interrupts.request():
                return self._within_limits(await super().do_execute(*args, **kwargs))
        except KeyboardInterrupt as error:
            return self._interrupted(error, count)
        finally:
            self.guards.after_cell()

    def _within_limits(self, reply: dict[str, Any]) -> dict[str, Any]:
        """Return the reply of a cell, and tell how many of its displays were left out."""
        if self.displays is not None and (left_out := self.displays.left_out()):
            self.send_response(self.iopub_socket, CUT_TYPE, {"name": "displays", "left_out": left_out})
        return cut_reply(reply, self.sizes) if self.sizes else reply

    async def process_control(self, msg: Any) -> None:
        """Serve a request of the control channel."""
        if self.inspector.is_question(msg):
            self.inspector.take(msg)
        else:
            await super().process_control(msg)

    def raw_input(self, prompt: str = "") -> str:
        """Ask the user for a line; nobody who answers a question beside the cells may."""
        if quiet.get():
            raise EOFError
        return str(super().raw_input(prompt))

    def getpass(self, *args: Any, **kwargs: Any) -> str:
        """Ask the user for a password; the same holds."""
        if quiet.get():
            raise EOFError
        return str(super().getpass(*args, **kwargs))

    def _interrupted(self, error: KeyboardInterrupt, count: int) -> dict[str, Any]:
        """The reply for an interrupt that met IPython itself, before or after the code."""
        self.shell.execution_count = count + 1  # type: ignore[union-attr]
        content = {"ename": "KeyboardInterrupt", "evalue": str(error), "traceback": ["KeyboardInterrupt"]}
        self.send_response(self.iopub_socket, "error", content)
        return {"status": "error", **content, "execution_count": count, "user_expressions": {}, "payload": []}


class IPKernelApp(_IPKernelApp):
    """The application."""

    kernel_class = Type(Kernel, klass="ipykernel.kernelbase.Kernel").tag(config=True)  # type: ignore[assignment]
    outstream_class = DottedObjectName(f"{OutStream.__module__}.{OutStream.__qualname__}").tag(config=True)
    spool: Spool

    def init_iopub(self, context: Any) -> None:
        """Open the iopub channel, whose messages are also kept in the spool."""
        if self.session.packer in ("json", "orjson"):
            self.session.pack = sendable_packer(self.session.pack)
        # At the high-water mark messages are dropped, `idle` among them.
        context.sndhwm = 0
        super().init_iopub(context)
        del context.sndhwm
        thread, spool = self.iopub_thread, self.spool
        send = thread.send_multipart

        displays, sign = Kernel.displays, self.session.sign

        def send_multipart(frames: Any, *args: Any, **kwargs: Any) -> None:
            if quiet.get():
                return
            parts = [bytes(frame) for frame in frames]
            fitting = parts if displays is None else displays.fit(parts, sign)
            if fitting is not None:
                spool.append(fitting, next(spool.numbers))
                send(frames if fitting is parts else fitting, *args, **kwargs)

        thread.send_multipart = send_multipart

    def init_signal(self) -> None:
        """Ignore SIGINT between cells; end at SIGTERM, in order between cells and at once during one."""
        super().init_signal()
        signal.signal(signal.SIGTERM, self._terminate)
        forking = threading.local()

        def hold() -> None:
            forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

        def let_go() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, forking.mask)

        def begin_child() -> None:
            self._forget_signals()
            let_go()

        # Python forgets what reaches a child before its own handlers are in place: a pool would wait for it for ever.
        os.register_at_fork(before=hold, after_in_parent=let_go, after_in_child=begin_child)

    def start(self) -> None:
        """Serve until the kernel is asked to end; user code that stops the loop does not ask for that."""
        # What is there now stays: the collector need not look at it again, and an end is several times as quick.
        gc.freeze()
        super().start()
        while not self.kernel.shell.exit_now:
            try:
                self.io_loop.start()
            except KeyboardInterrupt:
                continue

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if self.kernel.interrupts.busy:
            # An answer to the cell, which would follow from an exception, would say that the kernel lives.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.kernel.shell.exit_now = True
        self.io_loop.add_callback_from_signal(self.io_loop.stop)

    def _forget_signals(self) -> None:
        """In a forked child: its signals are its own."""
        self.kernel.interrupts.forget()
        if signal.getsignal(signal.SIGTERM) == self._terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def application() -> type[IPKernelApp]:
    """Set everything up; return the application to launch.

    Raises:
        ImportError, AttributeError, TypeError, OSError: this ipykernel, or the runtime directory, does not do.
    """
    directory = os.environ.get(DIRECTORY_VARIABLE, "")
    if not directory:
        raise OSError(f"{DIRECTORY_VARIABLE} is not set")
    OutStream.spool = Kernel.spool = IPKernelApp.spool = Spool(directory)
    OutStream.directory = directory
    OutStream.sizes = Kernel.sizes = sizes_from(os.environ)
    Kernel.displays = DisplayBudget(directory, Kernel.sizes) if Kernel.sizes else None
    keep_context_in_threads()
    await_imports(seed(int(os.environ[SEED_VARIABLE])) if SEED_VARIABLE in os.environ else {})
    if OFFLINE_VARIABLE in os.environ:
        stay_offline()
    return IPKernelApp
