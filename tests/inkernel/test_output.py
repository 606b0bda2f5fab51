"""What the launched kernel does with output: every byte, in its cell, in its order, also when it dies."""

import asyncio
from pathlib import Path

import pytest

from kernel_exec import Limits
from tests.kernels.client import started, stream_text


async def test_descriptors_are_in_the_cell_that_wrote_to_them(tmp_path: Path) -> None:
    async with started(cwd=tmp_path) as client:
        for number in range(200):
            code = f"import os; os.system('echo sub {number}'); os.write(2, b'err {number}'); print('text {number}')"
            outcome = await client.run(code)
            assert outcome.text() == f"sub {number}\ntext {number}\n"
            assert outcome.text("stderr") == f"err {number}"


async def test_much_output_arrives_whole_and_in_small_messages(tmp_path: Path) -> None:
    async with started(cwd=tmp_path, limits=Limits(output_bytes=100_000_000)) as client:
        outcome = await client.run("import sys; n = sys.stdout.write('0123456789' * 3_000_000)")
        assert outcome.text() == "0123456789" * 3_000_000
        assert max(len(m.content["text"]) for m in outcome.messages if m.msg_type == "stream") <= 1 << 20
        outcome = await client.run("for i in range(20_000): print(i)")
        assert outcome.text() == "".join(f"{i}\n" for i in range(20_000))
        outcome = await client.run("import os; s = os.system('head -c 3000000 /dev/zero | tr \"\\\\0\" x')")
        assert outcome.text() == "x" * 3_000_000


async def test_streams_and_displays_keep_their_order(tmp_path: Path) -> None:
    """Also when the moment for sending text comes while displays wait to be sent, as in one of six of these cells."""
    code = "for i in range(50):\n    print(i)\n    display(i)"
    async with started(cwd=tmp_path) as client:
        for _ in range(30):
            outcome = await client.run(code)
            said = "".join(map(_said, outcome.messages))
            assert said == "".join(f"{i}\ndisplay {i}" for i in range(50))


async def test_undecodable_and_split_characters(tmp_path: Path) -> None:
    async with started(cwd=tmp_path) as client:
        code = "import os; n = [os.write(1, part) for part in (b'\\xc3', b'\\xa9 \\xff ', '€'.encode())]"
        assert (await client.run(code)).text() == "é \ufffd €"
        assert (await client.run("print('\\ud800')")).reply is not None
        assert (await client.run("print('after')")).text() == "after\n"


async def test_a_threads_late_output_stays_with_its_cell(tmp_path: Path) -> None:
    code = """
import threading
def work(go=threading.Event()):
    go.wait()
    print('late')
    display('shown')
    go.clear()
go = work.__defaults__[0]
threading.Thread(target=work).start()
"""
    async with started(cwd=tmp_path) as client:
        first = await client.run(code)
        second = await client.run("print('other'); go.set(); import time\nwhile go.is_set(): time.sleep(0.01)")
        await client.until(first, "late")
        await client.run("pass")
        assert second.text() == "other\n"
        assert any(m.msg_type == "display_data" for m in first.messages)


async def test_requests_without_output_do_not_take_over(tmp_path: Path) -> None:
    code = "import subprocess; p = subprocess.Popen('sleep 0.3; echo background', shell=True)"
    async with started(cwd=tmp_path) as client:
        first = await client.run(code)
        client.channels.send("shell", "kernel_info_request", {})
        client.channels.send("shell", "complete_request", {"code": "subproc", "cursor_pos": 7})
        await client.until(first, "background\n")


async def test_forked_children_write_to_the_cell(tmp_path: Path) -> None:
    code = """
import os, sys
from multiprocessing import get_context
if os.fork() == 0:
    print('from the child')
else:
    _ = os.wait()
def work(i):
    print('worker', i)
with get_context('fork').Pool(2) as pool:
    _ = pool.map(work, range(4))
"""
    async with started(cwd=tmp_path) as client:
        lines = (await client.run(code)).text().splitlines()
        assert sorted(lines) == ["from the child", *(f"worker {i}" for i in range(4))]
        assert (await client.run("print('still here')")).text() == "still here\n"


ENDS = {
    "exit": "import os; os._exit(3)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "crash": "import ctypes; ctypes.string_at(0)",
}


@pytest.mark.parametrize("end", ENDS)
async def test_nothing_is_lost_when_the_kernel_dies(tmp_path: Path, end: str) -> None:
    code = (
        "import os, sys\nprint('sent', flush=True)\ndisplay('shown')\nprint('on err', file=sys.stderr)\n"
        f"os.system('echo child')\nprint('kept')\nos.write(1, b'descriptor')\n{ENDS[end]}"
    )
    for _ in range(5):
        async with started(cwd=tmp_path) as client:
            await client.run("print('earlier')")
            outcome = client.send(code)
            await asyncio.wait_for(client.kernel.died, 30)
            unseen = client.unseen()
            assert {m.parent_id for m in unseen} <= {outcome.msg_id}
            everything = outcome.messages + unseen
            text = stream_text(everything)
            for part in ("sent\n", "child\n", "kept\n", "descriptor"):
                assert text.count(part) == 1, (part, text)
            assert text.index("sent") < text.index("kept")
            assert stream_text(everything, "stderr").startswith("on err\n")
            assert sum(m.msg_type == "display_data" for m in everything) == 1


async def test_much_unsent_text_survives_a_death(tmp_path: Path) -> None:
    async with started(cwd=tmp_path) as client:
        outcome = client.send("import os\nfor i in range(30_000): print(i)\nos._exit(1)")
        await asyncio.wait_for(client.kernel.died, 30)
        text = stream_text(outcome.messages + client.unseen())
        assert text == "".join(f"{i}\n" for i in range(30_000))


def _said(message: object) -> str:
    kind, content = getattr(message, "msg_type"), getattr(message, "content")  # noqa: B009
    if kind == "stream":
        return str(content["text"])
    return f"display {content['data']['text/plain']}" if kind == "display_data" else ""
