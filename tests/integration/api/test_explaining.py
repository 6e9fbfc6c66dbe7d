"""A bot explained through the API: in words, as a diagram, by what it wants and costs."""

from __future__ import annotations

YAML = {"Content-Type": "application/yaml"}
DIGEST = """\
name: digest
description: Sums up what is new
triggers: [{every: 1d}]
allow: {models: ["openai:never-heard-of"], hosts: [example.com]}
steps:
  - {id: fetch, type: http, with: {url: "https://example.com/feed"}}
  - id: lines
    type: llm
    with: {model: "openai:never-heard-of", prompt: "Sum up: ${{ json(steps.fetch.output.body) }}"}
output: "${{ steps.lines.output }}"
"""


async def test_a_bot_is_explained_and_what_nobody_knows_is_null(api):
    made = await api("POST", "/api/v1/bots", data=DIGEST.encode(), headers=YAML)
    assert made.status == 201, made.text
    told = (await api("GET", "/api/v1/bots/digest/explanation")).json
    assert told["summary"] == "Sums up what is new"
    assert told["starts"][0] == "every 1d"
    assert told["does"][0] == {"step": "fetch", "text": "fetches https://example.com/feed"}
    assert told["diagram"].startswith("flowchart TD\n")
    assert {"kind": "hosts", "name": "example.com", "used_by": ["fetch"]} in told["wants"]
    assert told["cost"]["executions_month"] == 30
    assert told["cost"]["execution_usd"] is None
    assert told["cost"]["month_usd"] is None
    assert told["cost"]["unknown"] == ["lines: what openai:never-heard-of costs"]
    assert (await api("GET", "/api/v1/bots/nobody/explanation")).status == 404


async def test_a_comparison_says_what_a_change_means(api):
    await api("POST", "/api/v1/bots", data=DIGEST.encode(), headers=YAML)
    wider = DIGEST.replace("[example.com]", "[example.com, example.org]")
    await api("PUT", "/api/v1/bots/digest", data=wider.encode(), headers=YAML)
    told = (await api("GET", "/api/v1/bots/digest/diff")).json
    assert told["meanings"] == [
        {
            "about": "capability",
            "kind": "widened",
            "name": "hosts",
            "text": "it may now: hosts: example.org",
            "paths": ["allow.hosts"],
        }
    ]
    assert [each["path"] for each in told["changes"]] == ["allow.hosts"]
