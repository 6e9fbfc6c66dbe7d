"""Routes of the HTTP API, declared as values: routing, access and documents follow from them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from codex32.kernel.caller import STRANGER, Caller
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import JSON

if TYPE_CHECKING:  # pydantic is slow to import, and only the API needs it at run time
    from pydantic import BaseModel

#: The policy of a route that strangers may call.
PUBLIC = "public"

#: How often a route may be called: the settings say how much each class of rates allows.
RateClass: TypeAlias = Literal["normal", "start", "sign-in"]


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What a handler is given: everything already checked against the route's models.

    Attributes:
      path: The path's variables.
      query: The query, as the route's ``query`` model, or None; on a raw route without such a
        model a mapping of names to texts.
      body: The body, as the route's ``body`` or ``form`` model, or None; on a raw route the bytes
        as they came.
      caller: Who calls, and in which workspace.
      headers: As they were sent; names are found whatever their case.
      content_type: Of the body, without parameters and in lower case; empty if none was told.
    """

    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    caller: Caller = STRANGER
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a stream.

    Attributes:
      data: A text is sent as it is, anything else as JSON.
      event: Its kind; a browser calls it ``message`` where none is told.
      id: What a client that comes back sends as ``Last-Event-ID``.
    """

    data: JSON
    event: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class EventStream:
    """An answer that goes on: server-sent events for as long as they come and are listened to.

    The house adds the headers, comments that keep the line open, and an end: when the client has
    left or takes nothing for too long, and when the process stops. Then ``events`` is closed, so
    what it holds is given back in a ``finally``. It is asked for an event only once the one before
    was taken, so what piles up for a slow client piles up, bounded, in the iterator. What it gives
    several at a time is sent together, which costs much less.
    """

    events: AsyncIterator[ServerSentEvent | Sequence[ServerSentEvent]]


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What a handler answers with, if it is not simply the route's status and a value.

    Attributes:
      content_type: Of a body of bytes; empty: the route's.
    """

    body: JSON | bytes | BaseModel | EventStream = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


Handler: TypeAlias = "Callable[[ApiRequest], Awaitable[ApiResponse | BaseModel | JSON]]"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API.

    Attributes:
      path: Below the prefix it is mounted at, with ``{variables}``.
      operation: Unique id, such as ``executions.list``.
      policy: The permission a caller needs, or ``PUBLIC``; a route without one stops the start.
      summary: One line for the documents; ``description`` goes on where that is not enough.
      query: Model of the query; without one it must be empty.
      body: Model of a body of JSON; without ``body``, ``form`` or ``raw`` it must be empty.
      form: Model of a body of ``application/x-www-form-urlencoded``, in place of ``body``.
      raw: The handler takes the body as bytes of whatever type.
      max_bytes: Of the body.
      response: Model of what is answered: of the data of each event where that is a stream, of
        JSON for whoever prefers it where ``content_type`` is another.
      content_type: Of the answer.
      status: Of the answer.
      also: Models of other answers, by status; None for those without a body.
      rate: How often it may be called.
      keyed: Asking again with the same ``Idempotency-Key`` is asking once; the answer that was
        given is given again. Not for answers that are no JSON.
      refusal: How errors are answered, where another standard than RFC 9457 says so; None leaves
        one to the house.
    """

    method: str
    path: str
    operation: str
    policy: str
    handler: Handler
    summary: str = ""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    also: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)
    form: type[BaseModel] | None = None
    raw: bool = False
    max_bytes: int = 1024 * 1024
    content_type: str = "application/json"
    rate: RateClass = "normal"
    description: str = ""
    refusal: Callable[[Codex32Error], ApiResponse | None] | None = None
    keyed: bool = False
