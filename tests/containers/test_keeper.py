"""The keeper by itself: what it mounts goes with it, whoever ends it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from kernel_exec.kernels.link import SupervisorLink


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
async def test_its_mounts_go_and_what_is_in_them_stays(tmp_path: Path, *, killed: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("the user's")
    link = SupervisorLink.spawn("keeper")
    directory = await link.ready()
    point = await link.mount(source, (12345, 23456))
    assert point is not None
    file = await link.mount(source / "file", (12345, 23456))
    assert file is not None
    assert (file.stat().st_uid, file.read_text()) == (12345, "the user's")
    state = (point / "file").stat()
    assert (state.st_uid, state.st_gid) == (12345, 23456)
    assert (source / "file").stat().st_uid == os.getuid()
    if killed:
        os.kill(link._supervisor, signal.SIGKILL)
    await link.stop(0)
    await link.release()
    assert str(point) not in Path("/proc/mounts").read_text()
    assert not point.parent.exists()
    assert not directory.exists()
    assert (source / "file").read_text() == "the user's"
