"""The JSON Schema of ``alerts`` in a bot file; docs/howto/alerts.md tells it to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from codex32.engine.reading.schema_parts import (
    DURATION,
    NAME,
    TEXT,
    WHOLE,
    Schema,
    closed,
    told,
)

#: What an alert looks at; each has one of these.
ALERT_KINDS: Final[Mapping[str, Schema]] = {
    "failure_rate": told(
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "The share of executions that failed among those that ended within over, such as 0.2.",
    ),
    "no_success_for": told(DURATION, "No execution has succeeded for so long."),
    "late_by": told(DURATION, "A time of its triggers has waited so long to be answered."),
    "queued_for": told(DURATION, "The execution that is next has been queued for so long."),
    "event": told(TEXT, "The name of an event that came within over."),
    "no_event": told(TEXT, "The name of an event that did not come within over."),
}
#: Those that say how long.
ALERT_DURATIONS: Final = frozenset({"no_success_for", "late_by", "queued_for"})
_NOTICES: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": closed(
        {
            "to": told(
                {**TEXT, "format": "notifier"}, "The notifier, such as log, webhook or email."
            ),
            "target": told(TEXT, "Where to, in the notifier's own form; may name a secret."),
            "secret": told(TEXT, "What the notice is signed with, where the notifier signs."),
        },
        "to",
    ),
}
ALERT: Final = closed(
    {
        "name": told(
            {**NAME, "errorMessage": "an alert is called as bots are: failing, no-success"},
            "Unique in the bot.",
        ),
        "bots": told(
            {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "string",
                    "pattern": r"^[a-z*][a-z0-9*-]{0,62}$",
                    "errorMessage": "a bot's name, or a pattern such as nightly-*",
                },
            },
            "Whom it looks at, each bot by itself: names, or patterns with *; default this bot.",
        ),
        **ALERT_KINDS,
        "over": told(DURATION, "How far failure_rate, event and no_event look back; default 1h."),
        "at_least": told(
            WHOLE,
            "Fewer ended executions (default 5), or events (default 1), say nothing.",
        ),
        "for": told(DURATION, "It must be wrong for so long before it fires; default 0s."),
        "keep_firing": told(
            DURATION, "It must be well for so long before it is over; default 0s."
        ),
        "notify": told(_NOTICES, "Who is told when it fires, and when it is over."),
        "escalate": told(
            closed(
                {
                    "after": told(DURATION, "It has fired so long."),
                    "notify": told(_NOTICES, "Who is told then, too."),
                },
                "after",
                "notify",
            ),
            "Who is told, too, when nobody looks after it.",
        ),
    },
    "name",
)
