"""Settings of kernels go to other processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from kernel_exec import DockerKernel, HostKernel


@pytest.mark.parametrize(
    "kernel", [HostKernel(env={"A": "b"}), DockerKernel(env={"A": "b"}, mounts={"/tmp": "/data"}, network=["a.org"])]
)
def test_settings_are_pickled_and_copied(kernel: HostKernel | DockerKernel) -> None:
    for made in (pickle.loads(pickle.dumps(kernel)), copy.deepcopy(kernel)):
        assert made == kernel
        with pytest.raises(TypeError):
            made.env["A"] = "c"
