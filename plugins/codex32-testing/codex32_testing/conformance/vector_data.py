"""What the suite of vector stores writes and asks: hostile, and enough of it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from codex32 import (
    JSON,
    AllOf,
    AnyOf,
    Between,
    Equals,
    Filter,
    Metric,
    Not,
    OneOf,
    Vector,
    VectorRecord,
)

EAST = VectorRecord("east", [1.0, 0.0, 0.0], "the east", {"side": "right", "n": 1})
NORTH_EAST = VectorRecord("north-east", [0.8, 0.6, 0.0], "between", {"side": "right", "n": 2})
NORTH = VectorRecord("north", [0.0, 1.0, 0.0], "the north", {"side": "up", "n": 3})

#: Texts that end a string, a path or a statement where somebody pasted them into one.
HOSTILE = (
    'x" or bot != "',
    "x' OR '1'='1",
    "'; DROP TABLE vectors; --",
    "a\\",
    'a\\"b',
    "100%_",
    "{}[]()$.*",
    "../../etc/passwd",
    "a/b?c#d&e=f",
    " edge ",
    "line\nbreak\ttab\r",
    "Grüße · 你好 · 🥖",
    "e\u0301",  # not the same as é
    "\u202eright to left",
    "1",
    "true",
    "null",
    "None",
    "x" * 256,
    "🥖" * 64,
)

#: Metadata that comes back as it was.
JSON_METADATA: dict[str, JSON] = {
    "text": 'quoted "text"',
    "whole": 9007199254740991,
    "real": -0.25,
    "yes": True,
    "nothing": None,
    "tags": ["a", "b"],
    "mixed": [1, "1", None, {"deep": [True]}],
    "nested": {"a.b": {"$gt": 1}, "": []},
    "a key. of 'any' \"kind\"": "kept",
    "id": "not the id",
    "vector": [0.1],
    "score": 7,
}

#: What filters are asked of.
LIBRARY: list[dict[str, JSON]] = [
    {"bot": "x", "year": 2020, "tag": ["red", "green"]},
    {"bot": "y", "year": 2021.5, "tag": ["red"], "open": True},
    {"bot": 'x" or bot != "', "year": -3, "open": False},
    {"bot": "1", "year": "2020", "tag": "green"},
    {"bot": 1, "year": 1e9, "tag": [1, 2.5]},
    {"bot": 1.0, "open": 1},
    {"bot": True, "year": True},
    {"bot": None, "year": None, "tag": []},
    {"bot": ["x", "z"], "year": [2020]},
    {"bot": {"x": 1}, "bot_": "x", "Bot": "x"},
    {"a-b": 3, "bot": ""},
    {"bot": 2**63, "year": 10**30},
    {"bot": -(2**64), "year": 10**400},
    {"bot": 10**400, "year": 2**63},
    {},
    *({"bot": text, "n": n} for n, text in enumerate(HOSTILE[1:])),
]

FILTERS: list[Filter] = [
    *(Equals("bot", value) for value in ("x", "1", 1, 1.0, True, False, "", *HOSTILE)),
    *(Not(Equals("bot", value)) for value in ("x", 1, True, *HOSTILE[:4])),
    Equals("tag", "green"),
    Equals("tag", 2.5),
    Equals("open", False),
    Equals("open", 0),
    Equals("a-b", 3),
    Equals("missing", "x"),
    Not(Equals("missing", "x")),
    OneOf("bot", ("x", True, 'x" or bot != "', "🥖" * 64)),
    OneOf("year", (2020, 2021.5)),
    OneOf("bot", ()),
    Not(OneOf("bot", ())),
    Not(OneOf("tag", ("red", 1))),
    Between("year", at_least=2020, at_most=2021.5),
    Between("year", above=2020, below=1e10),
    Between("year", below=0),
    Between("year"),
    Equals("bot", 2**63),
    Equals("bot", 10**400),
    OneOf("bot", (-(2**64), 10**400)),
    Between("year", at_least=10**29),
    Between("year", above=2**62, at_most=10**40),
    Between("year", below=-(10**30)),
    Between("missing", at_least=0),
    Between("a-b", at_least=3, at_most=3),
    Not(Between("year", at_least=2020)),
    AllOf(()),
    AnyOf(()),
    Not(AllOf(())),
    Not(AnyOf(())),
    AllOf((Equals("tag", "red"), Between("year", above=2020))),
    AnyOf((Equals("bot", "y"), Equals("tag", "green"), Equals("open", 1))),
    AllOf((Not(Equals("bot", "x")), AnyOf((Equals("tag", "red"), Not(Between("n", above=3)))))),
    Not(AllOf((Equals("bot", "x"), Not(Equals("tag", "red"))))),
]

#: Vectors that no store may be given.
UNSOUND: dict[str, Vector] = {
    "nan": [math.nan, 0.0, 1.0],
    "infinite": [1.0, math.inf, 0.0],
    "minus-infinite": [1.0, -math.inf, 0.0],
    "zeros": [0.0, 0.0, -0.0],
    "tiny": [1e-30, 0.0, 0.0],
    "huge": [1e30, 0.0, 0.0],
    "text": [1.0, "0", 0.0],  # type: ignore[list-item]
}


def random_records(count: int, dimension: int, seed: int = 32) -> list[VectorRecord]:
    """Records with vectors of different lengths, always the same for a seed."""
    chance = random.Random(seed)  # noqa: S311 - the same each time is what is wanted
    return [
        VectorRecord(
            f"doc-{n:05}",
            [chance.gauss(0, 1) for _ in range(dimension)],
            f"text {n}",
            {"n": n, "part": f"p{n % 10}"},
        )
        for n in range(count)
    ]


def true_score(metric: Metric, one: Vector, other: Vector) -> float:
    """The score that the contract promises, in 64-bit floats."""
    if metric == "euclidean":
        return 1 / (1 + math.dist(one, other))
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot if metric == "dot" else dot / (math.hypot(*one) * math.hypot(*other))


def truly_nearest(
    metric: Metric, vector: Vector, records: Sequence[VectorRecord], limit: int
) -> list[str]:
    """The ids that an exact store answers with, best first."""
    ranked = sorted(records, key=lambda r: true_score(metric, vector, r.vector), reverse=True)
    return [record.id for record in ranked[:limit]]
