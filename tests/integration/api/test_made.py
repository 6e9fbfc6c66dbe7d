"""``PUT`` says whether it made something: 201 the first time, 200 from then on."""

import pytest

SET = {"type": "set", "with": {"values": {}}}
PLACES = {
    "/bots/new": [SET, {**SET, "description": "other"}, SET],
    "/bots/old/state/entry": [{"key": "k", "value": 1}, {"key": "k", "value": 2}],
    "/secrets/NEW": [{"value": "v"}, {"value": "w"}],
    "/connections/new": [{"type": "http", "host": "example.com"}] * 2,
    "/collections/notes/documents": [{"source": "a", "text": "b"}, {"source": "a", "text": "c"}],
    "/members/anna": [{"role": "viewer"}, {"role": "user"}],
}


@pytest.mark.parametrize("path", PLACES)
async def test_what_is_new_is_told_so_and_what_is_changed_is_not(api, people, path):
    await people.add("anna")
    await api("PUT", "/api/v1/bots/old", json=SET)
    answers = [await api("PUT", f"/api/v1{path}", json=body) for body in PLACES[path]]
    assert [each.status for each in answers] == [201] + [200] * (len(answers) - 1)


async def test_a_bot_that_was_deleted_is_made_anew(api):
    where = "/api/v1/bots/new"
    made = await api("PUT", where, json=SET)
    assert (made.status, made.headers["Location"]) == (201, where)
    assert (await api("DELETE", where)).status == 204
    again = await api("PUT", where, json=SET)
    assert (again.status, again.json["version"]) == (201, 1)
    assert (await api("PUT", where, json=SET)).status == 200


async def test_somebody_who_is_taken_in_is_told_to_be_new(api, people):
    await people.add("anna")
    wish = {"user": "anna", "role": "viewer"}
    assert [(await api("POST", "/api/v1/members", json=wish)).status for _ in "12"] == [201, 200]


HALF = r'"half a character \ud800"'
HALVES = {
    ("POST", "/bots"): f'{{"name": "a", "type": "set", "description": {HALF}}}',
    ("POST", "/bots/old/execute"): f'{{"inputs": {{"text": {HALF}}}}}',
    ("PUT", "/bots/old/state/entry"): f'{{"key": "k", "value": {HALF}}}',
    ("POST", "/events"): f'{{"name": "custom.a", "data": {HALF}}}',
    ("POST", "/workspaces"): f'{{"name": "lab", "title": {HALF}}}',
    ("PUT", "/secrets/NEW"): f'{{"value": {HALF}}}',
    ("PUT", "/collections/notes/documents"): f'{{"source": "a", "text": {HALF}}}',
    ("POST", "/webhooks"): (
        f'{{"url": "https://example.com", "events": ["*"], "description": {HALF}}}'
    ),
}


@pytest.mark.parametrize("route", HALVES, ids=" ".join)
async def test_half_a_character_is_refused_or_kept_and_no_fault_of_ours(api, route):
    method, path = route
    await api("PUT", "/api/v1/bots/old", json={**SET, "inputs": {"text": {"type": "string"}}})
    headers = {"Content-Type": "application/json"}
    answer = await api(method, f"/api/v1{path}", data=HALVES[route].encode(), headers=headers)
    assert answer.status in (200, 201, 202, 400, 422), answer.text
