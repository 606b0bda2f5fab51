"""What is left out of a cell's outputs, and what is told of it."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_exec import Limits
from kernel_exec.wire.messages import BadMessage, Message
from kernel_exec.wire.outputs import ALLOWANCE, ITEM_COST, Outputs
from kernel_exec.wire.terminal import byte_length
from tests.wire.talk import display, message, stream

LIMIT = 10_000
GAP = re.compile(r"\n\[\.\.\. ([\d,]+) bytes of (stdout|stderr) left out; all of it is in (\S+) \.\.\.\]\n")


class Kept:
    """A sink in memory."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.taken_over: set[str] = set()
        self.kernels: list[str] = []

    def write(self, name: str, text: str) -> None:
        self.texts[name] = self.texts.get(name, "") + text

    def take_over(self, name: str) -> None:
        self.taken_over.add(name)

    def is_taken_over(self, name: str) -> bool:
        return name in self.taken_over

    def keep_part(self, mime: str, name: str, text: str | None) -> str:
        if text is None:
            self.kernels.append(name)
            return self.place(name)
        ours = f"part-{len(self.texts) + 1}"
        self.texts[ours] = text
        return self.place(ours)

    def place(self, name: str) -> str:
        return f"file:{name}"


def made(*messages: Message, limit: int = LIMIT, images: int = LIMIT) -> tuple[Outputs, Kept]:
    kept = Kept()
    outputs = Outputs(Limits(output_bytes=limit, image_bytes=images), kept)
    for one in messages:
        outputs.add(one)
    return outputs, kept


def bundle(data: dict[str, Any], metadata: dict[str, Any]) -> Message:
    return Message("iopub", "display_data", "m", "r1", {"data": data, "metadata": metadata})


def total(outputs: Outputs) -> int:
    """Bytes of all text and data that are held."""
    return sum(
        byte_length(output["text"]) if output["output_type"] == "stream" else sum(map(len, output["data"].values()))
        for output in outputs.snapshot()
    )


def test_what_fits_is_not_cut() -> None:
    outputs, kept = made(*(stream(f"{number:>9}\n") for number in range(980)))
    assert outputs.stream("stdout") == "".join(f"{number:>9}\n" for number in range(980))
    assert not outputs.cuts
    assert not kept.texts


@pytest.mark.parametrize("size", [1, 7, 1000, 50_000, 1_000_000])
def test_head_and_tail_stay_and_the_whole_is_kept(size: int) -> None:
    whole = "".join(f"{number:>7}\n" for number in range(150_000))
    whole = whole[: 1_000_000 if size > 100 else 50_000]
    outputs, kept = made(*(stream(whole[start : start + size]) for start in range(0, len(whole), size)))
    text = outputs.stream("stdout")
    gap = GAP.search(text)
    assert gap
    assert kept.texts == {"stdout": whole}
    head, tail = text[: gap.start()], text[gap.end() :]
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert LIMIT // 2 - ITEM_COST <= len(head) <= LIMIT // 2
    assert LIMIT // 4 <= len(tail) <= LIMIT // 2 + ALLOWANCE
    assert int(gap[1].replace(",", "")) == outputs.cuts.text["stdout"] == len(whole) - len(head) - len(tail)
    assert gap[3] == "file:stdout"


pieces = st.tuples(
    st.sampled_from(["stdout", "stderr", "display"]), st.text("aé€\n\r", max_size=900), st.integers(1, 4)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces, max_size=40), st.integers(1000, 6000))
def test_whatever_comes_the_limit_holds_and_nothing_is_lost(said: list[tuple[str, str, int]], limit: int) -> None:
    outputs, kept = made(limit=limit)
    raw = {"stdout": "", "stderr": ""}
    for kind, text, times in said:
        if kind == "display":
            outputs.add(display(text * times))
        else:
            outputs.add(stream(text * times, kind))
            raw[kind] += text * times
    assert total(outputs) <= limit + ALLOWANCE + 600 * len(outputs.cuts.parts)
    for name, text in raw.items():
        if name in outputs.cuts.text:
            assert byte_length(kept.texts[name]) >= byte_length(text.replace("\r", "")) // 4
        elif "\r" not in text:
            assert outputs.stream(name) == text


