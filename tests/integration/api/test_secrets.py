"""Secrets and the audit log over HTTP: nothing ever answers a value."""

import logging

import pytest

from codex32.kernel.safe_rows import AuditRow

SECRETS, AUDIT, WHOLE = "/api/v1/secrets", "/api/v1/audit", "/api/v1/instance/audit"
CANARY = "canary-93ab"


async def test_a_secret_is_written_listed_and_deleted_and_never_answered(api, runtime):
    answers = [await api("PUT", f"{SECRETS}/{name}", json={"value": CANARY}) for name in "BAC"]
    answers.append(await api("PUT", f"{SECRETS}/A", json={"value": f"{CANARY} two"}))
    assert [each.json["version"] for each in answers] == [1, 1, 1, 2]
    first = await api("GET", f"{SECRETS}?limit=2")
    rest = await api("GET", f"{SECRETS}?cursor={first.json['next']}")
    names = [each["name"] for page in (first, rest) for each in page.json["items"]]
    assert (names, rest.json["next"]) == (["A", "B", "C"], None)
    answers += [first, rest, await api("GET", f"{SECRETS}/A")]
    assert (await api("DELETE", f"{SECRETS}/A")).status == 204
    answers += [await api("GET", f"{SECRETS}/A"), await api("DELETE", f"{SECRETS}/A")]
    assert [each.status for each in answers[-2:]] == [404, 404]
    assert not any(CANARY in each.text or CANARY in str(each.headers) for each in answers)
    assert await runtime.secrets.secret("default", "B") == CANARY
    assert await runtime.secrets.secret("other", "B") is None


async def test_a_secret_is_written_only_if_it_is_what_the_caller_has_seen(api, runtime):
    async def write(value, **conditions):
        headers = {name.replace("_", "-"): given for name, given in conditions.items()}
        return await api("PUT", f"{SECRETS}/A", json={"value": value}, headers=headers)

    assert (await write("one", If_Match="*")).status == 412
    first = await write("one", If_None_Match="*")
    assert first.status == 201
    refused = await write("two", If_None_Match="*")
    assert (refused.status, refused.json["code"]) == (412, "precondition-failed")
    seen = (await api("GET", f"{SECRETS}/A")).headers["ETag"]
    assert seen == first.headers["ETag"]
    second = await write("three", If_Match=seen)
    assert (second.status, second.headers["ETag"] != seen) == (200, True)
    assert (await write("four", If_Match=seen)).status == 412
    late = await api("DELETE", f"{SECRETS}/A", headers={"If-Match": seen})
    assert late.status == 412
    assert await runtime.secrets.secret("default", "A") == "three"
    present = {"If-Match": second.headers["ETag"]}
    assert (await api("DELETE", f"{SECRETS}/A", headers=present)).status == 204


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"value": [CANARY]}},
        {"json": {"value": ""}},
        {"json": {"secret": CANARY}},
        {"data": CANARY.encode(), "headers": {"Content-Type": "application/json"}},
        {"data": f'{{"value": "{CANARY}'.encode(),
         "headers": {"Content-Type": "application/json"}},
        {"json": {"value": CANARY * 7000}},
    ],
)  # fmt: skip
async def test_no_refusal_echoes_a_value(api, sent, caplog):
    caplog.set_level(logging.DEBUG)
    refused = await api("PUT", f"{SECRETS}/TOKEN", **sent)
    assert refused.status in (400, 422)
    assert CANARY not in refused.text
    assert CANARY not in caplog.text


async def test_who_changed_what_from_where_is_listed_by_workspace_and_as_a_whole(api, runtime):
    written = await api("PUT", f"{SECRETS}/TOKEN", json={"value": CANARY})
    await api("DELETE", f"{SECRETS}/TOKEN")
    entries = (await api("GET", f"{AUDIT}?action=secret")).json["items"]
    assert [each["action"] for each in entries] == ["secret.deleted", "secret.created"]
    created = entries[1]
    assert created["actor"]["kind"] == "operator"
    assert created["address"] == "127.0.0.1"
    assert created["request_id"] == written.headers["X-Request-Id"]
    assert (await api("GET", f"{AUDIT}?limit=1")).json["next"] == "2"
    assert (await api("GET", f"{AUDIT}?cursor=2&limit=5")).json["items"] == [created]
    assert (await api("GET", f"{WHOLE}?actor=operator")).json["items"] == entries
    assert (await api("GET", f"{AUDIT}?subject=other")).json["items"] == []
    moved = AuditRow.select().where(AuditRow.workspace != "default")
    assert await runtime.door.read(moved.count) == 0


async def test_the_whole_log_is_verified(api, runtime):
    await api("PUT", f"{SECRETS}/TOKEN", json={"value": CANARY})
    verdict = (await api("POST", f"{WHOLE}/verify")).json
    assert (verdict["entries"], verdict["broken"]) == (1, None)
