"""Rows about sessions beside a notebook: `%%kx`."""

from __future__ import annotations

import time
from statistics import median

from tests.benchmarks import peers
from tests.benchmarks.row import ROUNDS, Row

THEIRS = "a cell of the notebook"
BY_HAND = "jupyter_client in a cell"

_BY_HAND = """
from tempfile import TemporaryDirectory

from jupyter_client import KernelManager

place = TemporaryDirectory()
manager = KernelManager(kernel_name="python3", transport="ipc", ip=place.name + "/k")
manager.start_kernel()
client = manager.blocking_client()
client.start_channels()
client.wait_for_ready(timeout=60)


def run(code):
    request = client.execute(code)
    while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != request:
        pass
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == request and message["msg_type"] == "status":
            if message["content"]["execution_state"] == "idle":
                return
"""


async def magics() -> list[Row]:
    """`x=1` in a session beside a notebook, by `%%kx`; in the notebook itself; in a second kernel by the least code.

    All in one notebook's kernel, by nbclient. The last one records nothing, shows nothing and cannot be interrupted: it
    is what a second kernel costs.
    """
    codes = {"%%kx": "%%kx\nx=1", THEIRS: "x=1", BY_HAND: "run('x=1')"}
    samples: dict[str, list[float]] = {name: [] for name in codes}
    async with peers.nbclient() as run:
        await run("%load_ext kernel_exec.magics")
        await run(_BY_HAND)
        for turn in range(ROUNDS * 10):
            names = list(codes)
            for name in names[turn % 3 :] + names[: turn % 3]:
                start = time.perf_counter()
                await run(codes[name])
                samples[name].append(1000 * (time.perf_counter() - start))
        await run("client.stop_channels(); manager.shutdown_kernel(now=True); place.cleanup()")
    medians = {name: median(values[10:]) for name, values in samples.items()}
    return [
        Row(
            measure=f"%%kx with x=1, against {rival}",
            unit="ms",
            medians={name: medians[name] for name in ("%%kx", rival)},
            rival=rival,
            target=target,
            rounds=ROUNDS * 10 - 10,
        )
        for rival, target in ((THEIRS, 1.5), (BY_HAND, None))
    ]
