"""A server that is started here and spoken to through its pipes.

It runs on a leash (``codex32_sandbox.leash``): nothing that it started is left when the
conversation is over, or when this process is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

import codex32_sandbox
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.outside.mcp.line import MOST_BYTES, Broken, Line, Message, answer_to

log = logging.getLogger(__name__)

#: Messages that one answer may be waited through.
_MOST_MESSAGES = 10_000
#: Seconds that a server is given to end by itself, once its standard input is closed.
_LEAVE_SECONDS = 2.0
#: Seconds after which nobody waits any more for a server that cannot be ended, as one that has
#: become another user; much more than its leash gives it.
_GONE_SECONDS = 20.0
#: A longer message is read beside the event loop.
_LONG_BYTES = 64 * 1024
#: What is kept of standard error, for the message where the server fails.
_LAST_WORDS_BYTES = 2000


class PipeLine(Line):
    """Speaks to one process; made by :meth:`start`."""

    def __init__(self, process: Process, leash: socket.socket) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._leash = process, leash
        self._input, self._output = process.stdin, process.stdout
        self._words = b""
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> PipeLine:
        """Start a server.

        Args:
          command: Its program and arguments; no shell reads them.
          environment: All that it has.
          folder: Where it is started.

        Raises:
          Broken: It cannot be started.
        """
        package = Path(codex32_sandbox.__file__).parent
        leash, its_end = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(package / "leash.py")),
                *(str(its_end.fileno()), str(package.parent), *command),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                limit=MOST_BYTES,
                env=dict(environment),
                cwd=folder,
                pass_fds=(its_end.fileno(),),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            leash.close()
            raise Broken(f"cannot be started: {error}", sent=False) from None
        except BaseException:
            leash.close()
            raise
        finally:
            its_end.close()
        return cls(process, leash)

    async def ask(self, request: Message) -> Message:
        """The answer; what the server asks in between is answered or refused."""
        await self.tell(request)
        for _ in range(_MOST_MESSAGES):
            message = await self._next()
            if message is None:
                continue
            if "method" not in message and message.get("id") == request["id"]:
                return message
            if (answer := answer_to(message)) is not None:
                await self.tell(answer)
        raise Broken(f"says more than {_MOST_MESSAGES} things, and not what it was asked")

    async def tell(self, notice: Message) -> None:
        """Write a line."""
        try:
            self._input.write(json.dumps(notice).encode() + b"\n")
            await self._input.drain()
        except ConnectionError:
            raise Broken(await self._why()) from None

    async def _next(self) -> Message | None:
        """The next message; None for what is none, as some servers print what they should not."""
        try:
            line = await self._output.readline()
        except ValueError:
            raise Broken(f"says more than {MOST_BYTES} bytes at once") from None
        if not line:
            raise Broken(await self._why())
        self.heard(len(line))
        try:
            if len(line) > _LONG_BYTES:
                message = await asyncio.to_thread(parse_foreign, line)
            else:
                # Many lines may be there already, and nothing would ever wait for them.
                await asyncio.sleep(0)
                message = parse_foreign(line)
        except NotJson:
            return None
        return message if isinstance(message, Mapping) else None

    async def _why(self) -> str:
        """How it ended, in the middle of a conversation."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._process.wait()
                await asyncio.shield(self._listener)
        code = self._process.returncode
        ended = "closed its standard output" if code is None else f"ended with the code {code}"
        words = self._words.decode(errors="replace").strip()
        return f"{ended}: {words}" if words else ended

    async def _listen(self) -> None:
        """Read standard error, so that it is never full; its last words are kept."""
        assert self._process.stderr is not None
        while words := await self._process.stderr.read(_LONG_BYTES):
            self._words = (self._words + words)[-_LAST_WORDS_BYTES:]

    async def close(self, *, well: bool) -> None:
        """Close its standard input, and after a while, or at once, have its leash end it."""
        self._input.close()
        try:
            if well:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LEAVE_SECONDS):
                        await self._process.wait()
        finally:
            self._leash.close()
            await asyncio.shield(self._gone())

    async def _gone(self) -> None:
        # Nobody wants what it still says, but its end is only told once all of it was read.
        try:
            async with asyncio.timeout(_GONE_SECONDS):
                while await self._output.read(_LONG_BYTES):
                    pass
                await self._process.wait()
        except TimeoutError:
            log.warning("an MCP server (process %d) could not be ended", self._process.pid)
            self._process._transport.close()  # type: ignore[attr-defined]
        finally:
            self._listener.cancel()


def bare_environment() -> dict[str, str]:
    """What every server is given of this process's environment: no secret is among it."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in names if name in os.environ}
