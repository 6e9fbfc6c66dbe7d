from __future__ import annotations

from typing import Any

import pytest

from codex32.cli.inputs import read_inputs
from codex32.kernel.bot import Bot

BOT = Bot(
    name="b",
    steps=(),
    document={},
    inputs={
        "text": {"type": "string"},
        "whole": {"type": "integer"},
        "yes": {"type": "boolean"},
        "list": {"type": "array"},
        "either": {"type": ["string", "integer"]},
        "maybe": {"type": ["string", "null"]},
        "any": {},
        "guessed": {"default": "x"},
    },
)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("text=12", "12"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("whole=12", 12),
        ("whole=x", "x"),
        ("yes=true", True),
        ("yes=yes", "yes"),
        ('list=[1, "a"]', [1, "a"]),
        ("either=12", 12),
        ("either=true", True),
        ("either=1.5", "1.5"),
        ("maybe=null", None),
        ("maybe=12", "12"),
        ("any=12", 12),
        ("any=NaN", "NaN"),
        ("any=hello", "hello"),
        ("guessed=12", "12"),
        ("unknown=1", 1),
    ],
)
def test_a_value_is_read_as_the_bot_declares_it(pair: str, value: Any) -> None:
    read = read_inputs(BOT, [pair], None)[pair.partition("=")[0]]
    assert (read, type(read)) == (value, type(value))
