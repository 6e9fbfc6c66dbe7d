"""Automation 10: services are watched, and whatever fails is told of with its cause."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from codex32_automations import model_settings
from codex32_hands import Hands
from codex32_houses import House, until

from codex32_testing.model_server import ModelServer, Turn
from codex32_testing.servers.apart import apart
from codex32_testing.servers.base import Answer, Asked, ServiceServer

START = datetime(2027, 1, 4, 11, tzinfo=UTC)
PLANTED = "sk-planted-0123456789"

WATCH = """\
triggers: [{every: 1m}]
allow: {hosts: ["PLACE"]}
steps:
  - id: ask
    type: http
    foreach: [shop, search, mail, pay, docs]
    parallel: 5
    on_item_error: collect
    with: {url: "http://PLACE/health/${{ item }}"}
  - id: judge
    type: python
    with:
      args: {answers: "${{ steps.ask.output }}", known: "${{ state.?known.orValue({}) }}"}
      code: |
        def main(answers, known):
            news = []
            for name, answer in zip(["shop", "search", "mail", "pay", "docs"], answers):
                was = known.get(name, {"last": [], "open": None, "count": 0})
                last = [*was["last"], answer is not None][-3:]
                down, thread, count = last.count(False) >= 2, was["open"], was["count"]
                if down and thread is None:
                    count += 1
                    thread = f"{name}-{count}"
                    news.append({"thread": thread, "text": f"{name} is down"})
                elif down:
                    news.append({"thread": thread, "text": f"{name} is still down"})
                elif thread is not None:
                    news.append({"thread": thread, "text": f"{name} is up again"})
                    thread = None
                known[name] = {"last": last, "open": thread, "count": count}
            return {"news": news, "known": known}
  - {id: remember, type: set, with: {state: {known: "${{ steps.judge.output.known }}"}}}
  - id: tell
    type: notify
    foreach: "${{ steps.judge.output.news }}"
    with:
      to: webhook
      target: "http://PLACE/incidents"
      text: "${{ item.text }}"
      data: {thread: "${{ item.thread }}"}
"""
DOCTOR = """\
triggers:
  - event: execution.failed
    inputs:
      execution: "${{ trigger.event.data.execution }}"
      bot: "${{ trigger.event.data.bot }}"
inputs: {execution: {type: string}, bot: {type: string}}
allow: {hosts: ["PLACE", "HOUSE"], secrets: [DOCTOR_KEY], models: ["openai:gpt-5-mini"]}
steps:
  - id: failed
    type: http
    with:
      url: "http://HOUSE/api/v1/executions/${{ inputs.execution }}"
      headers: {authorization: "Bearer ${{ secrets.DOCTOR_KEY }}"}
  - id: lines
    type: http
    with:
      url: "http://HOUSE/api/v1/executions/${{ inputs.execution }}/logs"
      headers: {authorization: "Bearer ${{ secrets.DOCTOR_KEY }}"}
  # Rules come first; a model is asked where they know nothing.
  - id: ask
    type: llm
    if: steps.failed.output.body.diagnosis.trouble in ['unknown', 'ended']
    with:
      model: "openai:gpt-5-mini"
      prompt: "${{ json([steps.failed.output.body.error, steps.lines.output.body.items]) }}"
  - id: tell
    type: notify
    needs: [lines, ask]
    if: "true"
    with:
      to: webhook
      target: "http://PLACE/failures/${{ inputs.bot }}"
      title: "${{ inputs.bot }}"
      text: >-
        ${{ steps.ask.status == 'succeeded'
        ? steps.ask.output : steps.failed.output.body.diagnosis.trouble }}
"""
ROLLUP = """\
triggers: [{cron: "0 7 * * *"}]
allow: {hosts: ["PLACE", "HOUSE"], secrets: [DOCTOR_KEY]}
steps:
  - id: failed
    type: http
    with:
      url: "http://HOUSE/api/v1/executions"
      query: {status: failed, limit: 100}
      headers: {authorization: "Bearer ${{ secrets.DOCTOR_KEY }}"}
  - id: each
    type: http
    foreach: "${{ steps.failed.output.body.items.map(each, each.id) }}"
    with:
      url: "http://HOUSE/api/v1/executions/${{ item }}"
      headers: {authorization: "Bearer ${{ secrets.DOCTOR_KEY }}"}
  - id: count
    type: python
    with:
      args: {troubles: "${{ steps.each.output.map(r, r.body.diagnosis.trouble) }}"}
      code: |
        def main(troubles):
            return ", ".join(f"{troubles.count(each)} {each}" for each in sorted(set(troubles)))
  - id: tell
    type: notify
    with: {to: webhook, target: "http://PLACE/rollups", text: "${{ steps.count.output }}"}
"""
ASK = """\
allow: {hosts: ["PLACE", "127.0.0.1:1"]}
type: http
with: {url: "URL"}
"""
#: What no rule knows: it gives up of itself, and has said a secret before.
ODD = """\
allow: {secrets: [PLANTED]}
steps:
  - id: work
    type: python
    with:
      args: {key: "${{ secrets.PLANTED }}"}
      code: |
        def main(key):
            print("signed in with", key)
  - {id: stop, type: end, with: {status: failed, message: the tea is cold}}
