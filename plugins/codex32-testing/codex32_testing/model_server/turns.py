"""What the server does with one request: what the model says, and how that is carried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from codex32 import JSON

#: Leaves a part of an answer out, where None would write ``null``.
ABSENT: Final = "(absent)"
#: How an answer ends: by itself, at the limit of tokens, by a tool, or refused by the model or by
#: a filter around it.
Stop: TypeAlias = Literal["stop", "length", "tools", "refused", "filtered"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answer costs. Wires count differently; this is the same for both.

    Attributes:
      fresh: Of the prompt, neither read from a cache nor written to one.
      cached: Of the prompt, read from a cache.
      written: Of the prompt, written to a cache.
      output: Of the answer, those for ``reasoning`` among them.
    """

    fresh: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def input(self) -> int:
        """The whole prompt."""
        return self.fresh + self.cached + self.written


@dataclass(frozen=True, slots=True)
class Carriage:
    """How the bytes of an answer travel.

    Attributes:
      delay_seconds: Silence before the first byte.
      silent: Nothing is ever sent, and the connection stays open.
      drop: The connection is closed before the first byte.
      pause_seconds: Between two bytes; zero sends all at once.
      cut_after: The connection is cut after this many events of a stream, or at the half of a
        whole body whatever the number.
      error_after: A stream carries an error event after this many events, and ends.
      done: Whether a stream ends as it should: ``[DONE]``, ``message_stop``.
      finish: Whether a stream says why it ended.
    """

    delay_seconds: float = 0.0
    silent: bool = False
    drop: bool = False
    pause_seconds: float = 0.0
    cut_after: int | None = None
    error_after: int | None = None
    done: bool = True
    finish: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer.

    Attributes:
      text: What the model says; None lets it say back the last text of the user, or the smallest
        value of the schema that was asked for.
      tool_calls: Name and arguments of tools it asks for; text arguments are sent as they are.
      refusal: Words of a refusal; they take the place of the text.
      stop: Why it ends; None is found out.
      tokens: What it costs; None counts letters.
      usage: Told instead of the true usage: any JSON, or :data:`ABSENT`.
      error: The name of an error in ``errors.py``; nothing is generated then.
      status: Of the answer, where it is not what the error says.
      headers: More headers.
      body: Sent instead of everything else, as it stands.
      content_type: Of ``body``.
      vectors: How vectors are got wrong; see ``embeddings.py``.
    """

    text: str | None = None
    tool_calls: Sequence[tuple[str, Mapping[str, JSON] | str]] = ()
    refusal: str | None = None
    stop: Stop | None = None
    tokens: Tokens | None = None
    usage: Any = None
    error: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = "application/json"
    vectors: Literal["right", "short", "shuffled", "wrong-size", "nan", "none"] = "right"
    carriage: Carriage = Carriage()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Turn:
        """A turn from plain data, as the process is told it.

        Raises:
          TypeError: A name is not known.
        """
        given = dict(fields)
        if "tokens" in given:
            given["tokens"] = Tokens(**given["tokens"])
        if "carriage" in given:
            given["carriage"] = Carriage(**given["carriage"])
        given["tool_calls"] = [tuple(call) for call in given.get("tool_calls", ())]
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Said:
    """What the model answered, before a wire gives it its shape."""

    id: str
    model: str
    created: int
    text: str
    tool_calls: Sequence[tuple[str, str, str]]
    refusal: str | None
    stop: Stop
    tokens: Tokens
    turn: Turn
