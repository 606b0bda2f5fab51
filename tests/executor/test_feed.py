"""Outputs on their way to a consumer that is slower than the kernel."""

from __future__ import annotations

from typing import Any

from kernel_exec.execution import MANY_ITEMS, Feed


def text(content: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": content}


def display(value: str, display_id: str = "") -> dict[str, Any]:
    transient = {"transient": {"display_id": display_id}} if display_id else {}
    return {"output_type": "display_data", "data": {"text/plain": value}, "metadata": {}, **transient}


def update(value: str, display_id: str) -> dict[str, Any]:
    return {**display(value, display_id), "output_type": "update_display_data"}


def clear(*, wait: bool) -> dict[str, Any]:
    return {"output_type": "clear_output", "wait": wait}


async def taken(*items: dict[str, Any]) -> list[str]:
    """Put everything in before anything is taken; return what comes out, in short."""
    feed = Feed()
    for item in items:
        feed.put(item)
    feed.close()
    out = []
    while (item := await feed.get()) is not None:
        out.append(str(item.get("text") or item.get("data", {}).get("text/plain") or item["output_type"]))
    return out


async def test_pieces_of_one_stream_are_joined() -> None:
    assert await taken(text("a"), text("b"), text("c", "stderr"), text("d"), display("e"), text("f")) == [
        *("ab", "c", "d", "e", "f")
    ]


async def test_an_update_replaces_the_update_before_it() -> None:
    assert await taken(display("1", "x"), update("2", "x"), text("t"), update("3", "x")) == ["1", "3", "t"]


async def test_an_update_never_overtakes_a_display_or_a_clearing() -> None:
    assert await taken(update("1", "x"), display("2", "x"), update("3", "x")) == ["1", "2", "3"]
    assert await taken(update("1", "x"), clear(wait=False), update("2", "x")) == ["1", "clear_output", "2"]


async def test_few_outputs_are_all_told_even_those_that_were_cleared() -> None:
    assert await taken(text("a"), clear(wait=False), text("b")) == ["a", "clear_output", "b"]


async def test_frames_that_nobody_took_in_time_are_left_out() -> None:
    frames = [item for number in range(10_000) for item in (clear(wait=True), display(f"frame {number}"))]
    out = await taken(*frames)
    assert len(out) <= MANY_ITEMS + 2
    assert out[-1] == "frame 9999"
    # The last clearing waits for an output that never came: what it would clear is still to be seen.
    assert (await taken(*frames, clear(wait=True)))[-2:] == ["frame 9999", "clear_output"]
    assert (await taken(*frames, *[display("more")] * MANY_ITEMS, clear(wait=False)))[0] == "clear_output"
