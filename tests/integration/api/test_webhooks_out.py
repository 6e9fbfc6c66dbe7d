"""Outbound webhooks over HTTP: made, changed, looked at and replayed, each in its workspace."""

import pytest

from codex32.kernel.caller import Caller
from codex32.services.events import outbound_deliveries as deliveries
from codex32.services.events import outbound_endpoints as endpoints
from codex32.services.events.outbound_endpoints import Wish

WEBHOOKS = "/api/v1/webhooks"
WISH = {"url": "https://example.com/hook", "events": ["execution.failed", "custom.*"]}


@pytest.fixture
def make(api):
    async def made(**more):
        answer = await api("POST", WEBHOOKS, json={**WISH, **more})
        assert answer.status == 201
        return answer.json

    return made


async def test_the_secret_is_shown_once(api, make):
    made = await make(description="orders")
    assert made["secret"].startswith("whsec_")
    read = (await api("GET", f"{WEBHOOKS}/{made['id']}")).json
    assert read == {key: value for key, value in made.items() if key != "secret"}
    assert (read["events"], read["enabled"], read["delivered"]) == (WISH["events"], True, 0)
    for answer in (await api("GET", WEBHOOKS), await api("GET", f"{WEBHOOKS}/{made['id']}")):
        assert "whsec_" not in answer.text
    rotated = (await api("POST", f"{WEBHOOKS}/{made['id']}/rotate")).json
    assert rotated["secret"] not in ("", made["secret"])


@pytest.mark.parametrize(
    "place",
    ["127.0.0.1", "[::1]", "10.1.2.3", "169.254.169.254", "[::ffff:10.0.0.1]", "localhost",
     "2130706433", "127.1", "api.localhost"],
)  # fmt: skip
async def test_a_private_address_is_refused_when_it_is_given(api, make, place):
    private = {"url": f"https://{place}/hook"}
    refused = await api("POST", WEBHOOKS, json={**WISH, **private})
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "url")
    assert "outside.private_hosts" in refused.text
    changed = await api("PATCH", f"{WEBHOOKS}/{(await make())['id']}", json=private)
    assert changed.status == 422


async def test_what_would_not_be_sent_is_no_part_of_a_url(api):
    for end in ("#", "#part"):
        refused = await api("POST", WEBHOOKS, json={**WISH, "url": f"https://example.com/a{end}"})
        assert (refused.status, refused.json["errors"][0]["path"]) == (422, "url")


async def test_it_is_changed_disabled_and_deleted(api, make):
    where = f"{WEBHOOKS}/{(await make())['id']}"
    changed = (await api("PATCH", where, json={"events": ["bot.*"], "enabled": False})).json
    assert (changed["events"], changed["enabled"]) == (["bot.*"], False)
    assert changed["url"] == WISH["url"]
    refused = await api("POST", f"{where}/test")
    assert (refused.status, refused.json["code"]) == (409, "webhook-disabled")
    assert (await api("DELETE", where)).status == 204
    gone = await api("GET", where)
    assert (gone.status, gone.json["code"]) == (404, "webhook-not-found")


async def test_what_is_sent_is_listed_and_replayed(api, make):
    where = f"{WEBHOOKS}/{(await make())['id']}"
    ids = [(await api("POST", f"{where}/test")).json["id"] for _ in range(3)]
    first = (await api("GET", f"{where}/deliveries?limit=2")).json
    assert [each["id"] for each in first["items"]] == ids[:0:-1]
    rest = (await api("GET", f"{where}/deliveries?limit=2&cursor={first['next']}")).json
    assert ([each["id"] for each in rest["items"]], rest["next"]) == (ids[:1], None)
    shown = (await api("GET", f"{where}/deliveries/{ids[0]}")).json
    assert (shown["body"]["type"], shown["attempts"]) == ("webhook.test", [])
    assert (await api("POST", f"{where}/deliveries/{ids[0]}/replay")).status == 202
    failed = (await api("GET", f"{where}/deliveries?status=failed")).json
    assert failed["items"] == []
    again = await api("POST", f"{where}/replay", json={"since": "2026-01-01T00:00:00Z"})
    assert (again.status, again.json) == (202, {"deliveries": 0})
    lost = await api("GET", f"{where}/deliveries/{'msg_' + '0' * 26}")
    assert (lost.status, lost.json["code"]) == (404, "delivery-not-found")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({**WISH, "url": "ftp://example.com"}, "url"),
        ({**WISH, "events": ["execution.fail"]}, "events.0"),
        ({**WISH, "events": []}, "events"),
        ({**WISH, "secret": "whsec_x"}, "secret"),
        ({"url": WISH["url"]}, "events"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(api, body, place):
    answer = await api("POST", WEBHOOKS, json=body)
    assert answer.status == 422
    assert [each["path"] for each in answer.json["errors"]] == [place]


async def test_another_workspaces_is_not_found(api, runtime):
    caller = Caller("user", "usr_1", "ann", workspace="other")
    door, now = runtime.door, runtime.clock.micros()
    wish = Wish(url="https://canary.example.com", events=["custom.*"])
    theirs, _ = await door.write(
        lambda: endpoints.create(runtime.vault, wish, caller, now, workspace="other")
    )
    sent = await door.write(lambda: deliveries.ping(theirs.id, caller, now, workspace="other"))
    where = f"{WEBHOOKS}/{theirs.id}"
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/rotate", {}),
        ("POST", "/test", None),
        ("GET", "/deliveries", None),
        ("GET", f"/deliveries/{sent.id}", None),
        ("POST", f"/deliveries/{sent.id}/replay", None),
        ("POST", "/replay", {"since": "2026-01-01T00:00:00Z"}),
    ):
        answer = await api(method, where + path, json=body)
        assert (answer.status, answer.json["code"]) == (404, "webhook-not-found")
        assert "canary" not in answer.text
    assert (await api("GET", WEBHOOKS)).json["items"] == []
