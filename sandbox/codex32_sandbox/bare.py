"""Python's library as a zygote has it before its first cell: the parts written in C, and no more.

``json``, ``signal`` and ``socket`` bring ``enum``, ``re`` and ``selectors`` along, half of what a
cold start took. Programs need them sooner or later, so the zygote imports them when nobody waits
for its first cells any more.
"""

from __future__ import annotations

import _json
import _socket
import os
import struct

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
    from typing import Any
else:
    import _signal as signal

__all__ = ["Socket", "dumps", "letter_pair", "loads", "pair", "receive", "send", "signal"]

Socket = _socket.socket


def pair() -> tuple[Socket, Socket]:
    """Two connected sockets."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    return ours, theirs


def letter_pair() -> tuple[Socket, Socket]:
    """Two connected sockets for letters, each of which arrives whole; an end is not told."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    return ours, theirs


def send(line: Socket, data: bytes, descriptors: Sequence[int]) -> None:
    """Send some bytes, so few that they fit, and descriptors along with them."""
    packed = struct.pack(f"{len(descriptors)}i", *descriptors)
    line.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])


def receive(line: Socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Up to ``size`` bytes, and up to ``most`` descriptors that come along."""
    data, control, _, _ = line.recvmsg(size, _socket.CMSG_SPACE(4 * most))
    descriptors: list[int] = []
    for level, kind, packed in control:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            descriptors += struct.unpack(f"{len(packed) // 4}i", packed)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return data, descriptors


class _Reading:
    """How ``json`` reads where nothing else is asked of it."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


_scan = _json.make_scanner(_Reading)  # type: ignore[arg-type]


def loads(data: bytes) -> Any:
    """The value of JSON that the house wrote: of nothing else, since what follows is not read."""
    return _scan(data.decode(), 0)[0]


def dumps(value: Any) -> bytes:
    """Compact JSON, all of it ASCII.

    Raises:
      TypeError: Something in ``value`` is no JSON.
      ValueError: A number is not finite, or a value holds itself.
    """
    encode = _json.make_encoder(
        {}, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False
    )
    return "".join(encode(value, 0)).encode()


def _refuse(value: object) -> None:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
