"""Both ways of finding changes: by events and by looking at everything. They must give the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel_exec.artifacts import Artifacts, Collected

MIB = 2**20
Follow = Callable[..., Artifacts]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture(params=[True, False], ids=["events", "scan"])
def follow(request: pytest.FixtureRequest, work: Path) -> Iterator[Follow]:
    """Starts to follow the work directory."""
    made: list[Artifacts] = []

    def follow(**settings: Any) -> Artifacts:
        made.append(Artifacts(work, **{"limit": 64 * MIB, "events": request.param, **settings}))
        made[-1].start()
        assert made[-1]._tree.watching is request.param
        return made[-1]

    yield follow
    for artifacts in made:
        artifacts.close()
        artifacts.close()


def told(collected: Collected, work: Path) -> dict[str, str]:
    """Return path -> change."""
    return {artifact.path.relative_to(work).as_posix(): artifact.change for artifact in collected.artifacts}
