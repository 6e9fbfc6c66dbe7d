"""``codex32 alerts`` in a project folder, without a server."""

import pytest

from codex32.kernel.alert_rows import AlertRow
from codex32.runtime import open_runtime
from codex32.services.bots.written import Written
from codex32_config.settings import load_settings

WATCHED = """\
name: orders
type: set
with: {values: {}}
alerts: [{name: failing, failure_rate: 0.5, notify: [{to: log}]}, {name: late, late_by: 5m}]
"""


@pytest.fixture
def rows(codex32, project):
    """Changes the rows of alerts, as a scheduler does."""
    assert codex32("db", "upgrade").code == 0

    def write(work):
        runtime = open_runtime(load_settings(folder=project, environ={}), "cli")
        try:
            runtime.door.write_now(lambda: work(runtime))
        finally:
            runtime.close()

    def store(runtime):
        written = Written.of(runtime.reader.read_text(WATCHED).only_bot(), WATCHED, "api")
        runtime.registry.store(written, runtime.clock.micros())

    write(store)
    return lambda name, **columns: write(
        lambda _: AlertRow.update(columns).where(AlertRow.name == name).execute()
    )


def listed(codex32, *options):
    return [each["name"] for each in codex32("alerts", "list", *options, "--json").json["alerts"]]


def test_alerts_are_listed_by_how_they_stand(codex32, rows):
    assert listed(codex32) == ["failing", "late"]
    rows("failing", state="firing", detail="7 of 9 executions failed")
    rows("late", turning_since=1)
    assert listed(codex32, "--state", "firing") == ["failing"]
    assert listed(codex32, "--state", "pending") == ["late"]
    assert listed(codex32, "--state", "ok") == []
    assert listed(codex32, "--bot", "other") == []
    assert "7 of 9 executions failed" in codex32("alerts", "list").out
    assert "there is no such alert" in codex32("alerts", "list", "--bot", "other").err


def test_an_alert_is_silenced_for_a_while_and_no_more(codex32, rows):
    told = codex32("alerts", "silence", "orders", "late", "--for", "2h", "--note", "x").out
    assert "orders late is silent until" in told
    shown = codex32("alerts", "show", "orders", "late", "--json").json
    assert (shown["note"], shown["silenced_until"] is not None) == ("x", True)
    assert "silent until" in codex32("alerts", "list").out
    assert codex32("alerts", "unsilence", "orders", "late", "--json").json["silenced_by"] is None
    assert codex32("alerts", "silence", "orders", "late", "--for", "soon").code == 2


def test_somebody_looks_after_what_fires(codex32, rows):
    refused = codex32("alerts", "acknowledge", "orders", "late", "--json")
    assert refused.fault["code"] == "invalid-transition"
    rows("late", state="firing")
    done = codex32("alerts", "acknowledge", "orders", "late", "--note", "on it", "--json").json
    assert done["acknowledged_by"]
    assert "looks after it" in codex32("alerts", "list").out


def test_a_name_that_is_nearly_right_is_suggested(codex32, rows):
    told = codex32("alerts", "show", "orders", "lat")
    assert told.code != 0
    assert "late" in told.err
