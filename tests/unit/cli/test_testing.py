"""``codex32 test``: bots run on the real engine, and nothing of theirs gets out."""

from __future__ import annotations

import json
from xml.etree import ElementTree as Xml

import pytest

SHOP = """\
name: shop
inputs: {items: {type: array, default: [tea, milk]}}
allow: {hosts: [shop.example.com], secrets: [TOKEN], bots: [other]}
steps:
  - id: ask
    type: http
    foreach: "${{ inputs.items }}"
    on_item_error: collect
    retry: {attempts: 3, first: 1h}
    with: {url: "https://shop.example.com/${{ item }}", headers: {x-token: "${{ secrets.TOKEN }}"}}
  - id: pause
    type: wait
    with: {for: 2h}
  - id: order
    type: http
    if: "steps.ask.output[0] != null"
    with: {method: POST, url: "https://shop.example.com/orders", json: {price: "${{ steps.ask.output[0].body.price }}"}}
output: "${{ string(execution.started_at) }}"
"""  # noqa: E501
ANSWERS = '{url: "https://shop.example.com/*", method: GET, body: {price: 3}}'
ORDER = '{url: "*/orders", if: "request.json.price == 3"}'


@pytest.fixture
def tried(codex32, project):
    """Runs one test of the shop; the faults that came of it."""

    def run(mocks: str = "{}", expect: str = "{}", bot: str = SHOP, more: str = "") -> list[str]:
        text = f"{bot}tests:\n  - name: t\n    mocks: {mocks}\n    expect: {expect}\n{more}"
        (project / "shop.yaml").write_text(text)
        answer = codex32("test", "--json", "shop.yaml")
        told = answer.json
        assert answer.code == (1 if told["failed"] or told["problems"] else 0), answer.err
        assert told["problems"] == []
        return told["bots"][0]["tests"][0]["faults"]

    return run


def test_requests_are_answered_from_the_test_and_pauses_pass_at_once(tried) -> None:
    assert tried(f"{{http: [{ORDER}, {ANSWERS}]}}") == []


def test_what_no_mock_covers_fails_the_test_whatever_the_bot_makes_of_it(tried) -> None:
    faults = tried("{http: []}", "{status: succeeded, steps: {order: skipped}}")
    assert faults[:2] == [
        "it would send GET https://shop.example.com/tea",
        "it would send GET https://shop.example.com/milk",
    ]


def test_tries_are_made_as_the_bot_says(tried) -> None:
    torn = '{url: "*/tea", status: 503, times: 2}'
    expect = '{that: ["size(effects) == 1", "steps.ask.output[0].body.price == 3"]}'
    assert tried(f"{{http: [{torn}, {ORDER}, {ANSWERS}]}}", expect) == []


@pytest.mark.parametrize("error", ["unreachable", "cut", "timeout"])
def test_an_answer_may_fail_to_come(tried, error) -> None:
    gone = f'{{url: "*/tea", error: {error}}}'
    expect = "{steps: {order: skipped}, effects: []}"
    assert tried(f"{{http: [{gone}, {ANSWERS}]}}", expect) == []


def test_an_effect_that_was_cut_off_waits_for_a_person(tried) -> None:
    cut = '{url: "*/orders", error: cut}'
    expect = "{status: waiting, steps: {order: unknown}}"
    assert tried(f"{{http: [{cut}, {ANSWERS}]}}", expect) == []


def test_items_and_steps_have_answers_of_their_own(tried) -> None:
    tea = "{output: {status: 200, headers: {}, body: {price: 5}, url: x}}"
    ask = f"{{items: [{tea}, {{error: sold out}}]}}"
    mocks = f"{{ask: {ask}, order: {{error: 'no', code: refused}}}}"
    order = "order: {error: 'no', tries: 1}"
    expect = f"{{status: failed, steps: {{{order}, ask: {{error: 1 of 2 items}}}}}}"
    assert tried(mocks, expect) == []


def test_secrets_are_never_the_real_ones(tried, monkeypatch) -> None:
    monkeypatch.setenv("CODEX32_SECRET_TOKEN", "the real one")
    seen = "{url: \"*\", if: \"request.headers['x-token'] == 'secret-token'\", body: {price: 3}}"
    assert tried(f"{{http: [{seen}], order: {{output: null}}}}") != []  # null is no http output
    own = "{url: \"*\", if: \"request.headers['x-token'] == 'mine'\", body: {price: 3}}"
    assert tried(f"{{http: [{ORDER}, {own}]}}", more="    secrets: {TOKEN: mine}\n") == []


