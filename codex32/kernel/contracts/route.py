"""Routes of the HTTP API, declared as values: routing, access and documents follow from them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from codex32.kernel.caller import STRANGER, Caller
from codex32.kernel.json_values import JSON

if TYPE_CHECKING:  # pydantic is slow to import, and only the API needs it at run time
    from pydantic import BaseModel

#: The policy of a route that strangers may call.
PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What a handler is given: everything already checked against the route's models.

    Attributes:
      path: The path's variables.
      query: The query, as the route's ``query`` model, or None.
      body: The body, as the route's ``body`` model, or None.
      caller: Who calls, and in which workspace.
      content_type: Of a body that the route takes as it comes; empty if none was told.
    """

    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    caller: Caller = STRANGER
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What a handler answers with, if it is not simply 200 and a value."""

    body: JSON | BaseModel = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler: TypeAlias = "Callable[[ApiRequest], Awaitable[ApiResponse | BaseModel | JSON]]"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API.

    Attributes:
      path: Below the prefix it is mounted at, with ``{variables}``.
      operation: Unique id, such as ``executions.list``.
      policy: The permission a caller needs, or ``PUBLIC``; a route without one stops the start.
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
