"""Alerts over HTTP: looking, silencing, looking after them."""

import pytest

from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.json_values import dumps


@pytest.fixture
def alerts(runtime):
    """Three alerts; the first one fires."""
    now = runtime.clock.micros()

    def write():
        for number, state in enumerate(("firing", "ok", "ok")):
            AlertRow.insert(
                id=f"alr_{number:026}",
                workspace="default",
                bot_id="bot_1",
                bot_name="ping",
                name=f"late-{number}",
                definition=dumps(
                    {"rule": {"name": f"late-{number}", "late_by": "5m"}, "allow": {}}
                ),
                state=state,
                state_since=now,
                created_at=now,
            ).execute()

    runtime.door.write_now(write)
    return [f"/api/v1/alerts/alr_{number:026}" for number in range(3)]


async def test_alerts_come_page_by_page_and_by_state(api, alerts):
    first = (await api("GET", "/api/v1/alerts?limit=2")).json
    rest = (await api("GET", f"/api/v1/alerts?limit=2&cursor={first['next']}")).json
    names = [each["name"] for each in (*first["items"], *rest["items"])]
    assert (names, rest["next"]) == (["late-0", "late-1", "late-2"], None)
    firing = (await api("GET", "/api/v1/alerts?state=firing&state=pending&bot=ping")).json["items"]
    assert [(each["name"], each["kind"], each["limit"]) for each in firing] == [
        ("late-0", "late_by", 300)
    ]
    assert (await api("GET", "/api/v1/alerts?state=on-fire")).status == 422


async def test_an_alert_is_silenced_and_the_audit_log_says_by_whom(api, alerts):
    body = {"seconds": 600, "note": "deploy"}
    told = (await api("POST", f"{alerts[1]}/silence", json=body)).json
    assert (told["silenced_by"], told["note"]) == ("operator", "deploy")
    (entry,) = (await api("GET", "/api/v1/audit?action=alert")).json["items"]
    assert (entry["action"], entry["change"]["alert"]) == ("alert.silenced", "late-1")
    ended = (await api("POST", f"{alerts[1]}/silence", json={"seconds": 0})).json
    assert ended["silenced_until"] is None
    assert (await api("POST", f"{alerts[1]}/silence", json={"seconds": 1e9})).status == 422


async def test_the_first_who_looks_after_it_counts_and_what_does_not_fire_needs_nobody(
    api, alerts
):
    told = (await api("POST", f"{alerts[0]}/acknowledge", json={"note": "on it"})).json
    assert (told["acknowledged_by"], told["note"]) == ("operator", "on it")
    again = (await api("POST", f"{alerts[0]}/acknowledge", json={"note": "me too"})).json
    assert again["note"] == "on it"
    assert (await api("POST", f"{alerts[1]}/acknowledge", json={})).status == 409


async def test_what_is_not_there_is_not_found(api, alerts):
    answer = await api("GET", f"/api/v1/alerts/alr_{9:026}")
    assert (answer.status, answer.json["code"]) == (404, "alert-not-found")
