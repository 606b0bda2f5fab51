"""The attacks are attacks: a client as one writes it in an afternoon loses the session, or its output, to each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.executor.test_deadlines import OBEDIENT, STUBBORN
from tests.executor.test_hostile import HARMLESS
from tests.executor.test_output_kept import DEATHS

# One of each kind: the whole of an attack is run on our own.
ATTACKS = {
    **{name: STUBBORN[name] for name in ("stuck in C", "swallows KeyboardInterrupt")},
    **{name: DEATHS[name][0] for name in ("SIGKILL",)},
    **{name: OBEDIENT[name] for name in ("computing between awaits",)},
    **{name: HARMLESS[name] for name in ("all builtins deleted",)},
}


@contextmanager
def naive_client() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager = KernelManager()
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str, timeout: float) -> tuple[str, str]:
    """Run a cell; return how it ended and its text."""
    text: list[str] = []
    try:
        reply = client.execute_interactive(
            code, timeout=timeout, output_hook=lambda message: text.append(message["content"].get("text", ""))
        )
    except (TimeoutError, RuntimeError) as error:  # no answer, or a kernel that is found dead
        return type(error).__name__, "".join(text)
    return reply["content"]["status"], "".join(text)


@pytest.mark.long
@pytest.mark.parametrize("code", ATTACKS.values(), ids=ATTACKS)
def test_a_naive_client_falls_for_it(code: str) -> None:
    with naive_client() as (manager, client):
        run(client, "kept = 1", 60)
        status, text = run(client, "print('flushed', flush=True)\nprint('unflushed')\n" + code, 1.5)
        if status == "TimeoutError":
            manager.interrupt_kernel()
        after, _ = run(client, "kept", 3)
        assert after != "ok" or "unflushed" not in text