def test_a_host_that_is_not_allowed_is_refused_as_in_earnest(tried) -> None:
    bot = SHOP.replace("hosts: [shop.example.com]", "hosts: [other.example.com]")
    expect = "{steps: {ask: succeeded, order: skipped}, effects: []}"
    assert tried(f"{{http: [{ANSWERS}]}}", expect, bot) == []


CALLER = """\
name: caller
allow: {bots: [other]}
steps:
  - {id: tell, type: notify, with: {to: log, text: begins}}
  - {id: call, type: bot, with: {name: other}}
  - {id: post, type: notify, with: {to: webhook, target: "https://x.example.com", text: done}}
"""


ASKER = """\
name: asker
allow: {connections: [shop]}
steps: [{id: q, type: sql, with: {connection: shop, query: SELECT 1}}]
"""


def test_what_is_at_the_end_of_a_connection_is_outside_too(tried) -> None:
    assert tried(bot=ASKER)[0] == "it would use the connection shop"
    assert tried("{q: {output: []}}", bot=ASKER) == []


def test_other_bots_and_notifiers_are_outside_too(tried) -> None:
    faults = tried(bot=CALLER)
    assert faults[0] == "it would start another bot"
    faults = tried("{call: {output: 1}}", bot=CALLER)
    assert faults[0] == "step post would send a notification: notify webhook"
    mocks = "{call: {output: 1}, notify: [{if: \"params.to == 'webhook'\", output: {id: '7'}}]}"
    faults = tried(mocks, bot=CALLER)
    assert faults[0].startswith("no mock of notify fits step tell")
    mocks = "{call: {output: 1}, notify: [{output: {id: '7'}}]}"
    assert tried(mocks, "{effects: [{step: tell}, {step: post}]}", bot=CALLER) == []


def test_a_test_sets_the_clock_the_trigger_and_the_memory(tried) -> None:
    bot = """\
name: clock
steps:
  - id: a
    type: set
    with: {values: {}, state: {n: "${{ state.n + 1 }}"}}
output: "${{ trigger.kind + ' ' + string(execution.started_at) }}"
"""
    expect = "{output: 'cron 2026-03-01T08:00:00+00:00', state: {n: 2}}"
    more = '    at: "2026-03-01T09:00:00+01:00"\n    state: {n: 1}\n    trigger: {kind: cron}\n'
    assert tried(expect=expect, bot=bot, more=more) == []


def test_inputs_that_do_not_fit_fail_the_test(tried) -> None:
    (fault,) = tried(more="    inputs: {items: 5}\n")
    assert fault.startswith("it cannot be started: ")


COUNTS = """\
type: set
with: {values: {}, state: {n: "${{ state.?n.orValue(0) + 1 }}"}}
tests:
  - {expect: {state: {n: 1}}}
  - {expect: {state: {n: 1}}}
"""


def test_nothing_of_one_test_is_there_in_the_next(codex32, project) -> None:
    (project / "counts.yaml").write_text(COUNTS)
    answer = codex32("test", "counts.yaml")
    assert answer.code == 0, answer.out
    assert not (project / ".codex32" / "codex32.db").exists()


def test_junit_coverage_and_choice(codex32, project) -> None:
    case = (
        f'{{name: "bad \\x01", expect: {{status: failed}}, mocks: {{http: [{ORDER}, {ANSWERS}]}}}}'
    )
    (project / "shop.yaml").write_text(f"{SHOP}tests:\n  - {case}\n")
    answer = codex32("test", "shop.yaml", "--coverage", "--junit", "out.xml")
    assert answer.code == 1
    assert "shop: no test sees order if false" in answer.out
    suite = Xml.parse(project / "out.xml").getroot()[0]
    assert suite.attrib["failures"] == "1"
    assert "status: succeeded, not failed" in suite[0][0].attrib["message"]
    assert codex32("test", "shop.yaml", "-k", "nothing").code == 0


