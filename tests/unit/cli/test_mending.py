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


def test_a_draft_goes_into_what_somebody_is_editing_and_takes_nothing_from_them(
    codex32, project, model
) -> None:
    model.ask(builder_model([mended()], PERSONALITIES["competent"]))
    first = project / "bots" / "shares.yaml"
    first.write_text(SHARES)
    failed = codex32("run", "shares", "--input", "n=0", "--json").json
    told = codex32("build", "repair", failed["id"], "--json").json
    assert (told["status"], told["draft"]["file"]) == ("ready", "bots/shares.yaml")
    refused = codex32("build", "accept", told["id"])
    assert f"codex32 build save {told['id']} FOLDER --force" in refused.err

    # Its file has another name by now, a new comment, another text, and half a line.
    file = first.rename(first.with_name("our-shares.yaml"))
    edited = SHARES.replace("Ada's own", "Ada's very own").replace("note: {", "remark: {")
    broken = edited.replace("steps:", "steps: [")
    file.write_text(broken)
    answer = codex32("build", "save", told["id"], "bots/our-shares.yaml", "--force")
    assert answer.code != 0
    assert "our-shares.yaml cannot be merged with the draft for its faults" in answer.err
    assert file.read_text() == broken

    file.write_text(edited)
    answer = codex32("build", "save", told["id"], "bots", "--force")
    assert (answer.code, answer.out) == (0, "wrote bots/our-shares.yaml\n")
    assert not first.exists()
    text = file.read_text()
    assert text.startswith("# Ada's very own words.\n")
    assert "remark: {" in text
    assert "if n else 0" in text

    # What both changed stays as the person has it, and is told.
    file.write_text(edited.replace("10 // n", "12 // n"))
    answer = codex32("build", "save", told["id"], "bots", "--force")
    assert "Conflict: steps.share.with.code stays as it is, without this change:" in answer.out
    assert "  +     return 10 // n if n else 0" in answer.out
    assert "12 // n" in file.read_text()
    assert "if n else 0" not in file.read_text()

    several = f"{edited}---\nname: other\ntype: set\n"
    file.write_text(several)
    answer = codex32("build", "save", told["id"], "bots", "--force")
    assert "several bots" in answer.err
    assert file.read_text() == several


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


def test_what_began_in_another_bot_is_mended_there(codex32, project, model) -> None:
    (project / "bots" / "shares.yaml").write_text(SHARES)
    (project / "bots" / "asks.yaml").write_text(
        "name: asks\nallow: {bots: [shares]}\ntype: bot\nwith: {name: shares, inputs: {n: 0}}\n"
    )
    codex32("run", "shares", "--input", "n=1")
    failed = codex32("run", "asks", "--json").json
    assert failed["status"] == "failed"
    answer = codex32("build", "repair", failed["id"], "--json")
    assert (answer.code, answer.fault["code"]) == (3, "nothing-to-repair")
    beneath = codex32("executions", "show", failed["id"], "--json").json["diagnosis"]["beneath"]
    why = "because shares did (code), and no change of asks ends that; repair"
    assert f"{why} {beneath['execution']} instead" in answer.fault["message"]
    assert not model.asked
    # Whoever says what they want changed is heard.
    assert codex32("build", "repair", failed["id"], "share among one", "--json").code == 1
    assert model.asked


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
