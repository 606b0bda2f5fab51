"""Many connections in one stream, by bytes alone."""

from __future__ import annotations

import random
import struct

import pytest

from kernel_exec.inkernel.mux import CHANNELS, CHUNK, CLOSE, CONTROL, DATA, HEADER, OPEN, WINDOW, Broken, Mux


def test_whatever_pieces_it_comes_in() -> None:
    chance = random.Random(1)
    ours, theirs = Mux(opens=True), Mux(opens=False)
    channel = ours.open(b"what")
    sent, received, lines = bytearray(), bytearray(), bytearray()
    for _ in range(2000):
        if ours.room(channel):
            data = chance.randbytes(min(chance.randrange(1, CHUNK), ours.room(channel)))
            ours.send(channel, data)
            sent += data
        ours.control(b"line\n")
        while ours.out:
            size = chance.randrange(1, 100_000)
            piece = bytes(ours.out[:size])
            del ours.out[:size]
            for frame in theirs.feed(piece):
                if frame.kind == DATA:
                    received += frame.data
                    theirs.passed(frame.channel, len(frame.data))
                elif frame.kind == CONTROL:
                    lines += frame.data
        assert not list(ours.feed(bytes(theirs.out)))  # credit is nobody's business
        theirs.out.clear()
    assert received == sent
    assert lines == b"line\n" * 2000


def test_nothing_more_is_sent_than_there_is_room_for() -> None:
    ours = Mux(opens=True)
    channel = ours.open(b"")
    for _ in range(WINDOW // CHUNK):
        ours.send(channel, bytes(CHUNK))
    assert ours.room(channel) == 0
    list(ours.feed(HEADER.pack(3, channel, 4) + struct.pack(">I", 1000)))
    assert ours.room(channel) == 1000


def test_a_closed_channel_is_forgotten_at_both_ends() -> None:
    ours, theirs = Mux(opens=True), Mux(opens=False)
    channel = ours.open(b"")
    assert [frame.kind for frame in theirs.feed(bytes(ours.out))] == [OPEN]
    theirs.send(channel, b"on its way")
    ours.close(channel)
    assert not list(ours.feed(bytes(theirs.out)))
    ours.out.clear()
    theirs.out.clear()
    theirs.close(channel, b"reason")
    assert not list(ours.feed(bytes(theirs.out)))
    assert ours.room(channel) == 0


@pytest.mark.parametrize(
    "sent",
    [
        HEADER.pack(DATA, 1, CHUNK + 1),
        HEADER.pack(OPEN, 9, 0),
        HEADER.pack(DATA, 9, 0),
        HEADER.pack(7, 1, 0),
        HEADER.pack(3, 1, 2) + b"ab",
        HEADER.pack(3, 1, 4) + b"\0\0\0\1",
        (HEADER.pack(DATA, 1, CHUNK) + bytes(CHUNK)) * (WINDOW // CHUNK + 1),
    ],
    ids=["too long", "opens", "no channel", "no kind", "no number", "too much credit", "more than there is room for"],
)
def test_what_an_end_may_not_send(sent: bytes) -> None:
    ours = Mux(opens=True)
    ours.open(b"")
    with pytest.raises(Broken):
        list(ours.feed(sent))


def test_no_more_channels_than_may_be() -> None:
    theirs = Mux(opens=False)
    with pytest.raises(Broken):
        list(theirs.feed(b"".join(HEADER.pack(OPEN, number, 0) for number in range(1, CHANNELS + 2))))


def test_anything_at_all_is_refused_or_taken() -> None:
    chance = random.Random(2)
    for _ in range(3000):
        ours = Mux(opens=True)
        ours.open(b"")
        kinds = [CONTROL, OPEN, DATA, 3, CLOSE, 9]
        sent = b"".join(
            HEADER.pack(chance.choice(kinds), chance.choice([0, 1, 2]), chance.choice([0, 4, 100, 2**31]))
            + chance.randbytes(chance.randrange(100))
            for _ in range(5)
        )
        try:
            list(ours.feed(sent))
        except Broken:
            continue
        assert len(ours._received) <= CHUNK + HEADER.size
