"""Reading broken bot files: each fault with its place and its remedy, all at once."""
# ruff: noqa: E501 - a fault a line reads best.

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = {
    "steps": '[{id: a, type: fetch, with: {url: "http://x"}}]',
    "inputs": "{n: {type: integer}, s: {type: string}}",
    "allow": "{secrets: [TOKEN]}",
}


def told(reader, **parts):
    """The problems of a bot made of these top-level keys, as ``path: message``."""
    lines = [
        f"{key.rstrip('_')}: {value}" for key, value in {"name": "x", **GOOD, **parts}.items()
    ]
    problems = reader.read_text("\n".join(lines), file="x.yaml").problems
    return [f"{problem.path}: {problem.message}" for problem in problems]


def step(text):
    return {"steps": f'[{{id: a, type: fetch, with: {{url: "http://x"}}}}, {{{text}}}]'}


NOTE = "id: b, type: note, with: {to: log, text: '%s'}"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"descripton": "x"}, "descripton: unknown key 'descripton' (did you mean 'description'?)"),
        ({"name": "Bad_Name"}, "name: a bot's name is a small letter"),
        ({"timeout": "10x"}, "timeout: is no duration"),
        ({"timeout": "5"}, "timeout: must be a text, not 5"),
        ({"timeout": "9999d"}, "timeout: 9999d is longer than ten years"),
        ({"alerts": "[{name: x, late_by: 5m, for: 9999d}]"}, "alerts.0.for: 9999d is longer than ten years"),
        ({"retry": "{attempts: 0}"}, "retry.attempts: must be at least 1, not 0"),
        ({"retry": "{frst: 1s}"}, "retry: 'attempts' is missing"),
        ({"concurrency": "{limit: 1, when_full: que}"}, "(did you mean 'queue'?)"),
        ({"rate": "{limit: 0, per: 1m}"}, "rate.limit: must be at least 1, not 0"),
        ({"rate": "{limit: 10}"}, "rate: 'per' is missing"),
        ({"rate": "{limit: 10, per: a minute}"}, "rate.per: is no duration"),
        ({"rate": "{limit: 10, per: 0s}"}, "rate.per: must be from 10ms to 366d, not 0s"),
        ({"rate": "{limit: 10, per: 1m, key: ''}"}, "rate.key: must not be empty"),
        ({"rate": "{limit: 10, per: 1m, key: '${{ steps.a.output }}'}"}, "rate.key: no step has run by then"),
        (step("id: b, type: note, with: {to: log, text: x}, rate: {limit: 1.5, per: 1m}"), "steps.1.rate.limit: must be a whole number, not 1.5"),
        (step("id: b, type: note, with: {to: log, text: x}, rate: {limit: 1, per: 400d}"), "steps.1.rate.per: must be from 10ms to 366d, not 400d"),
        (step("id: b, type: note, with: {to: log, text: x}, rate: {limit: 1, per: 1m, key: '${{ steps.z.output }}'}"), "steps.1.rate.key: "),
        ({"allow": "{memory: 5}"}, "allow.memory: must be a text, not 5"),
        ({"allow": "{hosts: ['https://a.example/']}"}, "allow.hosts.0: is no host; write for example api.example.com"),
        ({"allow": "{hosts: ['127.0.0.1:*']}"}, "allow.hosts.0: is no host"),
        ({"allow": "{hosts: ['*']}"}, "allow.hosts.0: is no host"),
        ({"allow": "{hots: [x]}"}, "allow.hots: unknown key 'hots' (did you mean 'hosts'?)"),
        ({"steps": "[]"}, "steps: must not be empty"),
        ({"steps": "{}"}, "steps: must be a list, not a mapping"),
        ({"type": "fetch"}, "type: write steps, or type and with, not both"),
        # triggers
        ({"triggers": "[{crn: x}]"}, "triggers.0.crn: no trigger type is called 'crn' (did you mean 'cron'?); installed: cron, every, webhook"),
        ({"triggers": "[{every: 5m, cron: '* * * * *'}]"}, "triggers.0: one kind a trigger, not every and cron"),
        ({"triggers": "[{timezone: UTC}]"}, "triggers.0: a trigger needs a kind"),
        ({"triggers": "[{every: 5m, overlp: skip}]"}, "(did you mean 'overlap'?)"),
        ({"triggers": "[{every: 5m, overlap: never}]"}, "triggers.0.overlap: must be one of allow, skip, queue"),
        ({"triggers": "[{cron: '* *'}]"}, "triggers.0.cron: cron takes five fields"),
        ({"triggers": "[{every: soon}]"}, "triggers.0.every: 'soon' is no duration"),
        ({"triggers": "[{every: 5m, timezone: Europe/Berln}]"}, "(did you mean 'Europe/Berlin'?)"),
        ({"triggers": "[{webhook: {pth: x}}]"}, "triggers.0.webhook: 'path' is missing"),
        ({"triggers": "[{every: 5m, inputs: {m: 1}}]"}, "triggers.0.inputs.m: the bot has no input 'm'"),
        ({"triggers": "[{every: 5m, inputs: {n: x}}]"}, "triggers.0.inputs.n: must be a whole number, not 'x'"),
        ({"triggers": "[{every: 5m, if: 'steps.a.output'}]"}, "triggers.0.if: no step has run by then"),
        ({"triggers": "[{every: 5m, if: 'trigger.at +'}]"}, "triggers.0.if: no expression"),
        # inputs
        ({"inputs": "{n: {type: integer, default: x}}"}, "inputs.n.default: must be a whole number, not 'x'"),
        ({"inputs": "{n: {type: nteger}}"}, "inputs.n.type: "),
        ({"inputs": "{n: {pattern: '(?=a)'}}"}, "inputs.n.pattern: is no pattern of RE2"),
        ({"inputs": "{n: {$ref: 'http://x/y'}}"}, "inputs.n.$ref: a schema cannot refer elsewhere"),
        ({"inputs": "{n-m: {}}"}, "inputs.n-m: 'n-m': an input's name is made of letters"),
        # steps
        (step("id: B, type: note"), "steps.1.id: an id is a small letter"),
        (step("id: in, type: note"), "steps.1.id: an id is a small letter"),
        (step("type: note, with: {to: log}"), "steps.1: 'id' is missing"),
        (step("id: a, type: note, with: {to: log}"), "steps.1.id: two steps are called 'a'; the other is steps.0"),
        (step("id: b, type: nte"), "steps.1.type: no bot type is called 'nte' (did you mean 'note'?); installed: choose, fetch, note, script, stop"),
        (step("id: b, type: fetch"), "steps.1.with: 'url' is missing"),
        (step("id: b, type: fetch, with: {url: 'http://x', methd: GET}"), "unknown key 'methd' (did you mean 'method'?)"),
        (step("id: b, type: fetch, with: {url: 'http://x', pages: many}"), "steps.1.with.pages: must be a whole number, not 'many'"),
        (step("id: b, type: fetch, with: {url: 'http://x', wait: long}"), "steps.1.with.wait: 'long' is no duration"),
        (step("id: b, type: note, with: {to: lg}"), "steps.1.with.to: no notifier is called 'lg' (did you mean 'log'?)"),
        (step("id: b, type: script, with: {code: 'pass'}"), "steps.1.with.code: there is no main"),
        (step("id: b, type: choose, with: {items: [], key: 'itm.x'}"), "steps.1.with.key: nothing is called 'itm' (did you mean 'item'?)"),
        (step("id: b, type: stop, foreach: [1]"), "steps.1.foreach: stop concerns the whole execution"),
        (step("id: b, type: stop, foreach: 5"), "steps.1.foreach: must be a list or ${{ … }}"),
        (step("id: b, type: stop, needs: [zz]"), "steps.1.needs.0: no step is called 'zz'"),
        (step("id: b, type: stop, needs: [b]"), "steps.1.needs: the steps wait for one another: b → b"),
        (step("id: b, type: stop, needs: [c]}, {id: c, type: stop"), "the steps wait for one another: b → c → b"),
        # expressions
        (step(NOTE % "${{ inputs.m }}"), "steps.1.with.text: inputs has no 'm'; there are: n, s"),
        (step(NOTE % "${{ inputs.n + inputs.s }}"), "no matching overload for '_+_' applied to '(int, string)'"),
        (step(NOTE % "${{ steps.z.output }}"), "steps has no 'z'; there are: a"),
        (step(NOTE % "${{ steps.b.output }}"), "step 'b' cannot use its own output"),
        (step(NOTE % "${{ steps.a.outptu }}"), "steps.a has no 'outptu' (did you mean 'output'?)"),
        (step(NOTE % "${{ steps.a.output.boddy }}"), "steps.a.output has no 'boddy' (did you mean 'body'?)"),
        (step(NOTE % "${{ item }}"), "item is there inside foreach only"),
        (step(NOTE % "${{ failure.step }}"), "failure is there inside on_failure only"),
        (step(NOTE % "${{ secrets.OTHER }}"), "secrets has no 'OTHER'; name it in allow.secrets to permit it"),
        (step(NOTE % "${{ json(secrets) }}"), "secrets are used one by one"),
        (step(NOTE % "${{ foo(1) }}"), "no function is called 'foo'"),
        (step(NOTE % "${{ 1"), "${{ is never closed"),
        (step("id: b, type: stop, if: 'secrets.TOKEN == \"x\"'"), "steps.1.if: secrets may stand in 'with' only"),
        (step("id: b, type: stop, if: 'size(inputs.s)'"), "steps.1.if: a condition must be true or false"),
        (step("id: b, type: stop, foreach: 'x ${{ [1] }}'"), "foreach takes a list or one expression"),
        (step("id: b, type: stop, needs: [], if: 'steps.a.status == \"failed\"'"), "step 'a' is not upstream of 'b'; add it to needs"),
        ({"output": "'${{ steps.zz.output }}'"}, "output: steps has no 'zz'"),
        ({"concurrency": "{limit: 1, key: '${{ steps.a.output }}'}"}, "concurrency.key: no step has run by then"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_path_and_its_remedy(reader, parts, expected):
    found = told(reader, **parts)
    assert any(expected in each for each in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", "1:4: a: the anchor &x: bot files have no anchors"),
        ("a: 1\nb: *x\n", "2:4: b: the alias *x: write the value out again"),
        ("a: !!int 1\n", "1:4: a: the tag tag:yaml.org,2002:int: bot files have no tags"),
        ("a: 1\na: 2\n", "2:1: a: the key 'a' stands twice; first in line 1"),
        ("1: 2\n", "1:1: a key must be a text, not 1; quote it: '1'"),
        ("<<: {a: 1}\n", "1:1: the merge <<: write the keys out"),
        ("a: .nan\n", "1:4: a: .nan is no JSON number; quote it to mean the text"),
        ("a: 1e999\n", "1:4: a: 1e999 is too large for a number; quote it"),
    ],
)
def test_yaml_that_bot_files_do_not_have_is_refused_with_its_place(reader, text, expected):
    assert expected in [str(problem) for problem in reader.read_text(text).problems]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: b: c\nunknown: 1\n", "syntax"),
        ("a: [1, 2\n", "syntax"),
        ("a: \x01\n", "syntax"),
        (b"\xff\xfe", "syntax"),
        ("a: " + "[" * 100 + "]" * 100, "limit"),
        ("- a\n" * 20_001, "limit"),
        ("a: " + "x" * (256 * 1024), "limit"),
    ],
)
def test_a_syntax_fault_or_a_limit_is_told_alone(reader, text, code):
    assert [problem.code for problem in reader.read_text(text, file="x.yaml").problems] == [code]


