"""Bots, versions, times, state and use of one workspace are nothing to another."""

import json

import pytest

from codex32.kernel.models import ExecutionRow

CANARY = "canary-of-the-other"
BOT = f"""\
name: theirs
description: {CANARY}
triggers: [{{every: 1h}}]
type: python
with:
  code: |
    # {CANARY}
    def main():
        return 1
"""
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
async def two(api, people):
    """Ada administers ``default``, Bob ``other``; Bob has a bot with everything around it."""
    await people.add("ada", "admin")
    await people.add("bob")
    await people.join("bob", "admin", "other")
    tokens = {name: (await people.sign_in(name))["access_token"] for name in ("ada", "bob")}
    bob = tokens["bob"]
    made = await api("POST", "/api/v1/bots", token=bob, data=BOT.encode(), headers=YAML)
    assert made.status == 201, made.text
    await api("PATCH", "/api/v1/bots/theirs", token=bob, json={"labels": {"team": CANARY}})
    value = {"key": "k", "value": CANARY}
    put = await api("PUT", "/api/v1/bots/theirs/state/entry", token=bob, json=value)
    assert put.status == 201
    await api("POST", "/api/v1/bots/theirs/execute", token=bob)
    return tokens


OF_ONE = [
    ("GET", ""),
    ("GET", "/definition"),
    ("GET", "/versions"),
    ("GET", "/versions/1"),
    ("GET", "/diff"),
    ("GET", "/schedule"),
    ("GET", "/why"),
    ("GET", "/state"),
    ("GET", "/state/entry?key=k"),
    ("PATCH", ""),
    ("DELETE", ""),
    ("DELETE", "/state/entry?key=k"),
    ("PUT", "/state/entry"),
    ("POST", "/enable"),
    ("POST", "/disable"),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("POST", "/rollback"),
    ("POST", "/versions/1/activate"),
    ("POST", "/versions/1/approve"),
    ("POST", "/execute"),
    ("POST", "/backfill"),
]


async def test_a_bot_of_another_workspace_is_not_there(api, two, runtime):
    for method, tail in OF_ONE:
        body = {}
        if (method, tail) == ("PUT", "/state/entry"):
            body = {"json": {"key": "k", "value": 1}}
        elif method == "PATCH":
            body = {"json": {"description": "mine"}}
        elif tail == "/backfill":
            times = {"from": "2026-01-05T00:00:00Z", "to": "2026-01-05T01:00:00Z"}
            body = {"json": times}
        answer = await api(method, f"/api/v1/bots/theirs{tail}", token=two["ada"], **body)
        assert (method, tail, answer.status, answer.json["code"]) == (
            method, tail, 404, "bot-not-found",
        )  # fmt: skip
        assert CANARY not in answer.text
        assert "did you mean" not in answer.text
    assert await runtime.door.read(ExecutionRow.select().count) == 1


async def test_lists_hold_what_is_in_the_workspace_alone(api, two):
    for path in ("/bots", "/bots?status=removed", "/bots?label=team", "/schedules", "/usage"):
        mine = await api("GET", f"/api/v1{path}", token=two["ada"])
        assert (path, mine.status, mine.json["items"]) == (path, 200, [])
    theirs = await api("GET", f"/api/v1/bots?text={CANARY}", token=two["bob"])
    assert [bot["name"] for bot in theirs.json["items"]] == ["theirs"]
    for path in ("/schedules", "/usage"):
        assert len((await api("GET", f"/api/v1{path}", token=two["bob"])).json["items"]) == 1


async def test_two_workspaces_have_bots_of_the_same_name(api, two):
    mine = await api("PUT", "/api/v1/bots/theirs", token=two["ada"],
                     data=BOT.replace(CANARY, "mine").encode(), headers=YAML)  # fmt: skip
    assert (mine.status, mine.json["version"]) == (201, 1)
    read = await api("GET", "/api/v1/bots/theirs", token=two["ada"])
    assert (read.json["owner"], CANARY in read.text) == ("ada", False)
    checked = await api("POST", "/api/v1/bots/validate", token=two["ada"],
                        data=BOT.encode(), headers=YAML)  # fmt: skip
    assert checked.json["bots"][0]["widens"] == []
    await api("DELETE", "/api/v1/bots/theirs", token=two["ada"])
    assert (await api("GET", "/api/v1/bots/theirs", token=two["bob"])).json["status"] == "active"


async def test_who_may_only_look_changes_nothing(api, two, people):
    await people.add("eve")
    await people.join("eve", "viewer", "other")
    eve = (await people.sign_in("eve"))["access_token"]
    for method, tail in OF_ONE:
        answer = await api(method, f"/api/v1/bots/theirs{tail}", token=eve)
        if method == "GET":
            assert answer.status == 200, answer.text
        else:
            assert (method, tail, answer.status) == (method, tail, 403)
    state = (await api("GET", "/api/v1/bots/theirs/state", token=eve)).json["items"]
    assert json.dumps([each["value"] for each in state]) == json.dumps([CANARY])