def test_a_broken_file_fails_the_whole(codex32, project) -> None:
    (project / "bots" / "broken.yaml").write_text("name: broken\nsteps: 5\n")
    answer = codex32("test", "--junit", "out.xml")
    assert answer.code == 1
    assert "broken.yaml:2:8: steps: must be a list" in answer.out
    assert "without tests: hello" in answer.err
    # A build server that reads the report alone must not take it for a bot whose tests pass.
    suite = next(
        each
        for each in Xml.parse(project / "out.xml").getroot()
        if each.attrib["file"].endswith("broken.yaml")
    )
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("1", "1")
    assert "steps: must be a list" in (suite[0][0].text or "")


def test_a_recorded_execution_becomes_a_test_that_passes(codex32, project) -> None:
    told = codex32("run", "hello", "--input", "who=Ada", "--json").json
    answer = codex32("test", "--from", told["id"])
    text = (project / "bots" / "hello.yaml").read_text() + answer.out
    (project / "again.yaml").write_text(text)
    assert codex32("test", "again.yaml").code == 0
    case = json.loads(codex32("test", "--json", "--from", told["id"][:-1]).out)
    assert case["inputs"] == {"who": "Ada"}
    assert case["expect"]["output"] == "hello Ada"
    # What another workspace did is not found from here.
    assert codex32("workspaces", "create", "lab").code == 0
    elsewhere = codex32("test", "--from", told["id"], "--workspace", "lab", "--json")
    assert elsewhere.fault["code"] == "execution-not-found"


REFUSED = "type: http\nwith: {url: 'https://shop.example.com/'}\n"


@pytest.mark.parametrize(
    ("bot", "cause"),
    [
        (REFUSED, "capability"),
        ("allow: {bots: [nobody]}\ntype: bot\nwith: {name: nobody}\n", "invalid"),
        ("allow: {bots: [refused]}\ntype: bot\nwith: {name: refused}\n", "error"),
    ],
)
def test_what_failed_makes_a_test_that_fails_of_the_same_cause(
    codex32, project, bot, cause
) -> None:
    (project / "bots" / "refused.yaml").write_text(REFUSED)
    (project / "bots" / "failing.yaml").write_text(bot)
    told = codex32("run", "failing", "--json").json
    assert told["cause"] == cause, told["message"]
    case = codex32("test", "--from", told["id"]).out
    assert f"cause: {cause}" in case
    (project / "again.yaml").write_text(bot + case)
    assert codex32("test", "again.yaml").code == 0


def test_what_waits_for_a_person_makes_a_test_that_waits_for_one(codex32, project) -> None:
    bot = "type: approve\nwith: {text: may I?}\n"
    (project / "bots" / "asking.yaml").write_text(bot)
    told = codex32("run", "asking", "--json").json
    assert told["status"] == "waiting"
    answer = codex32("test", "--from", told["id"])
    (project / "again.yaml").write_text(bot + answer.out)
    assert codex32("test", "again.yaml").code == 0


REACHING = """\
name: reaching
allow: {hosts: ["127.0.0.1"], files: [%s]}
type: python
with:
  code: |
    import os
    def main():
        return [os.path.exists("%s"), "http_proxy" in os.environ]
tests:
  - {expect: {output: [false, false]}}
"""


def test_a_program_has_no_way_out_and_no_files_in_a_test(codex32, project) -> None:
    (project / "kept.txt").write_text("kept")
    (project / "reaching.yaml").write_text(REACHING % ((project / "kept.txt",) * 2))
    answer = codex32("test", "reaching.yaml")
    assert answer.code == 0, answer.out


ASKS = """\
name: asks
allow: {models: ["echo:*"], spend_usd: {execution: 0.05, day: 0.5}}
steps:
  - {id: one, type: llm, with: {model: "echo:echo", prompt: first}}
  - {id: two, type: llm, with: {model: "echo:echo", prompt: second}}
"""


@pytest.mark.parametrize(("cost", "fault"), [("0.025", None), ("0.026", "0.024 USD")])
def test_what_models_cost_in_a_test_is_held_to_what_the_bot_may_spend(tried, cost, fault) -> None:
    mocks = f"{{llm: [{{output: hm, cost_usd: {cost}}}]}}"
    if fault is None:
        assert tried(mocks, bot=ASKS) == []
    else:
        (told,) = tried(mocks, bot=ASKS)
        assert fault in told
        assert "allow.spend_usd.execution" in told
        assert tried(mocks, "{status: failed, cause: budget}", bot=ASKS) == []
