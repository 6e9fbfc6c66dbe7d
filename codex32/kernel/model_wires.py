"""What every provider of models does that speaks to a service: faults, limits, clients, counts."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from codex32.kernel.contracts.llm import ToolCall
from codex32.kernel.foreign_json import NotJson, parse_foreign
from codex32.kernel.model_errors import Billed, FaultKind, ModelFault
from codex32.kernel.redaction import MASK, scrub
from codex32.kernel.sending import retry_after_seconds

T = TypeVar("T")

_LONGEST_REASON = 300
_KINDS: Mapping[int, FaultKind] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "model_gone",
    408: "server",
    409: "server",
    413: "context_too_long",
    425: "server",
    429: "rate_limited",
}
#: Statuses above 499 that say that the request was not taken up.
_NOT_TAKEN_UP = frozenset({503, 529})


def model_refusal(
    service: str,
    status: int,
    reason: str = "",
    *,
    kind: FaultKind | None = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
) -> ModelFault:
    """The fault that an answer of a service of models stands for.

    A refusal costs nothing. What failed behind the service's door may have been answered by a
    model before, and be billed: 500, 502 and 504 come from there.

    Args:
      service: Its name, as people read it.
      status: Of the answer.
      reason: What the service said; keys are taken out of it, and it is cut at 300 characters.
      kind: Where the answer says more than its status does.
      headers: Of the answer: ``retry-after-ms`` and ``retry-after`` are kept.
      key: The key that was sent, which some services tell back.
    """
    kind = kind or _KINDS.get(status) or ("server" if status >= 500 else "bad_request")
    reason = reason or _usual_reason(status)
    said = unkeyed(" ".join(reason.split()), key)
    if len(said) > _LONGEST_REASON:
        said = said[: _LONGEST_REASON - 1] + "…"
    return ModelFault(
        kind,
        f"{service} answered {status}" + (f": {said}" if said else ""),
        status=status,
        retry_after_seconds=_patience(headers or {}),
        billed="maybe" if status >= 500 and status not in _NOT_TAKEN_UP else "no",
    )


def broken_off(
    service: str, reason: str, *, kind: FaultKind = "server", key: str | None = None
) -> ModelFault:
    """The fault that a service tells in the middle of an answer, which it may bill."""
    said = unkeyed(reason, key)[:_LONGEST_REASON]
    return ModelFault(kind, f"{service} broke off: {said}", billed="maybe")


def malformed_answer(service: str, what: str) -> ModelFault:
    """The fault of an answer that is none; what it cost nobody knows."""
    return ModelFault("malformed", f"{service} gave no answer: {what}", billed="maybe")


def connection_fault(error: BaseException, service: str, sdk: Any, http: Any) -> ModelFault | None:
    """The fault of a request to which no answer came; None where one came.

    Args:
      error: What was raised.
      service: Its name, as people read it.
      sdk: The module of an SDK that has ``APITimeoutError`` and ``APIConnectionError``.
      http: The module of the HTTP client below it, which is httpx or made after it.
    """
    cause = error.__cause__ or error
    if isinstance(error, sdk.APITimeoutError | http.TimeoutException | TimeoutError):
        if isinstance(cause, http.ConnectTimeout):
            return ModelFault("network", f"{service} cannot be reached in time")
        return ModelFault("timeout", f"{service} gave no answer in time", billed="maybe")
    if isinstance(error, sdk.APIConnectionError | http.TransportError):
        if isinstance(cause, http.ConnectError):
            return ModelFault("network", f"{service} cannot be reached; is base_url right?")
        return ModelFault("network", f"{service} cut the connection", billed="maybe")
    return None


def unkeyed(text: str, key: str | None) -> str:
    """A service's words without the key, and without what else looks like a secret."""
    if key:
        text = text.replace(key, MASK)
    return scrub(text)


