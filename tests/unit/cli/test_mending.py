"""``codex32 build repair``: rules tell what the trouble is, a model mends it, a test proves it."""

from __future__ import annotations

import pytest
import yaml
from codex32_shares import SHARES, mended

from codex32_testing.model_server.builders import PERSONALITIES, builder_model

KEY = ', headers: {key: "${{ secrets.SHOP }}"}'
ASKS = f"""\
name: asks
allow: {{hosts: ["127.0.0.1:9"], secrets: [SHOP]}}
steps:
  - {{id: ask, type: http, with: {{url: "http://127.0.0.1:9/"{KEY}}}}}
"""


def test_a_model_mends_what_failed_and_a_test_from_the_journal_proves_it(
    codex32, project, model
) -> None:
    model.ask(builder_model([mended()], PERSONALITIES["competent"]))
    file = project / "bots" / "shares.yaml"
    file.write_text(SHARES)
    failed = codex32("run", "shares", "--input", "n=0", "--json").json
    assert (failed["status"], len(model.asked)) == ("failed", 0)
    answer = codex32("build", "repair", failed["id"], "--json")
    assert answer.code == 5, answer.err
    told = answer.json
    assert (told["status"], told["repairs"], len(model.asked)) == ("ready", failed["id"], 1)
    assert "(code)" in told["specification"]["purpose"]  # what the rules made of it
    regression = f"does not fail as {failed['id']} did"
    shown = {each["name"]: each["passed"] for each in told["draft"]["proof"]["tests"]}
    assert shown == {regression: True}
    assert [
        each["text"].partition(" is")[0]
        for each in told["draft"]["changes"]
        if each["about"] == "step"
    ] == ["step share"]
    assert file.read_text() == SHARES  # nothing is applied

    # The bot is its file's, so the draft is accepted by writing it there.
    assert codex32("build", "accept", told["id"]).code != 0
    assert codex32("build", "save", told["id"], "bots", "--force").code == 0
    assert file.read_text().startswith("# Ada's own words.\n")
    (test,) = yaml.safe_load(file.read_text())["tests"]
    assert (test["name"], test["inputs"]["n"]) == (regression, 0)
    assert codex32("test", "bots/shares.yaml").code == 0
    assert codex32("run", "shares", "--input", "n=0", "--json").json["output"] == 0
    file.write_text(file.read_text().replace(" if n else 0", ""))
    assert codex32("test", "bots/shares.yaml").code == 1  # as it was, it fails


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        (ASKS, "credential"),
        (ASKS.replace("/127.0.0.1:9/", "/127.0.0.1:8/").replace(KEY, ""), "capability"),
    ],
    ids=["credential", "capability"],
)
def test_trouble_that_no_change_ends_is_told_by_rules_and_no_model_is_asked(
    codex32, project, model, text, trouble
) -> None:
    (project / "bots" / "asks.yaml").write_text(text)
    failed = codex32("run", "asks", "--json").json
    assert failed["status"] == "failed"
    answer = codex32("build", "repair", failed["id"], "--json")
    assert (answer.code, answer.fault["code"]) == (3, "nothing-to-repair")
    assert f"({trouble})" in answer.fault["message"]
    assert codex32("build", "list", "--json").json["sessions"] == []
    assert not model.asked


def test_a_rule_s_change_is_tried_and_no_model_is_asked(codex32, project, model) -> None:
    with (project / "codex32.yaml").open("a") as settings:
        settings.write("outside: {private_hosts: ['127.0.0.1']}\n")
    (project / "bots" / "asks.yaml").write_text(ASKS.replace(KEY, ""))
    failed = codex32("run", "asks", "--json").json
    answer = codex32("build", "repair", failed["id"], "--json")
    assert answer.code == 5, answer.json
    assert "retry:" in answer.json["draft"]["yaml"]
    assert "may pass" in answer.json["draft"]["notes"]
    assert not model.asked
    # Whoever says something about it has a model asked.
    asked = codex32("build", "repair", failed["id"], "the shop has moved", "--json")
    assert asked.json["status"] == "failed"
    assert model.asked