def test_who_follows_sees_the_end_of_what_was_held_back() -> None:
    outputs, _ = made()
    seen = [outputs.add(stream(f"{number:>7}\n")) for number in range(10_000)]
    shown = "".join(output["text"] for output in seen if output)
    assert len(shown) < 2 * LIMIT
    (held,) = outputs.held_back()
    assert GAP.match(held["text"])
    assert held["text"].endswith("   9999\n")
    assert not outputs.held_back()


def test_progress_is_counted_as_it_is_shown() -> None:
    outputs, kept = made(*(stream(f"\r{number:>50}") for number in range(10_000)))
    assert outputs.stream("stdout") == f"{9999:>50}"
    assert not kept.texts


def test_a_display_that_does_not_fit_loses_its_largest_part() -> None:
    bundle = {"text/html": "<p>" * LIMIT, "text/plain": "a table", "application/json": {"a": 1}}
    outputs, kept = made(message("display_data", data=bundle), display("fits"))
    first, second = outputs.snapshot()
    assert first["data"] == {
        "application/json": {"a": 1},
        "text/plain": "[text/html of 30,000 bytes left out; it is in file:part-1]\na table",
    }
    assert kept.texts == {"part-1": "<p>" * LIMIT}
    assert outputs.cuts.parts == ["text/html of 30,000 bytes"]
    assert second["data"] == {"text/plain": "fits"}


def test_pictures_have_a_limit_of_their_own() -> None:
    picture = message("display_data", data={"image/png": "x" * 4000, "text/plain": "<Figure>"})
    outputs, kept = made(picture, picture, picture, limit=1000, images=6000)  # 4000 characters are 3000 bytes
    assert ["image/png" in output["data"] for output in outputs.snapshot()] == [True, True, False]
    assert outputs.snapshot()[2]["data"]["text/plain"].endswith("]\n<Figure>")
    assert kept.texts == {"part-1": "x" * 4000}


def test_endless_displays_are_left_out_and_counted() -> None:
    outputs, _ = made(*(display("x") for _ in range(1000)))
    assert len(outputs.snapshot()) <= LIMIT // ITEM_COST + 1
    assert outputs.cuts.displays == 1000 - len(outputs.snapshot())


def test_updates_do_not_use_the_limit_up() -> None:
    outputs, _ = made(display("x", "d"))
    for number in range(1000):
        outputs.update("d", {"data": {"text/plain": f"{number:>500}"}, "metadata": {}})
    assert outputs.snapshot()[0]["data"]["text/plain"] == f"{999:>500}"
    assert not outputs.cuts


def test_clearing_makes_room() -> None:
    outputs, _ = made(*(stream("x" * 999) for _ in range(100)))
    assert outputs.cuts
    outputs.clear(wait=False)
    outputs.add(stream("y" * 5000))
    assert outputs.stream("stdout") == "y" * 5000
    assert not outputs.cuts


def test_a_display_makes_room_for_itself_behind_the_head() -> None:
    outputs, kept = made(stream("x" * 9_000), display("y" * 4_000))
    assert len(outputs.snapshot()[1]["data"]["text/plain"]) == 4_000
    assert total(outputs) <= LIMIT + ALLOWANCE
    assert kept.texts["stdout"] == "x" * 9_000


def test_a_long_error_is_shortened() -> None:
    error = message("error", ename="E", evalue="v" * 50_000, traceback=["t" * 50_000])
    outputs, _ = made(error)
    (output,) = outputs.snapshot()
    assert (output["ename"], output["traceback"]) == ("E", [])
    assert len(output["evalue"]) < LIMIT
    assert outputs.cuts.parts == ["the text of an error of 100,001 bytes"]


