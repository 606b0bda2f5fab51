"""Values between host and kernel, as the host sees them: what it sends is checked, what comes is not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kernel_exec.errors import RequestFailed, ValueRefused
from kernel_exec.inkernel import codec
from kernel_exec.inkernel.libraries import Refused


@dataclass(frozen=True, slots=True)
class Packed:
    """A value as it travels.

    Attributes:
        meta: what kind it is, and what its buffers do not say of it.
        buffers: its data.
    """

    meta: dict[str, Any]
    buffers: Sequence[bytes | memoryview]


def packed(value: Any) -> Packed:
    """Return a value of the host's as it travels.

    Raises:
        ValueRefused: it would be another one when it arrives.
    """
    try:
        return Packed(*codec.encode(value))
    except Refused as refused:
        raise ValueRefused(f"the value cannot be put in as it is: {refused}") from None


def unpacked(value: Packed) -> Any:
    """Return the value that a kernel sent.

    Raises:
        ValueRefused: what it takes to read it is missing here.
        RequestFailed: the kernel sent what is no value.
    """
    try:
        return codec.decode(value.meta, value.buffers)
    except Refused as refused:
        raise ValueRefused(f"the value cannot be read here: {refused}") from None
    except Exception as error:  # whatever numpy, pandas and pyarrow say to what a kernel may have made up
        raise RequestFailed(
            f"the kernel's answer is no value ({type(error).__name__}: {error!s:.200}). Is it a kernel that you trust?"
        ) from error
