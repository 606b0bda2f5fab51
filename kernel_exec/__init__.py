"""kernel_exec: a stateful code executor on live Jupyter kernels.

from kernel_exec import Executor

with Executor(workdir="work") as ex:
    result = ex.execute("1 + 1")
"""

from kernel_exec.errors import (
    ExecutionFailed,
    ExecutionInterrupted,
    ExecutionTimeout,
    ExecutorClosed,
    InvalidArgument,
    KernelDiedError,
    KernelExecError,
    KernelStartError,
    RecordingError,
    ResultNotReady,
    UnknownKernel,
    WrongType,
)
from kernel_exec.execution import Execution
from kernel_exec.executor import AsyncExecutor
from kernel_exec.kernels.host import HostKernel
from kernel_exec.results import ErrorInfo, ExecutionResult, Image
from kernel_exec.sync import Executor

__all__ = [
    "AsyncExecutor",
    "ErrorInfo",
    "Execution",
    "ExecutionFailed",
    "ExecutionInterrupted",
    "ExecutionResult",
    "ExecutionTimeout",
    "Executor",
    "ExecutorClosed",
    "HostKernel",
    "Image",
    "InvalidArgument",
    "KernelDiedError",
    "KernelExecError",
    "KernelStartError",
    "RecordingError",
    "ResultNotReady",
    "UnknownKernel",
    "WrongType",
]