def test_what_the_kernel_has_left_out_is_told_at_its_place() -> None:
    outputs, kept = made(stream("head"))
    line = outputs.take_cut(message("kernel_exec_cut", name="stdout", left_out=5_000))
    assert line
    assert GAP.fullmatch(line["text"])
    outputs.add(stream("tail"))
    text = outputs.stream("stdout")
    assert text == "head\n[... 5,000 bytes of stdout left out; all of it is in file:stdout ...]\ntail"
    assert kept.taken_over == {"stdout"}
    assert not kept.texts
    outputs.take_cut(message("kernel_exec_cut", name="displays", left_out=3))
    assert outputs.cuts.displays == 3
    assert not outputs.held_back()


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"name": "stdout"},
        {"name": "../x", "left_out": 1},
        {"name": [], "left_out": 1},
        *({"name": "stdout", "left_out": number} for number in (-1, True, "1", None, 1.5, 2**54, 10**4299)),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(content: dict[str, Any]) -> None:
    outputs, _ = made()
    with pytest.raises(BadMessage):
        outputs.take_cut(message("kernel_exec_cut", **content))
    assert not outputs.cuts


@pytest.mark.parametrize(
    "told",
    [
        3,
        [3],
        [{}],
        [{"name": "../../etc", "mime": "text/html", "size": 1}],
        [{"name": "display-1", "mime": 3, "size": 1}],
    ],
)
def test_what_a_kernel_tells_of_parts_is_not_believed(told: Any) -> None:
    outputs, kept = made(bundle({"text/plain": "x"}, {"kernel_exec": {"cut": told}}))
    assert outputs.snapshot() == [{"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}]
    assert not kept.kernels


def test_parts_that_the_kernel_has() -> None:
    cut = {"cut": [{"name": "display-1", "mime": "text/html", "size": 77}]}
    outputs, kept = made(bundle({}, {"kernel_exec": cut, "a": 1}))
    (output,) = outputs.snapshot()
    assert output["data"] == {"text/plain": "[text/html of 77 bytes left out; it is in file:display-1]"}
    assert output["metadata"] == {"a": 1}
    assert kept.kernels == ["display-1"]


def test_metadata_counts() -> None:
    outputs, _ = made(bundle({"text/plain": "x"}, {"a": "y" * 2 * LIMIT}))
    assert outputs.snapshot()[0]["metadata"] == {}


def test_streams_that_take_turns_do_not_grow() -> None:
    outputs, kept = made(*(stream(f"{number}\n", ("stdout", "stderr")[number % 2]) for number in range(5_000)))
    assert outputs.size < 2 * LIMIT
    assert len(outputs.snapshot()) <= 12
    for name, first in (("stdout", 0), ("stderr", 1)):
        whole = "".join(f"{number}\n" for number in range(first, 5_000, 2))
        assert kept.texts[name] == whole
        assert outputs.stream(name).startswith(whole[:20])
        assert outputs.stream(name).endswith(whole[-20:])


def test_cuts_of_streams_that_take_turns_do_not_grow() -> None:
    outputs, _ = made()
    for number in range(1_000):
        outputs.take_cut(message("kernel_exec_cut", name=("stdout", "stderr")[number % 2], left_out=1))
    assert outputs.size < 2 * LIMIT
    assert outputs.cuts.text == {"stdout": 500, "stderr": 500}


@pytest.mark.parametrize(
    "error",
    [
        {"ename": "E" * 10 * LIMIT, "evalue": "", "traceback": []},
        {"ename": "E", "evalue": "", "traceback": [""] * 10 * LIMIT},
        {"ename": "E" * 4_000, "evalue": "v" * 4_000, "traceback": ["line"]},
    ],
)
def test_all_of_an_error_counts(error: dict[str, Any]) -> None:
    outputs, _ = made(message("error", **error))
    (output,) = outputs.snapshot()
    assert len(output["ename"]) + len(output["evalue"]) < LIMIT
    assert output["traceback"] == []
    assert len(outputs.cuts.parts) == 1


def test_metadata_that_fits_takes_room() -> None:
    outputs, _ = made(*(bundle({"text/plain": "x"}, {"a": "y" * 1_000}) for _ in range(200)))
    assert sum(len(str(output)) for output in outputs.snapshot()) < 2 * LIMIT
    assert outputs.cuts.displays


def test_an_update_is_measured_once_for_all_its_places() -> None:
    class Measured(list[int]):
        times = 0

        def __repr__(self) -> str:
            Measured.times += 1
            return "[" + "1, " * LIMIT + "]"

    outputs, _ = made(*(display("x", "d") for _ in range(50)))
    outputs.update("d", {"data": {"application/json": Measured()}, "metadata": {}})
    assert Measured.times == 1
