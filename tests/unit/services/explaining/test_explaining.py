"""Bots in plain words, as a diagram, by what they want, cost, and by what a change means."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from codex32.engine.reading.definition import Reader
from codex32.installed import load_plugins
from codex32.services.ai.prices import Price, Prices
from codex32.services.explaining.changes import meanings
from codex32.services.explaining.cost import History, estimate, tariffs
from codex32.services.explaining.diagram import diagram
from codex32.services.explaining.wants import Want, wants_of
from codex32.services.explaining.words import explain
from codex32_config.settings import load_settings

NOW = datetime(2026, 11, 2, tzinfo=UTC)
DIGEST = """\
name: digest
description: Sums up feeds
triggers:
  - {cron: "0 8 * * 1-5", timezone: Europe/Berlin}
  - {every: 1d, enabled: false}
inputs:
  feeds: {type: array, items: {type: string}, default: ["https://example.com/a", "https://example.com/b"]}
allow:
  hosts: [example.com]
  secrets: [TOKEN]
  models: ["echo:echo"]
  spend_usd: {execution: 0.5, day: 2}
steps:
  - id: fetch
    type: http
    foreach: "${{ inputs.feeds }}"
    with: {url: "https://example.com/${{ item }}", headers: {x-token: "${{ secrets.TOKEN }}"}}
  - id: stop
    type: end
    if: size(steps.fetch.output) == 0
    with: {status: skipped, message: nothing new}
  - id: lines
    type: llm
    foreach: "${{ inputs.feeds }}"
    with: {model: "echo:echo", prompt: "Sum up: ${{ item }}", max_tokens: 1000}
  - id: tell
    type: notify
    with: {to: log, text: '${{ steps.lines.output.join(" \\"<&>") }}'}
on_failure:
  - {id: sorry, type: notify, with: {to: log, text: "no digest"}}
output: "${{ steps.lines.output }}"
"""


@pytest.fixture(scope="module")
def components(tmp_path_factory):
    return load_plugins(load_settings(folder=tmp_path_factory.mktemp("project"))).components


@pytest.fixture
def read(components):
    return lambda text: Reader(components).read_text(text).only_bot()


def test_a_bot_is_explained_in_words_that_are_the_same_every_time(read, components):
    text = explain(read(DIGEST), components).text()
    assert text == explain(read(DIGEST), components).text()
    assert text.startswith("digest: Sums up feeds\n\nIt starts:\n  at 08:00")
    assert "(Europe/Berlin)" in text
    assert "not at present: every 1d" in text
    assert "1. fetches https://example.com/${{ item }}, for each of ${{ inputs.feeds }}" in text
    assert "2. if size(steps.fetch.output) == 0: ends here as skipped: nothing new" in text
    assert "3. asks echo:echo: Sum up: ${{ item }}" in text
    assert "when it fails: tells log: no digest" in text
    assert "use the secret TOKEN" in text
    assert "spend 0.5 USD an execution" in text
    assert "no test" in text
    told = explain(read(DIGEST), components).as_dict()
    assert told["does"][0]["step"] == "fetch"


STRANGE = """\
name: strange
enabled: false
concurrency: {limit: 2, key: "${{ inputs.x }}", when_full: cancel_oldest}
rate: {limit: 10, per: 1m, key: "${{ inputs.x }}"}
inputs: {x: {type: [string, "null"], default: null}}
allow: {hosts: [a.example], models: ["echo:echo"], tools: [look], spend_usd: {execution: 0.000001}}
steps:
  - {id: a, type: http, with: {url: "https://a.example"}, timeout: 5s}
  - {id: b, type: http, needs: [], with: {url: "https://a.example/b"}}
  - {id: c, type: approve, needs: [a, b], with: {text: "ok?", expires: 1h, on_expire: approve}}
  - {id: d, type: approve, with: {text: "sure?", expires: 1h}}
  - {id: e, type: gather, with: {items: [], quiet: "22:00-07:00", timezone: Europe/Berlin}}
  - id: f
    type: agent
    with:
      model: "echo:echo"
      prompt: do
      tools: [{name: look, description: d, args: {}, type: http, with: {url: "https://a.example"}}]
