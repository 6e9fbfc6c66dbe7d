"""How threads and forks of a program take turns at its channel to the house."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from codex32_sandbox import house as houses
from codex32_sandbox.channel import read_frame


def refuse(*_: object) -> None:
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def test_a_turn_that_cannot_be_had_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        house = houses.House(ours)
        with monkeypatch.context() as patch:
            patch.setattr("fcntl.lockf", refuse)
            with pytest.raises(OSError, match="Bad file descriptor"):
                house.tell("log")
        assert not house._lock._threads.locked()
        house.tell("log", n=1)
        assert read_frame(theirs) is not None


def test_where_no_socket_can_be_locked_a_program_speaks_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So it is on macOS."""
    monkeypatch.setattr(houses, "_LINUX", False)
    monkeypatch.setattr("fcntl.lockf", refuse)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        house = houses.House(ours)
        for _ in range(2):
            house.tell("log", n=1)
            assert read_frame(theirs) is not None
