"""kernel_exec: a stateful code executor on live Jupyter kernels.

from kernel_exec import Executor

with Executor(workdir="work") as ex:
    result = ex.execute("1 + 1")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel_exec.compare import Difference, Rules
    from kernel_exec.errors import (
        EngineError,
        EngineUnavailable,
        ExecutionFailed,
        ExecutionInterrupted,
        ExecutionTimeout,
        ExecutorClosed,
        ImageBuildFailed,
        ImageError,
        ImageUnavailable,
        InvalidArgument,
        KernelBusy,
        KernelDiedError,
        KernelExecError,
        KernelStartError,
        NotebookError,
        PolicyDenied,
        RecordingError,
        RequestFailed,
        RequestTimeout,
        ResultNotReady,
        TransferError,
        UnknownKernel,
        UnknownVariable,
        Unsupported,
        ValueRefused,
        WrongType,
    )
    from kernel_exec.execution import Execution
    from kernel_exec.executor import AsyncExecutor
    from kernel_exec.kernels.docker import DockerKernel
    from kernel_exec.kernels.host import HostKernel
    from kernel_exec.kernels.modes import Mode
    from kernel_exec.metrics import Metrics, MetricsEvent, process_metrics
    from kernel_exec.player import Progress
    from kernel_exec.policy import Decision, Policy, Proposal
    from kernel_exec.replays.run import Replay, areplay, replay
    from kernel_exec.replays.verify import Verification, VerifiedCell, averify, verify
    from kernel_exec.results import (
        Artifact,
        Completions,
        ErrorInfo,
        ExecutionMetrics,
        ExecutionResult,
        Image,
        Inspection,
        ReplayedCell,
        Resumption,
        Sample,
        Variable,
    )
    from kernel_exec.retry import Retry
    from kernel_exec.scenarios import Scenario
    from kernel_exec.secrets import Secrets
    from kernel_exec.settings import Limits
    from kernel_exec.sync import Executor

__all__ = [
    "Artifact",
    "AsyncExecutor",
    "Completions",
    "Decision",
    "Difference",
    "DockerKernel",
    "EngineError",
    "EngineUnavailable",
    "ErrorInfo",
    "Execution",
    "ExecutionFailed",
    "ExecutionInterrupted",
    "ExecutionMetrics",
    "ExecutionResult",
    "ExecutionTimeout",
    "Executor",
    "ExecutorClosed",
    "HostKernel",
    "Image",
    "ImageBuildFailed",
    "ImageError",
    "ImageUnavailable",
    "Inspection",
    "InvalidArgument",
    "KernelBusy",
    "KernelDiedError",
    "KernelExecError",
    "KernelStartError",
    "Limits",
    "Metrics",
    "MetricsEvent",
    "Mode",
    "NotebookError",
    "Policy",
    "PolicyDenied",
    "Progress",
    "Proposal",
    "RecordingError",
    "Replay",
    "ReplayedCell",
    "RequestFailed",
    "RequestTimeout",
    "ResultNotReady",
    "Resumption",
    "Retry",
    "Rules",
    "Sample",
    "Scenario",
    "Secrets",
    "TransferError",
    "UnknownKernel",
    "UnknownVariable",
    "Unsupported",
    "ValueRefused",
    "Variable",
    "Verification",
    "VerifiedCell",
    "WrongType",
    "areplay",
    "averify",
    "process_metrics",
    "replay",
    "verify",
]

# Where the names live that are not in `errors`. They are loaded when they are first asked for: a program that only
# may need an executor, or only catches an error, does not wait for sockets and Jupyter.
_HOMES = {
    "Artifact": "results",
    "AsyncExecutor": "executor",
    "Completions": "results",
    "Decision": "policy",
    "Difference": "compare",
    "ErrorInfo": "results",
    "Execution": "execution",
    "ExecutionMetrics": "results",
    "ExecutionResult": "results",
    "Executor": "sync",
    "DockerKernel": "kernels.docker",
    "HostKernel": "kernels.host",
    "Image": "results",
    "Inspection": "results",
    "Limits": "settings",
    "Metrics": "metrics",
    "MetricsEvent": "metrics",
    "Mode": "kernels.modes",
    "Policy": "policy",
    "Progress": "player",
    "Proposal": "policy",
    "Replay": "replays.run",
    "ReplayedCell": "results",
    "Resumption": "results",
    "Retry": "retry",
    "Rules": "compare",
    "Sample": "results",
    "Scenario": "scenarios",
    "Secrets": "secrets",
    "Variable": "results",
    "Verification": "replays.verify",
    "VerifiedCell": "replays.verify",
    "areplay": "replays.run",
    "averify": "replays.verify",
    "process_metrics": "metrics",
    "replay": "replays.run",
    "verify": "replays.verify",
}


def __getattr__(name: str) -> object:
    """Load a public name (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