"""


def test_what_a_person_would_guess_wrong_is_told(read, components):
    text = explain(read(STRANGE), components).text()
    for each in (
        "never, as it is switched off; and switched on:",
        "x (string or null, null by default)",
        "1. fetches https://a.example; for 5.0s at most",
        "2. at once, beside the others: fetches https://a.example/b",
        "3. as soon as a and b are done: asks people, and waits for their answer for 1h "
        "(silence approves): ok?",
        "4. asks people, and waits for their answer for 1h (silence refuses): sure?",
        "not between 22:00 and 07:00 (Europe/Berlin)",
        "lets a model act on its own with the tools look: asks echo:echo: do",
        "a person, who is asked before a model that has read text of strangers changes anything",
        "2 execution(s) at once for each ${{ inputs.x }}",
        "of those beyond, the oldest is cancelled",
        "10 execution(s) in 1m00s for each ${{ inputs.x }}",
        "spend 0.000001 USD an execution",
    ):
        assert each in text, text


def test_every_installed_bot_type_and_trigger_is_put_into_words(read, components):
    for name, kind in components.bot_types.items():
        step = f"name: a\nsteps: [{{id: a, type: {name}, with: {{}}}}]\n"
        document = Reader(components).read_text(step).documents[0]
        bot = document.bot or Reader(components).from_document(
            {"name": "a", "steps": [{"id": "a", "type": name}]}
        )
        assert explain(bot, components).does[0][1], kind


def test_the_diagram_shows_what_starts_a_bot_its_steps_and_what_follows_on_what(read):
    drawn = diagram(read(DIGEST))
    assert drawn.startswith("flowchart TD\n")
    assert 't0(["cron 0 8 #42; #42; 1-5"])' in drawn
    assert 's_fetch["fetch<br/>http for each item"]' in drawn
    assert "s_stop{{" in drawn
    for edge in ("t0 --> s_fetch", "s_fetch --> s_stop", "s_stop --> s_lines"):
        assert edge in drawn
    assert "s_tell -. fails .-> b_sorry" in drawn


def test_what_a_bot_wants_is_told_with_what_wants_it(read):
    told = {(each.kind, each.name): list(each.used_by) for each in wants_of(read(DIGEST))}
    assert told["hosts", "example.com"] == ["fetch"]
    assert told["secrets", "TOKEN"] == ["fetch"]
    assert told["models", "echo:echo"] == ["lines"]
    assert told["spend_usd.day", "2 USD"] == []


@pytest.mark.parametrize("auth", ["{scheme: none}", "{scheme: bearer, secret: S}"])
def test_where_everybody_may_start_a_bot_is_told(read, auth):
    trigger = f"{{webhook: {{path: orders, auth: {auth}}}}}"
    bot = read(f"name: a\nallow: {{secrets: [S]}}\ntriggers: [{trigger}]\ntype: end\n")
    told = [each for each in wants_of(bot) if each.kind == "open"]
    open_ = "none" in auth
    assert told == [Want("open", "anybody at /hooks/…/orders", ["triggers.0"])][:open_]


def test_what_a_bot_uses_that_is_the_whole_workspace_s_is_told(read):
    bot = read(
        "name: a\nallow: {models: ['echo:echo'], tools: [tell]}\nsteps:\n"
        "- {id: paid, type: event, with: {name: custom.order.paid}}\n"
        "- {id: keep, type: index, with: {collection: handbook, texts: [], embedder: hash}}\n"
        "- {id: ask, type: agent, with: {model: 'echo:echo', prompt: x, tools: [{name: tell, "
        "description: d, args: {n: {type: string}}, type: event, "
        "with: {name: custom.order.paid}}]}}\n"
        "on_failure: [{id: look, type: retrieve, with: {collection: handbook, query: x}}]\n"
    )
    told = [each for each in wants_of(bot) if each.kind in ("events", "collections", "embedders")]
    assert told == [
        Want("events", "custom.order.paid", ["paid", "ask"]),
        Want("collections", "handbook (changed)", ["keep"]),
        Want("embedders", "hash", ["keep"]),
        Want("collections", "handbook", ["look"]),
    ]


def priced(components, price=None):
    own = {} if price is None else {"echo:echo": price}
    return tariffs(components, Prices(own))


def test_cost_is_what_its_prompts_cost_as_often_as_it_is_due(read, components):
    price = Price(Decimal(1), Decimal(10))
    told = estimate(read(DIGEST), components, priced(components, price), NOW)
    one = 2 * (402 * 1 + 1000 * 10) / 1_000_000
    assert told.execution_usd == pytest.approx(one)
    assert told.executions_month == 22
    assert told.month_usd == pytest.approx(22 * one)
    assert (told.limit_execution_usd, told.limit_month_usd) == (0.5, 60)
    assert told.unknown == ()
    assert any("2 items" in each for each in told.assumed)


def test_no_more_is_told_than_a_bot_may_spend(read, components):
    dear = Price(Decimal(1000), Decimal(1000))
    told = estimate(read(DIGEST), components, priced(components, dear), NOW)
    assert told.execution_usd == 0.5
    assert told.month_usd == 11


def test_a_limit_of_the_month_is_taken_from_a_file_and_told(read, components):
    dear = Price(Decimal(1000), Decimal(1000))
    capped = DIGEST.replace("day: 2}", "day: 2, month: 3}")
    told = estimate(read(capped), components, priced(components, dear), NOW)
    assert (told.month_usd, told.limit_month_usd) == (3, 3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"echo:echo", prompt', '"openai:never-heard-of", prompt', "openai:never-heard-of"),
        ("type: llm\n    foreach", "type: retrieve\n    foreach", "embedder of its collection"),
    ],
    ids=["price", "collection"],
)
def test_what_nobody_knows_is_unknown_and_never_nothing(read, components, old, new, said):
    text = DIGEST.replace(old, new).replace('["echo:echo"]', '["openai:never-heard-of"]')
    if "retrieve" in new:
        text = text.replace(
            'model: "echo:echo", prompt: "Sum up: ${{ item }}", max_tokens: 1000',
            'collection: a, query: "${{ item }}"',
        )
    bot = Reader(components).read_text(text).bots or [
        Reader(components).from_document(Reader(components).read_text(text).documents[0])
    ]
    told = estimate(bot[0], components, priced(components), NOW)
    assert told.execution_usd is None
    assert told.month_usd is None
    assert any(said in each for each in told.unknown)


def test_how_often_people_or_senders_start_a_bot_only_history_tells(read, components):
    text = DIGEST.replace('  - {cron: "0 8 * * 1-5", timezone: Europe/Berlin}\n', "")
    bot = read(text.replace("  - {every: 1d, enabled: false}\n", "").replace("triggers:\n", ""))
    price = Price(Decimal(1), Decimal(10))
    told = estimate(bot, components, priced(components, price), NOW)
    assert told.executions_month is None
    assert told.execution_usd is not None
    assert told.month_usd is None
    told = estimate(bot, components, priced(components), NOW, History(10, 5_000_000_000))
    assert told.based_on == "history"
    assert (told.execution_usd, told.executions_month, told.month_usd) == (0.5, 10, 5.0)
    told = estimate(bot, components, priced(components, price), NOW, History(4, 10**9))
    assert told.based_on == "definition"


def test_a_beat_that_is_too_fast_to_count_is_reckoned(read, components):
    text = DIGEST.replace('cron: "0 8 * * 1-5", timezone: Europe/Berlin', "every: 1m")
    told = estimate(read(text), components, priced(components), NOW)
    assert told.executions_month == pytest.approx(30 * 24 * 60, rel=0.01)


def test_a_change_is_told_by_what_it_means_and_capabilities_come_first(read):
    after = DIGEST.replace("hosts: [example.com]", "hosts: [example.com, evil.example]")
    after = after.replace("day: 2", "day: 1").replace("0 8 * * 1-5", "0 9 * * 1-5")
    after = after.replace("secrets: [TOKEN]", "secrets: [TOKEN, KEY]")
    after = after.replace("nothing new", "nothing").replace(
        "  - id: tell", "  - {id: vips, type: set}\n  - id: tell"
    )
    after = after.replace("Sums up feeds", "Sums up all feeds")
    told = [(each.about, each.kind, each.name) for each in meanings(read(DIGEST), read(after))]
    assert told == [
        ("capability", "widened", "hosts"),
        ("capability", "widened", "secrets"),
        ("capability", "narrowed", "spend_usd.day"),
        ("trigger", "changed", "cron"),
        ("step", "changed", "stop"),
        ("step", "added", "vips"),
        ("text", "changed", "description"),
    ]
    assert meanings(read(DIGEST), read(DIGEST)) == []


def test_steps_that_change_places_are_moved(read):
    step = "  - {id: vips, type: set}\n"
    before = DIGEST.replace("  - id: tell", f"{step}  - id: tell")
    after = DIGEST.replace("on_failure:", f"{step}on_failure:")
    told = [(each.about, each.kind) for each in meanings(read(before), read(after))]
    assert told == [("step", "moved")]


def test_a_person_is_told_which_trigger_is_other_and_what_it_was(read):
    cron = '  - {cron: "0 8 * * 1-5", timezone: Europe/Berlin}\n'
    without = DIGEST.replace(cron, "")
    told = [(each.kind, each.text) for each in meanings(read(DIGEST), read(without))]
    said = "cron 0 8 * * 1-5, timezone Europe/Berlin"
    assert told == [("removed", f"trigger {said} was removed")]
    (moved,) = meanings(read(DIGEST), read(DIGEST.replace("0 8", "0 9")))
    assert moved.text == f"trigger {said} became {said.replace('0 8', '0 9')}"
    assert moved.paths == ["triggers.0.cron"]
    with_another = DIGEST.replace(cron, f"  - {{every: 2h}}\n{cron}")
    (added,) = meanings(read(DIGEST), read(with_another))
    assert (added.text, added.paths) == ("trigger every 2h was added", ["triggers.0"])


def test_what_is_the_first_of_its_kind_has_its_name_told(read):
    before = "name: bare\nsteps:\n  - {id: a, type: set}\n"
    after = (
        "name: bare\ninputs: {limit: {type: integer}}\nsteps:\n  - {id: a, type: set}\n"
        "on_failure:\n  - {id: oops, type: set}\n"
    )
    told = {each.text for each in meanings(read(before), read(after))}
    assert told == {"input limit was added", "step oops was added"}
    told = {each.text for each in meanings(read(after), read(before))}
    assert told == {"input limit was removed", "step oops was removed"}


def test_what_a_step_is_given_beside_is_told(read):
    before = "name: bare\nsteps:\n  - {id: a, type: set, with: {values: {n: 1}}}\n"
    (told,) = meanings(read(before), read(before.replace("id: a", "id: a, timeout: 5s")))
    assert told.text == "step a is other in timeout (added: 5s)"
    (told,) = meanings(read(before.replace("id: a", "id: a, timeout: 5s")), read(before))
    assert told.text == "step a is other in timeout (removed: 5s)"


def test_short_values_are_told_as_they_were_and_are(read):
    (told,) = meanings(read(DIGEST), read(DIGEST.replace("execution: 0.5", "execution: 0.7")))
    assert "0.7" in told.text
    before = "name: bare\nsteps:\n  - {id: a, type: end, if: '1 < 2', with: {status: skipped}}\n"
    (told,) = meanings(read(before), read(before.replace("1 < 2", "1 > 2")))
    assert told.text == "step a is other in if (1 < 2 -> 1 > 2)"
