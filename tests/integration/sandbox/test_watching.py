"""How a keeper answers a program that would be one more."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from codex32_sandbox import watching


def test_the_end_of_a_child_does_not_keep_an_answer_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the kernel breaks off when its signal comes while others ask."""
    interrupted, answers = set(), []

    def ioctl(_: int, request: int, argument: bytes | bytearray) -> None:
        if request not in interrupted:
            interrupted.add(request)
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
        if isinstance(argument, bytearray):
            argument[:] = watching._QUESTION.pack(7, 1, 0, b"")
        else:
            answers.append(watching._REPLY.unpack(argument))

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    line, theirs = socket.socketpair()
    with line, theirs:
        watch = watching.Watch(line, everyone=False)
        watch._listener = 0
        watch._judge(os.getpid())
    assert len(interrupted) == 2
    assert answers == [(7, 0, -errno.EAGAIN, 0)]