def test_aliases_that_would_grow_without_end_cost_nothing(reader):
    bomb = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(50))
    assert reader.read_text(bomb).bots == []


def test_all_faults_of_a_file_are_told_at_once_in_its_order(reader):
    text = """\
name: x
timout: 5s
steps:
  - id: a
    type: fech
  - id: b
    type: note
    needs: [c]
    with:
      to: log
      text: |
        Hello,
        dear ${{ inputs.who }} and
          ${{ 1 + }}
"""
    problems = reader.read_text(text, file="bots/x.yaml").problems
    assert [(p.line, p.column, p.path) for p in problems] == [
        (2, 1, "timout"),
        (5, 11, "steps.0.type"),
        (8, 13, "steps.1.needs.0"),
        (13, 24, "steps.1.with.text"),
        (14, 18, "steps.1.with.text"),
    ]
    assert str(problems[0]).startswith(
        "bots/x.yaml:2:1: timout: unknown key 'timout' (did you mean 'timeout'?)"
    )


def test_a_plugin_that_fails_while_checking_is_a_problem_and_no_crash(
    reader, components, monkeypatch
):
    def fail(self, params):
        raise RuntimeError("boom")

    monkeypatch.setattr(type(components.bot_types["script"]), "check", fail)
    (problem,) = reader.read_text("name: x\ntype: script").problems
    assert problem.code == "plugin"
    assert "script could not check this: RuntimeError: boom" in problem.message


WORDS = st.sampled_from(
    ["name", "steps", "id", "type", "with", "fetch", "script", "needs", "triggers", "every", "5m", "if",
     "inputs", "${{ item }}", "output", "foreach", "a", "retry", "attempts", "allow", "secrets"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=8))
def test_whatever_a_body_holds_is_a_bot_or_has_problems(reader, document):
    reading = reader.check_document({"name": "x", **document})
    assert bool(reading.bots) != bool(reading.problems)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#\n \t?,%@`0.~", max_size=60))
def test_whatever_a_file_holds_is_a_bot_or_has_problems(reader, text):
    reading = reader.read_text(text)
    assert bool(reading.bots) != bool(reading.problems)
