"""The ``tests`` of a bot file are held against what they speak of."""
# ruff: noqa: E501 - a fault a line reads best.

import pytest

BOT = """\
name: x
inputs: {n: {type: integer}}
steps:
  - {id: a, type: fetch, with: {url: "http://x"}}
  - {id: b, type: note, with: {to: log, text: hi}}
tests: [%s]
"""


def told(reader, test):
    problems = reader.read_text(BOT % test, file="x.yaml").problems
    return [f"{each.path}: {each.message}" for each in problems]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("{nme: x}", "tests.0.nme: unknown key 'nme' (did you mean 'name'?)"),
        ("{inputs: {m: 1}}", "tests.0.inputs.m: the bot has no input 'm'"),
        ("{at: yesterday}", "tests.0.at: 'yesterday' is no time with a zone"),
        ("{at: '2026-01-01T00:00:00'}", "is no time with a zone"),
        ("{mocks: {c: {output: 1}}}", "tests.0.mocks.c: neither a step nor a bot type is called 'c'"),
        ("{mocks: {a: {outptu: 1}}}", "(did you mean 'output'?)"),
        ("{mocks: {a: {}}}", "tests.0.mocks.a: needs one of output, error, tries and items"),
        ("{mocks: {a: {output: 1, error: x}}}", "tests.0.mocks.a: needs one of output, error, tries and items"),
        ("{mocks: {a: {tries: []}}}", "tests.0.mocks.a.tries: must not be empty"),
        ("{mocks: {http: [{status: 200}]}}", "tests.0.mocks.http.0: 'url' is missing"),
        ("{mocks: {http: [{url: x, if: 'requst.url == 1'}]}}", "tests.0.mocks.http.0.if: "),
        ("{mocks: {note: [{if: 'params.to ==', output: 1}]}}", "tests.0.mocks.note.0.if: "),
        ("{expect: {status: succeded}}", "(did you mean 'succeeded'?)"),
        ("{expect: {steps: {c: skipped}}}", "tests.0.expect.steps.c: no step is called 'c'"),
        ("{expect: {steps: {a: gone}}}", "tests.0.expect.steps.a: must be one of pending"),
        ("{expect: {effects: [{step: c}]}}", "tests.0.expect.effects.0.step: no step is called 'c'"),
        ("{expect: {that: ['size(efects) == 1']}}", "tests.0.expect.that.0: "),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place_and_its_remedy(reader, test, expected):
    assert any(expected in line for line in told(reader, test)), told(reader, test)


def test_a_sound_test_has_no_fault(reader):
    test = """{name: t, at: "2026-01-01T00:00:00Z", inputs: {n: 1}, state: {k: 1}, secrets: {S: x},
      mocks: {a: {tries: [{error: no, retryable: true}, {output: 1}]}, note: [{if: "params.to == 'log'", output: {}}]},
      expect: {status: failed, cause: error, steps: {a: {tries: 2}, b: skipped}, effects: [{step: b}],
               that: ["size(effects) == 1 && steps.a.status == 'succeeded'"]}}"""
    assert told(reader, test.replace("\n", " ")) == []