"""
FAILING = {
    "locked": ASK.replace("URL", "http://PLACE/answer/401"),
    "pressed": ASK.replace("URL", "http://PLACE/answer/429"),
    "slow": ASK.replace("URL", "http://PLACE/answer/504"),
    "away": ASK.replace("URL", "http://127.0.0.1:1/"),
    "garbled": ASK.replace("URL", "http://PLACE/answer/404"),
    "wrong": "inputs: {a: {type: object, default: {}}}\ntype: set\n"
    'with: {values: {b: "${{ inputs.a.b.c }}"}}\n',
    "odd": ODD,
    "cursed": ASK.replace("URL", "http://PLACE/answer/401"),
}
TROUBLES = {
    "locked": "credential",
    "pressed": "rate_limit",
    "slow": "timeout",
    "away": "network",
    "garbled": "data",
    "wrong": "expression",
    "odd": "the pot was never filled",
}


class Site(ServiceServer):
    """The services that are looked at, and whoever is told."""

    def __init__(self) -> None:
        super().__init__()
        self.ill: set[str] = set()
        self.incidents: list[tuple[str, str]] = []
        self.failures: dict[str, str] = {}
        self.rollups: list[str] = []

    def answer(self, asked: Asked) -> Answer:
        _, where, *more = asked.path.split("/")
        match where:
            case "health":
                return Answer(500 if more[0] in self.ill else 200, json={})
            case "answer":
                return Answer(int(more[0]), json={})
            case "incidents":
                told = asked.json()
                self.incidents.append((told["data"]["thread"], told["text"]))
            case "failures" if more[0] == "cursed":
                return Answer(500, json={})
            case "failures":
                self.failures[more[0]] = asked.json()["text"]
            case "rollups":
                self.rollups.append(asked.json()["text"])
        return Answer(json={})


@pytest.mark.timeout(600)
def test_services_are_watched_and_failures_are_told_with_their_cause(
    build: Any, hands: Hands, model: ModelServer
) -> None:
    with apart(Site) as (site, _):
        place = site.url().removeprefix("http://")
        settings = {**model_settings(model), "outside": {"private_hosts": ["127.0.0.1"]}}
        house: House = build(
            "servers",
            settings,
            CODEX32_SECRET_OPENAI_API_KEY=model.key,
            CODEX32_SECRET_PLANTED=PLANTED,
        )
        hands.put_to(START - timedelta(minutes=5))
        house.start()
        (house.folder / "key").write_text(house.token)
        assert house.cli("secrets", "set", "DOCTOR_KEY", "--file", "key").returncode == 0
        api = json.loads((house.folder / ".codex32" / "api.json").read_text())["url"]
        changes = {"PLACE": place, "HOUSE": api.removeprefix("http://")}

        def add(name: str, text: str) -> None:
            for old, new in changes.items():
                text = text.replace(old, new)
            house.add(name, text)

        _failures(house, site, model, add)
        _incidents(house, site, hands, add)
        hands.put_to(datetime(2027, 1, 5, 7, 0, 1, tzinfo=UTC))
        until(lambda: site.rollups, "the day is summed up")
        assert "1 expression" in site.rollups[0]
        assert "2 credential" in site.rollups[0]


def _failures(house: House, site: Any, model: ModelServer, add: Any) -> None:
    model.always(Turn("the pot was never filled"))
    add("failure-doctor", DOCTOR)
    add("rollup", ROLLUP)
    for name, text in FAILING.items():
        add(name, text)
        house.reach(house.execute(name), "failed")
    until(lambda: len(site.failures) == len(TROUBLES), "all are told of")
    assert site.failures == TROUBLES

    # One whose own telling fails is not looked at by itself.
    def doctors() -> list[Any]:
        made = house.executions("failure-doctor")
        open_ = [each for each in made if each["status"] not in ("succeeded", "failed")]
        return made if len(made) >= len(FAILING) and not open_ else []

    made = until(doctors, "every failure was looked at")
    assert sorted(each["status"] for each in made) == ["failed"] + ["succeeded"] * len(TROUBLES)
    assert len(house.executions("failure-doctor")) == len(FAILING)

    # A model was asked once, of what no rule knows, and never saw what must not be seen.
    (asked,) = model.asked
    assert "the tea is cold" in str(asked)
    assert "signed in with" in str(asked)
    assert PLANTED not in str(asked)


def _incidents(house: House, site: Any, hands: Hands, add: Any) -> None:
    def watches() -> list[Any]:
        return house.executions("watch")

    add("watch", WATCH)
    at = START
    for count, ill in enumerate([(), ("pay",), (), ("pay",), ("pay",), (), (), ()], 1):
        site.ill = set(ill)
        at += timedelta(minutes=1)
        hands.put_to(at + timedelta(seconds=1))
        until(lambda count=count: len(watches()) >= count, f"it looks at {at}")  # type: ignore[misc]
        house.succeed(watches()[0]["id"])
    assert site.incidents == [
        ("pay-1", "pay is down"),
        ("pay-1", "pay is still down"),
        ("pay-1", "pay is still down"),
        ("pay-1", "pay is up again"),
    ]
