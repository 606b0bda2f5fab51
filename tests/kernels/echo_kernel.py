"""A kernel that is no IPython: it prints what it is given; `sleep` waits, `die` ends it, `child` starts a process."""

import os
import signal
import subprocess
import sys
import time
from typing import Any, ClassVar

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel


class EchoKernel(Kernel):
    implementation = "echo"
    implementation_version = "1"
    banner = "echo"
    language_info: ClassVar = {"name": "echo", "mimetype": "text/plain", "file_extension": ".echo"}

    def do_execute(self, code: str, silent: bool, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": code})
        count = {"execution_count": self.execution_count}
        try:
            if code == "sleep":
                time.sleep(600)
            elif code == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            elif code == "child":
                pid = subprocess.Popen(["sleep", "600"], start_new_session=True).pid
                self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": f" {pid}"})
            elif code == "descriptor":
                os.write(1, b"lost in most clients\n" * 10_000)
        except KeyboardInterrupt:
            return {"status": "error", "ename": "Stopped", "evalue": "", "traceback": [], **count}
        return {"status": "ok", "payload": [], "user_expressions": {}, **count}


if __name__ == "__main__":
    IPKernelApp.launch_instance(kernel_class=EchoKernel, connection_file=sys.argv[-1], argv=["-f", sys.argv[-1]])
