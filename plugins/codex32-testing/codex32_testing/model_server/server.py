"""The server, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from typing import Self

from aiohttp import web

from codex32_testing.model_server.faults import Outcome
from codex32_testing.model_server.handler import Handler
from codex32_testing.model_server.log import Asked, Price
from codex32_testing.model_server.script import Answerer
from codex32_testing.model_server.turns import Turn

#: Accepted where nothing else is said.
KEY = "sk-local-0123456789abcdefghijklmnop"


class ModelServer:
    """Serves on 127.0.0.1 while it is entered, on a thread of its own.

    Tests may block, be coroutines, or start processes that ask it.

    Attributes:
      key: The first key that is accepted.
    """

    def __init__(
        self,
        *,
        keys: Iterable[str] = (KEY,),
        models: Sequence[str] | None = None,
        port: int = 0,
    ) -> None:
        """Make a server.

        Args:
          keys: That are accepted; none accepts every request.
          models: Names that are known; None knows every name.
          port: To listen on; 0 takes a free one.
        """
        given = tuple(keys)
        self.key = given[0] if given else ""
        self._handler = Handler(set(given), models)
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self._listening = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._fault: BaseException | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port: what the SDK of Anthropic takes."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        """The base that SDKs of OpenAI's wire take."""
        return f"{self.url}/v1"

    @property
    def asked(self) -> Sequence[Asked]:
        """What came in, in order."""
        return tuple(self._handler.asked)

    def billed(self, price: Price | None = None) -> int:
        """What all this would cost, in billionths of a US dollar, at one price for all models."""
        each = price or Price()
        return sum(each.of(asked.billed) for asked in self.asked if asked.billed is not None)

    def script(
        self, *turns: Turn | Outcome, model: str | None = None, path: str | None = None
    ) -> None:
        """Answer the next requests with these, one each.

        Args:
          *turns: Turns, or entries of the tables of faults.
          model: For requests to this model alone.
          path: For requests to this path alone, such as ``/v1/embeddings``.
        """
        self._add(turns, model, path, once=True)

    def always(
        self, turn: Turn | Outcome, *, model: str | None = None, path: str | None = None
    ) -> None:
        """Answer every request with this one, once what :meth:`script` laid down is used up."""
        self._add((turn,), model, path, once=False)

    def ask(self, answerer: Answerer) -> None:
        """Let a function of path and body answer; where it answers None, the script does.

        It runs on the server's thread.
        """
        self._handler.script.ask(answerer)

    def reset(self) -> None:
        """Forget what was laid down and what was asked."""
        self._handler.script.clear()
        self._handler.asked.clear()

    def _add(
        self, turns: Sequence[Turn | Outcome], model: str | None, path: str | None, *, once: bool
    ) -> None:
        plain = [turn.turn if isinstance(turn, Outcome) else turn for turn in turns]
        self._handler.script.add(*plain, model=model, path=path, once=once)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        if self._fault is not None:
            raise self._fault
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._fault = error
        finally:
            self._listening.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        server = web.Server(self._handler, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._port = runner.addresses[0][1]
            self._listening.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()
