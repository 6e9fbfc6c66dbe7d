"""Alerts of a bot file: what they may say, and what is told of those that may not be so."""

import pytest

from codex32.builtin import plugin as builtin
from codex32.engine.reading.definition import Reader
from codex32.engine.reading.schema import bot_schema
from codex32.engine.values.validation import Validator
from codex32.kernel.bot import Alert, Escalation
from codex32.kernel.components import Components

COMPONENTS = Components.of(
    bot_types=builtin.register_bot_types(),
    trigger_types=builtin.register_trigger_types(),
    notifiers=builtin.register_notifiers(),
)
HEAD = "allow: {secrets: [HOOK]}\ntype: set\nwith: {values: {}}\nalerts:\n"
#: Of a file that holds nothing else.
ALONE = "description: what concerns all\nlabels: {team: a}\nallow: {secrets: [HOOK]}\nalerts:\n"


@pytest.fixture(scope="module")
def read():
    reader = Reader(COMPONENTS)
    return lambda text, head=HEAD: reader.read_text(head + text, file="b.yaml", default_name="b")


def test_an_alert_is_read_with_its_defaults(read):
    (bot,) = read(
        "  - name: failing\n    failure_rate: 0.2\n"
        "  - name: stale\n    no_success_for: 26h\n    for: 5m\n    keep_firing: 1h\n"
        "    notify: [{to: webhook, target: '${{ secrets.HOOK }}'}]\n"
        "    escalate: {after: 30m, notify: [{to: log}]}\n"
        "  - {name: lost, event: worker.lost, over: 10m}\n"
    ).bots
    assert bot.alerts == (
        Alert("failing", "failure_rate", 0.2, over_seconds=3600.0, at_least=5),
        Alert(
            "stale",
            "no_success_for",
            93600.0,
            over_seconds=3600.0,
            at_least=1,
            for_seconds=300.0,
            keep_seconds=3600.0,
            notify=[{"to": "webhook", "target": "${{ secrets.HOOK }}"}],
            escalate=Escalation(1800.0, [{"to": "log"}]),
        ),
        Alert("lost", "event", "worker.lost", over_seconds=600.0, at_least=1),
    )


@pytest.mark.parametrize(
    ("alert", "path", "message"),
    [
        ("{late_by: 5m}", "alerts.0", "'name'"),
        ("{name: a}", "alerts.0", "looks at one of failure_rate, no_success_for"),
        ("{name: a, late_by: 5m, queued_for: 5m}", "alerts.0", "not at several"),
        ("{name: a, failure_rate: 20}", "alerts.0.failure_rate", "1"),
        ("{name: a, failure_rat: 0.2}", "alerts.0.failure_rat", "failure_rate"),
        ("{name: a, late_by: soon}", "alerts.0.late_by", "duration"),
        ("{name: a, late_by: 5ms}", "alerts.0.late_by", "from 1s to 366d"),
        ("{name: a, late_by: 5m, over: 1h}", "alerts.0.over", "late_by has no 'over'"),
        ("{name: a, no_event: custom.x, at_least: 2}", "alerts.0.at_least", "no 'at_least'"),
        ("{name: a, event: custom.x, over: 8d}", "alerts.0.over", "from 1s to 7d"),
        ("{name: a, event: 'custom.*'}", "alerts.0.event", "name one event"),
        ("{name: a, event: worker.lots}", "alerts.0.event", "worker.lost"),
        ("{name: a, event: alert.resolved}", "alerts.0.event", "would answer itself"),
        ("{name: a, late_by: 5m, notify: [{to: lok}]}", "alerts.0.notify.0.to", "log"),
        (
            "{name: a, late_by: 5m, notify: [{to: log, target: '${{ secrets.NONE }}'}]}",
            "alerts.0.notify.0.target",
            "allow.secrets",
        ),
        (
            "{name: a, late_by: 5m, notify: [{to: log, target: '${{ inputs.x }}'}]}",
            "alerts.0.notify.0.target",
            "inputs",
        ),
        ("{name: a, late_by: 5m, escalate: {after: 5m}}", "alerts.0.escalate", "notify"),
        ("{name: a, event: worker.lost, bots: [x]}", "alerts.0.bots", "remove 'bots'"),
        ("{name: a, late_by: 5m, bots: []}", "alerts.0.bots", "empty"),
        ("{name: a, late_by: 5m, bots: [No]}", "alerts.0.bots.0", "nightly-*"),
        ("{name: a, late_by: 5m, bot: [x]}", "alerts.0.bot", "bots"),
        ("{name: a, late_by: 5m}\n  - {name: a, late_by: 1m}", "alerts.1.name", "two alerts"),
    ],
)
def test_what_cannot_be_so_is_told_where_it_stands(read, alert, path, message):
    (problem,) = read(f"  - {alert}\n").problems
    assert (problem.path, problem.line >= 5) == (path, True)
    assert message in problem.message


def test_a_file_of_alerts_holds_nothing_to_execute(read):
    (bot,) = read(
        "  - {name: failing, bots: [orders, 'report-*'], failure_rate: 0.2}\n"
        "  - {name: lost, event: worker.lost}\n",
        ALONE,
    ).bots
    assert (bot.steps, bot.output) == ((), None)
    assert [alert.bots for alert in bot.alerts] == [("orders", "report-*"), ()]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (f"{ALONE}  - {{name: a, late_by: 5m}}\n", "alerts.0", "say whom it looks at"),
        (f"{ALONE}  - {{name: a, late_bye: 5m}}\n", "alerts.0.late_bye", "late_by"),
        (f"allows: {{}}\n{ALONE}  - {{name: a, event: worker.lost}}\n", "allows", "'allow'"),
        (f"triggers: [{{every: 1h}}]\n{ALONE}  - {{name: a, event: worker.lost}}\n", "", "steps"),
        (f"with: {{}}\n{ALONE}  - {{name: a, event: worker.lost}}\n", "", "a bot needs steps"),
        (f"name: alert-notices\n{HEAD}  - {{name: a, late_by: 5m}}\n", "name", "house's own"),
    ],
)
def test_what_a_file_of_alerts_may_not_say(read, text, path, message):
    (problem,) = read(text, "").problems
    assert (problem.path, problem.line is not None) == (path, True)
    assert message in problem.message


def test_editors_know_files_of_alerts():
    schema = bot_schema(COMPONENTS)
    alone = {"alerts": [{"name": "lost", "event": "worker.lost"}]}
    checked = Validator(schema, trusted=True)
    assert checked.findings(alone) == []
    assert checked.findings({**alone, "type": "set", "with": {"values": {}}}) == []
    assert checked.findings({**alone, "triggers": []})
    assert checked.findings({"name": "x"})
