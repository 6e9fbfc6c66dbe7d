"""The line between a program and the house: frames of JSON, each after its kind and its length.

The house reads what comes with suspicion: a program can write here what it likes.
"""

from __future__ import annotations

from codex32_sandbox.bare import Socket, dumps, loads, receive, send

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from typing import Any

#: What a frame is, in its first byte.
ORDER, REFUSED, LISTENING, BEGUN = b"O", b"R", b"L", b"B"
ANSWER, TELL, ASK, REPLY = b"A", b"T", b"Q", b"Y"
#: What a keeper tells behind the exit code where it could remove the program's folder.
FOLDER_GONE = b"-"
#: What says or asks something has no need to be longer.
LONGEST_WORD_BYTES = 1024 * 1024
#: A kind and four bytes of length.
HEAD_BYTES = 5


class RefusedError(Exception):
    """What the bot allows cannot be given; the text is for its author."""


def head(kind: bytes, size: int) -> bytes:
    """What stands before a frame of ``size`` bytes."""
    return kind + size.to_bytes(HEAD_BYTES - 1, "big")


def send_frame(line: Socket, kind: bytes, value: Any, descriptor: int | None = None) -> None:
    """Write a frame, with a descriptor to go along with it."""
    send_text(line, kind, dumps(value), descriptor)


def send_text(line: Socket, kind: bytes, data: bytes, descriptor: int | None = None) -> None:
    """Write a frame that is JSON already."""
    if descriptor is None:
        line.sendall(head(kind, len(data)) + data)
    else:
        send(line, head(kind, len(data)), [descriptor])
        line.sendall(data)


def read_frame(line: Socket) -> Any:
    """The next frame, or None where the line has closed."""
    start = _exactly(line, HEAD_BYTES)
    return None if start is None else _body(line, start)


def read_order(line: Socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The first frame, with the descriptors of stdout and stderr that come along."""
    start, descriptors = receive(line, HEAD_BYTES, 2)
    if len(start) < HEAD_BYTES:
        return None, []
    return _body(line, start), descriptors


def _body(line: Socket, start: bytes) -> Any:
    data = _exactly(line, int.from_bytes(start[1:], "big"))
    return None if data is None else loads(data)


def _exactly(line: Socket, size: int) -> bytes | None:
    parts = []
    while size:
        part = line.recv(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
