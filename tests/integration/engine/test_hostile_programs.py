"""What programs say and remember, however hostile, spoils their own step and nothing else."""

from __future__ import annotations

import json

import pytest

#: Past ``codex32_step``, which takes less.
_SAY = """
import json, os, struct
def remember(key, value):
    text = '["state",{"key":' + json.dumps(key) + ',"value":' + value + '}]'
    os.write(3, b"T" + struct.pack(">I", len(text)) + text.encode())
"""


def bot(code: str) -> str:
    step = {"id": "s", "type": "python", "with": {"code": code}}
    last = {"id": "last", "type": "set", "with": {"state": {"last": 1}}}
    return json.dumps({"name": "hostile", "steps": [step], "finally": [last]})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a\x00b", "1"),
        ("\ud800", "1"),
        ("", "1"),
        ("a\nb", "1"),
        ("x" * 256, "1"),
        ("a", "1e999"),
        ("a", "-1e999"),
        ("a", f"[{'9' * 400}.5]"),
    ],
    ids=["nul", "half", "empty", "line", "long", "infinite", "less", "written out"],
)
async def test_what_cannot_be_remembered_fails_its_step(engine, status_of, key, value):
    seen = await engine.run(bot(f"{_SAY}\ndef main(): remember({key!r}, {value!r})"))
    # A number that is none is no word, and passed over; all else is said of the step.
    expected = "succeeded" if key == "a" else "failed"
    assert status_of(seen) == {"s": expected, "last": "succeeded"}
    assert seen.execution.status == expected
    assert await engine.state() == {"last": 1}
    if key != "a":
        assert "a key of the state is a text of 1 to 255 printable" in seen.execution.message


async def test_a_key_that_people_could_not_name_is_refused_where_it_is_written(engine):
    code = "from codex32_step import state\ndef main():\n    state['a\\x00'] = 1"
    seen = await engine.run(bot(code))
    assert "ValueError: a key of the state is a text of 1 to 255" in seen.execution.message


async def test_what_no_json_is_remembered_of_a_plugin_fails_its_step(engine, status_of):
    from codex32 import Succeeded

    engine.do("odd", lambda context, params: Succeeded(1, state={"a": {1, 2}}))
    step = {"id": "s", "type": "scripted", "with": {"do": "odd"}}
    seen = await engine.run(json.dumps({"name": "odd", "steps": [step]}))
    assert status_of(seen) == {"s": "failed"}
    assert "no JSON" in seen.execution.message


@pytest.mark.parametrize("code", ["[1]", "{}", "null", "7", '"raised-up"'])
async def test_an_answer_with_a_code_that_is_none_is_no_answer(engine, status_of, code):
    text = f'{{"error":"e","code":{code}}}'
    forged = f"""
import os, struct, time
def main():
    text = {text!r}
    os.write(3, b"A" + struct.pack(">I", len(text)) + text.encode())
    time.sleep(60)
"""
    seen = await engine.run(bot(forged))
    assert status_of(seen) == {"s": "failed", "last": "succeeded"}
    assert "the answer is no answer" in seen.execution.message


@pytest.mark.parametrize("before", [65_536 - 10, 2 * 65_536 - 10, 1024 * 1024 - 10])
async def test_no_secret_is_told_in_two_pieces_of_a_long_line(engine, before):
    engine.secrets["TOKEN"] = "open-sesame-1748-heron"
    code = f"""
import sys
from codex32_step import log
def main(token):
    print("x" * {before} + token + "y" * 100)
    sys.stderr.write("x" * {before} + token)
    if {before} < 500_000:
        log.info("x" * {before} + token)
"""
    with_ = {"code": code, "args": {"token": "${{ secrets.TOKEN }}"}}
    step = {"id": "s", "type": "python", "with": with_}
    seen = await engine.run(
        json.dumps({"name": "long", "allow": {"secrets": ["TOKEN"]}, "steps": [step]})
    )
    assert seen.execution.status == "succeeded", seen.execution.message
    lines = await engine.logs(seen.execution.id)
    assert max(map(len, lines)) <= 65_536
    told = "".join(lines)
    # Before the bound of all that a program may say, what may be a secret's beginning is left out.
    assert told.count("x***") == (3 if before < 500_000 else 0)
    for part in ("open-", "ope", "sesame", "heron"):
        assert part not in told.replace("[more output was left out]", "")
