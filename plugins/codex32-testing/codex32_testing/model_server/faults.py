"""Everything that services were seen to do wrong, by name, and what a caller should make of it.

A provider, a gateway and a bot are tried with the same table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from codex32_testing.model_server.turns import ABSENT, Carriage, Tokens, Turn

_HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_TORN = '{"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "mess'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault is, and what it is called by whoever reads it right.

    Attributes:
      turn: What the server does.
      kind: Of the ``ModelFault``; empty where there is an answer, good or bad.
      retry_after_seconds: What the server asked for.
      embeddings: Whether the fault makes sense where vectors are asked for.
      streams: Whether it can be seen in a stream alone (True), in a whole answer alone (False),
        or in both (None).
    """

    turn: Turn
    kind: str
    retry_after_seconds: float | None = None
    embeddings: bool = True
    streams: bool | None = None


def _raw(body: str, content_type: str = "application/json", status: int = 200) -> Turn:
    return Turn(body=body, content_type=content_type, status=status)


#: For chats; those with ``embeddings`` for vectors, too.
FAULTS: Final = {
    "rate_limited": Outcome(
        Turn(error="rate_limited", headers={"Retry-After": "1"}), "rate_limited", 1.0
    ),
    "rate_limited_in_milliseconds": Outcome(
        Turn(error="rate_limited", headers={"retry-after-ms": "1500", "Retry-After": "2"}),
        "rate_limited",
        1.5,
    ),
    "rate_limited_for_an_hour": Outcome(
        Turn(error="rate_limited", headers={"Retry-After": "3600"}), "rate_limited", 3600.0
    ),
    "rate_limited_without_a_word": Outcome(Turn(error="rate_limited"), "rate_limited"),
    "rate_limited_nonsense": Outcome(
        Turn(error="rate_limited", headers={"Retry-After": "soon"}), "rate_limited"
    ),
    "insufficient_quota": Outcome(Turn(error="insufficient_quota"), "quota"),
    "spend_limit": Outcome(Turn(error="spend_limit"), "quota"),
    "payment_required": Outcome(Turn(error="payment_required"), "quota"),
    "forbidden": Outcome(Turn(error="forbidden"), "auth"),
    "model_gone": Outcome(Turn(error="model_gone"), "model_gone"),
    "request_timeout": Outcome(Turn(error="request_timeout"), "server"),
    "conflict": Outcome(Turn(error="conflict"), "server"),
    "overloaded": Outcome(Turn(error="overloaded"), "server"),
    "server_json": Outcome(Turn(error="server", status=503), "server"),
    "server_html": Outcome(_raw(_HTML, "text/html", 500), "server"),
    "server_text": Outcome(_raw("upstream connect error", "text/plain", 502), "server"),
    "server_empty": Outcome(_raw("", "text/plain", 504), "server"),
    "too_large": Outcome(Turn(error="too_large"), "context_too_long"),
    "context_too_long": Outcome(Turn(error="context_too_long"), "context_too_long"),
    "unsupported_schema": Outcome(
        Turn(error="unsupported_schema"), "unsupported", embeddings=False
    ),
    "unsupported_param": Outcome(Turn(error="unsupported_param"), "unsupported", embeddings=False),
    "bad_request": Outcome(Turn(error="bad_request"), "bad_request"),
    "unprocessable": Outcome(Turn(error="unprocessable"), "bad_request"),
    "drop": Outcome(Turn(carriage=Carriage(drop=True)), "network"),
    "cut": Outcome(Turn(text="one two three four", carriage=Carriage(cut_after=3)), "network"),
    "silence": Outcome(Turn(carriage=Carriage(silent=True)), "timeout"),
    "trickle": Outcome(Turn(carriage=Carriage(pause_seconds=0.05)), "timeout"),
    "torn_json": Outcome(_raw(_TORN), "malformed"),
    "html_200": Outcome(_raw(_HTML, "text/html"), "malformed"),
    "text_200": Outcome(_raw("ok", "text/plain"), "malformed"),
    "empty_object": Outcome(_raw("{}"), "malformed"),
    "empty_body": Outcome(_raw(""), "malformed"),
    "a_list": Outcome(_raw("[1, 2]"), "malformed"),
    "null": Outcome(_raw("null"), "malformed"),
    "error_200": Outcome(_raw('{"error": {"message": "internal", "code": 500}}'), "malformed"),
    "null_choices": Outcome(
        _raw('{"id": "x", "type": "message", "choices": null, "content": null, "data": null}'),
        "malformed",
    ),
    "mid_stream_error": Outcome(
        Turn(text="one two three four", carriage=Carriage(error_after=3)),
        "server",
        embeddings=False,
        streams=True,
    ),
    "no_finish": Outcome(
        Turn(carriage=Carriage(finish=False, done=False)),
        "malformed",
        embeddings=False,
        streams=True,
    ),
    "no_done": Outcome(Turn(carriage=Carriage(done=False)), "", embeddings=False, streams=True),
    "no_usage": Outcome(Turn(usage=ABSENT), "", embeddings=False),
    "usage_strings": Outcome(
        Turn(
            usage={
                "prompt_tokens": "12",
                "completion_tokens": "7",
                "input_tokens": "12",
                "output_tokens": "7",
            }
        ),
        "",
    ),
    "usage_null": Outcome(
        Turn(
            usage={
                "prompt_tokens": 12,
                "completion_tokens": None,
                "input_tokens": 12,
                "output_tokens": None,
            }
        ),
        "",
        # Half of it is right, and of vectors that half is all: a number below what is billed.
        embeddings=False,
    ),
    "usage_negative": Outcome(
        Turn(
            usage={
                "prompt_tokens": -12,
                "completion_tokens": -1,
                "input_tokens": -12,
                "output_tokens": -1,
            }
        ),
        "",
    ),
    "truncated": Outcome(Turn(text="half a sen", stop="length"), "", embeddings=False),
    "refused": Outcome(Turn(refusal="I cannot help with that."), "", embeddings=False),
    "filtered": Outcome(Turn(text="", stop="filtered"), "", embeddings=False),
    "empty_answer": Outcome(
        Turn(text="", tokens=Tokens(fresh=10, output=0)), "", embeddings=False
    ),
    "torn_arguments": Outcome(
        Turn(tool_calls=[("look_up", '{"city": "Bo')]), "", embeddings=False
    ),
}

#: For vectors alone.
EMBEDDING_FAULTS: Final = {
    "short": Outcome(Turn(vectors="short"), "malformed"),
    "shuffled": Outcome(Turn(vectors="shuffled"), ""),
    "wrong-size": Outcome(Turn(vectors="wrong-size"), "malformed"),
    "nan": Outcome(Turn(vectors="nan"), "malformed"),
    "none": Outcome(Turn(vectors="none"), "malformed"),
    "uncounted": Outcome(Turn(usage=ABSENT), ""),
    "counted_null": Outcome(Turn(usage={"prompt_tokens": None, "total_tokens": None}), ""),
    "counted_nothing": Outcome(Turn(usage={"prompt_tokens": 0, "total_tokens": 0}), ""),
}