@dataclass(slots=True)
class CallParts:
    """A tool call as it comes in pieces, written by a model."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def whole(self) -> ToolCall:
        """The call; where its arguments are no object, as they came."""
        try:
            arguments = parse_foreign((self.arguments or "{}").encode(errors="surrogatepass"))
        except NotJson:
            arguments = None
        if not isinstance(arguments, dict):
            return ToolCall(self.id, self.name, {}, invalid=self.arguments)
        return ToolCall(self.id, self.name, arguments)


def token_count(value: object) -> int | None:
    """A count of tokens as services tell it; None where it is no whole number or negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


async def in_time(
    stream: AsyncIterator[T], timeout_seconds: float, *, service: str, billed: Billed = "maybe"
) -> AsyncGenerator[T, None]:
    """The same stream, of which no part comes after the limit.

    Limits of HTTP clients hold for each read, so that a service which sends a byte now and then
    is waited for without end.

    Raises:
      ModelFault: ``timeout``: the limit was reached before the stream's end.
    """
    ends_at = asyncio.get_running_loop().time() + timeout_seconds
    try:
        while True:
            try:
                async with asyncio.timeout_at(ends_at):
                    part = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                limit = f"{timeout_seconds:.3g} seconds"
                message = f"{service} gave no whole answer within {limit}"
                raise ModelFault("timeout", message, billed=billed) from None
            yield part
    finally:
        if close := getattr(stream, "aclose", None):
            await close()


def unit_vector(values: object, dimension: int, service: str) -> list[float]:
    """A vector of a service, made one of length one.

    Raises:
      ModelFault: ``malformed``: it has another size, holds what is no finite number, or is zero.
    """
    if not isinstance(values, list | tuple) or len(values) != dimension:
        size = len(values) if isinstance(values, list | tuple) else "no"
        message = f"{service} gave a vector of {size} numbers, not {dimension}"
        raise ModelFault("malformed", message, billed="yes")
    try:
        length = math.hypot(*values)
    except TypeError:
        length = math.nan
    if not math.isfinite(length) or not length:
        message = f"{service} gave a vector that is zero or holds what is no number"
        raise ModelFault("malformed", message, billed="yes")
    return [value / length for value in values]


class ClientPerLoop(Generic[T]):
    """A client that is made when it is first needed, one for each event loop.

    It is made on a thread, since the import of an SDK takes seconds. Connections belong to the
    loop they were made on, and none may cross a fork.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        """Keep how a client is made and closed; nothing is made yet."""
        self._make, self._close = make, close
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[T]]
        self._clients = WeakKeyDictionary()
        self._lock = threading.Lock()

    async def get(self, timeout_seconds: float, service: str) -> T:
        """The client of the running loop; if it cannot be made, the next call tries again.

        Raises:
          ModelFault: ``timeout``: it was not ready within the limit; nothing was sent.
          Exception: Whatever making it raised.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            making = self._clients.get(loop)
            if making is None:
                making = self._clients[loop] = loop.create_task(asyncio.to_thread(self._make))
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(making)
        except TimeoutError:
            message = f"the client of {service} was not ready within {timeout_seconds:.3g} seconds"
            raise ModelFault("timeout", message) from None
        except Exception:
            with self._lock:
                if self._clients.get(loop) is making:
                    del self._clients[loop]
            raise

    async def close(self) -> None:
        """Close the client of the running loop, if there is one."""
        with self._lock:
            making = self._clients.pop(asyncio.get_running_loop(), None)
        if making is not None:
            await self._close(await making)


def _usual_reason(status: int) -> str:
    """What is behind an answer that says nothing."""
    if 300 <= status < 400:
        return "it sends elsewhere; is base_url right?"
    return "no such model, or base_url is wrong" if status == 404 else ""


def _patience(headers: Mapping[str, str]) -> float | None:
    headers = {name.lower(): value for name, value in headers.items()}
    exact = retry_after_seconds(headers.get("retry-after-ms", ""))
    if exact is not None:
        return exact / 1000
    return retry_after_seconds(headers.get("retry-after", ""))
