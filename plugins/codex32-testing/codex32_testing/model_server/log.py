"""What the server was asked, and what it would have billed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from codex32_testing.model_server.turns import Tokens


@dataclass(slots=True)
class Asked:
    """One request.

    Attributes:
      body: As JSON; None where it is none. Keys are never kept.
      started_at: By the monotonic clock, in seconds; ``ended_at`` likewise, None until then.
      status: Of the answer; None where the connection ended before it had one.
      billed: Tokens that would be paid for; None where nothing was generated. An answer that was
        generated is billed whatever becomes of its bytes.
      ended: ``answered``; ``cut`` by the server as it was told; ``left`` by the client; empty
        while it goes on, and a moment longer than the client needs to read the last byte.
    """

    number: int
    path: str
    model: str
    body: Any
    headers: Mapping[str, str]
    started_at: float
    status: int | None = None
    billed: Tokens | None = None
    ended: Literal["", "answered", "cut", "left"] = ""
    ended_at: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data, as the process tells it."""
        return {**asdict(self), "headers": dict(self.headers)}


@dataclass(frozen=True, slots=True)
class Price:
    """Of a model, in billionths of a US dollar a token, near the cheapest of today."""

    input: int = 100
    cached: int = 10
    written: int = 125
    output: int = 500

    def of(self, tokens: Tokens) -> int:
        """Billionths of a US dollar."""
        return (
            tokens.fresh * self.input
            + tokens.cached * self.cached
            + tokens.written * self.written
            + tokens.output * self.output
        )
