"""One program in one cell: its order goes in, its lines and questions and its answer come out."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import dumps, loads
from codex32.outside.lines import LineReader
from codex32.outside.sandboxes.channel import Channel
from codex32.outside.sandboxes.zygote import Cell, CellLost
from codex32_sandbox import channel as frames

log = logging.getLogger(__name__)

#: What an answer may hold beside its output: a traceback, each character escaped.
WRAPPING_BYTES = 128 * 1024
#: Longer answers are parsed on a thread, so that the event loop goes on.
_LONG_ANSWER_BYTES = 256 * 1024
#: What is said beyond that is not heard.
_MOST_TOLD = 10_000
#: And the bytes of all of it, which are kept in memory and in rows.
_MOST_TOLD_BYTES = 32 << 20
#: Shorter words there are none.
_LEAST_WORD_BYTES = len('["",{}]')
#: What a program may be answered. Its state is told anew as often as it asks.
_MOST_ANSWERED_BYTES = 256 << 20
#: How long a cell may take to end itself before it is killed, and then to be gone.
_END_SECONDS = 3.0
_CODES = frozenset({"raised", "no-main", "syntax", "not-json", "too-long"})

#: Why the house ended it.
_BROKEN_OFF = {
    why: ProgramResult(error=message, code=code)
    for why, code, message in (
        (b"too-long", "too-long", "the answer is too long"),
        (
            b"told-too-much",
            "too-long",
            f"its log lines and state are more than {_MOST_TOLD_BYTES >> 20} MiB",
        ),
        (
            b"asked-too-much",
            "too-long",
            f"what it asked for is more than {_MOST_ANSWERED_BYTES >> 20} MiB",
        ),
        (b"garbled", "not-json", "it wrote to its channel what is no word of codex32_step"),
    )
}
#: Serves a listening socket of a program's network; ends when cancelled.
Serve = Callable[[socket.socket], Any]


class Conversation:
    """Runs ``program`` in ``cell``, once.

    Args:
      max_line_bytes: How much of each of stdout and stderr is handed on.
      serve: Leads connections of the program out; None where it has no way out.
    """

    def __init__(
        self,
        cell: Cell,
        program: Program,
        host: ProgramHost,
        *,
        max_line_bytes: int,
        serve: Serve | None = None,
    ) -> None:
        self._cell, self._program, self._host = cell, program, host
        self._max_line_bytes = max_line_bytes
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[tuple[bytes, bytes]] = self._loop.create_future()
        self._begun = False
        self._told = self._told_bytes = self._answered_bytes = 0
        self._tasks: set[asyncio.Future[Any]] = set()
        self._way_out: Any = None

    async def run(self, order: Mapping[str, Any], kill: Callable[[Cell], None]) -> ProgramResult:
        """Have the order carried out; see :meth:`SandboxBackend.run`.

        Raises:
          CellLost: Nothing of it was.
        """
        readers, writing = self._streams()
        channel = Channel(
            self._cell.channel,
            self._on_frame,
            self._on_end,
            self._program.max_output_bytes + WRAPPING_BYTES,
            expects_descriptor=self._serve is not None,
        )
        self._channel = channel
        try:
            try:
                async with asyncio.timeout(_finite(self._program.timeout_seconds)):
                    await self._send(order, writing)
                    await self._over
            except TimeoutError:
                limit = f"{self._program.timeout_seconds:g} s"
                return ProgramResult(error=f"not done within {limit}", code="timeout")
        finally:
            channel.close()
            ending = asyncio.ensure_future(self._end(kill, readers, writing))
            await asyncio.shield(ending)
        return await self._result()

    def _streams(self) -> tuple[list[tuple[LineReader, int]], list[int]]:
        readers, writing = [], []
        for name in ("stdout", "stderr"):
            ours, theirs = os.pipe()
            reader = LineReader(ours, name, self._host.on_line, self._max_line_bytes)
            readers.append((reader, ours))
            writing.append(theirs)
        return readers, writing

    async def _send(self, order: Mapping[str, Any], writing: list[int]) -> None:
        data = dumps(order).encode()
        with suppress(BrokenPipeError, ConnectionResetError):  # its end tells more
            # The first bytes always fit, and with them go the descriptors.
            socket.send_fds(self._cell.channel, [frames.head(frames.ORDER, len(data))], writing)
            _close_all(writing)
            await self._loop.sock_sendall(self._cell.channel, data)

    # what comes

    def _on_frame(self, kind: bytes, body: bytes) -> None:
        if kind == frames.ANSWER or (kind == frames.REFUSED and not self._begun):
            self._settle(kind, body)
        elif kind == frames.BEGUN and not self._begun:
            self._begun = True
        elif kind == frames.TELL and len(body) >= _LEAST_WORD_BYTES:
            if self._told >= _MOST_TOLD:
                return
            self._told += 1
            self._told_bytes += len(body)
            if self._told_bytes > _MOST_TOLD_BYTES:
                self._settle(b"", b"told-too-much")
                return
            with suppress(ValueError, RecursionError):
                name, values, _ = _word(body)
                self._host.tell(name, values)
        elif kind == frames.ASK:
            self._channel.pause()
            self._begin(self._reply(body))
        elif kind == frames.LISTENING and self._serve is not None and self._way_out is None:
            with suppress(ValueError):
                self._way_out = socket.socket(fileno=self._channel.descriptor())
                self._begin(self._serve(self._way_out))
        else:
            # To go on reading would cost all others time.
            self._settle(b"", b"garbled")

    def _on_end(self, why: str) -> None:
        if why:
            self._settle(b"", why.encode())
        else:  # nobody holds the other end any more
            self._begin(self._await_end())

    async def _await_end(self) -> None:
        await asyncio.shield(self._cell.ended)
        self._settle(b"", b"")

    def _settle(self, kind: bytes, body: bytes) -> None:
        if not self._over.done():
            self._over.set_result((kind, body))

    def _begin(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, body: bytes) -> None:
        reply: dict[str, Any]
        mark = ""
        try:
            name, values, mark = _word(body)
            reply = {"value": await self._host.ask(name, values)}
        except PermissionError as error:
            reply = {"refused": str(error)}
        except Codex32Error as error:
            kind = "refused" if error.code == "capability" else "error"
            reply = {kind: error.message}
        except (ValueError, LookupError, RecursionError) as error:
            reply = {"error": str(error)}
        except Exception:
            # Unanswered, the program would wait for as long as it has.
            log.exception("a question of a program could not be answered")
            reply = {"error": "the house could not do it"}
        data = dumps({**reply, "mark": mark}).encode()
        self._answered_bytes += len(data)
        if self._answered_bytes > _MOST_ANSWERED_BYTES:
            self._settle(b"", b"asked-too-much")
            return
        with suppress(OSError):
            await self._loop.sock_sendall(
                self._cell.channel, frames.head(frames.REPLY, len(data)) + data
            )
        self._channel.resume()

    # its end

    async def _end(
        self,
        kill: Callable[[Cell], None],
        readers: list[tuple[LineReader, int]],
        writing: list[int],
    ) -> None:
        """End the cell if it still runs, and let nothing be left."""
        _close_all(writing)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._way_out is not None:
            self._way_out.close()
        self._cell.channel.close()
        ended = self._cell.ended
        await asyncio.wait([ended], timeout=_END_SECONDS)
        if not ended.done():
            kill(self._cell)
            await asyncio.wait([ended], timeout=_END_SECONDS)
        for reader, descriptor in readers:
            reader.finish()
            os.close(descriptor)

    async def _result(self) -> ProgramResult:
        kind, body = self._over.result()
        if body and not kind:
            return _BROKEN_OFF[body]
        if not kind and not self._begun:
            raise CellLost
        if not kind:
            ended = self._cell.ended
            code = ended.result() if ended.done() else -signal.SIGKILL
            return ProgramResult(error=_how_it_ended(code), code="killed")
        try:
            long = len(body) > _LONG_ANSWER_BYTES
            answer = await asyncio.to_thread(loads, body) if long else loads(body)
        except (ValueError, RecursionError):
            message = "what it wrote in place of its answer is no JSON"
            return ProgramResult(error=message, code="not-json")
        if kind == frames.REFUSED:
            return ProgramResult(error=str(answer)[:2000], code="refused")
        # The program could write here what it likes; it is taken for no more than an answer.
        told = answer.get("code", "raised") if isinstance(answer, dict) else None
        if not isinstance(told, str) or told not in _CODES:
            return ProgramResult(error="the answer is no answer", code="not-json")
        if "error" not in answer:
            return ProgramResult(output=answer.get("output"))
        return ProgramResult(
            error=str(answer["error"]),
            traceback=str(answer.get("traceback", "")),
            code=told,
        )


def _word(body: bytes) -> tuple[str, dict[str, Any], str]:
    """A name, values, and the mark by which an answer is known; or ``ValueError``."""
    word = loads(body)
    match word:
        case [str(name), dict(values)]:
            return name, values, ""
        case [str(name), dict(values), str(mark)]:
            return name, values, mark
    raise ValueError("a question is a name and its values")


def _finite(seconds: float) -> float | None:
    # Not every event loop can wait for ever by number.
    return None if math.isinf(seconds) else seconds


def _how_it_ended(exit_code: int) -> str:
    if exit_code == 128 + signal.SIGXCPU:
        return "the program used more processor time than it may"
    number = -exit_code if exit_code < 0 else exit_code - 128
    try:
        return f"the program was ended by {signal.Signals(number).name} before it answered"
    except ValueError:
        return f"the program ended with exit code {exit_code} before it answered"


def _close_all(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
