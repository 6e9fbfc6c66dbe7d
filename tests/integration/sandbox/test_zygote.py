"""What a zygote makes of the words of a cell that is being made."""

from __future__ import annotations

import json
import os
import select
import socket
from contextlib import ExitStack

import pytest

from codex32_sandbox.zygote import Zygote, _Birth


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((b"\n",), {"made": 1}),
        ((b"\n\x01",), {"made": 1}),
        ((b"no room", b""), {"broken": 1, "why": "no room"}),
        ((b"no ", b"room", b""), {"broken": 1, "why": "no room"}),
        ((b"",), {"broken": 1, "why": ""}),
    ],
    ids=["ready", "ended", "no-room", "in-pieces", "died"],
)
def test_a_cell_is_made_when_it_says_so(
    words: tuple[bytes, ...], answer: dict[str, object]
) -> None:
    with ExitStack() as stack:
        house, line, channel, _ = (
            stack.enter_context(each) for _ in range(2) for each in socket.socketpair()
        )
        zygote = Zygote(line, "plain")
        reading, writing = os.pipe()
        zygote._births[reading] = _Birth(1, channel, 123)
        zygote._cells[123] = 1
        zygote._poll.register(reading, select.POLLIN)
        for word in words:
            assert reading in zygote._births, "it was judged too early"
            if word:
                os.write(writing, word)
            else:
                os.close(writing)
            zygote._attend(reading)
        told, descriptors, _, _ = socket.recv_fds(house, 1000, 2)
        for each in (*descriptors, *([writing] if words[-1] else [])):
            os.close(each)
    assert json.loads(told) == answer
    assert len(descriptors) == (2 if "made" in answer else 0)
