"""Of what is in one workspace, nobody of another sees, changes or is told a byte, on any route.

Everything that can be is put into *their* workspace, with a canary in it. Then every operation of
the document is called by an administrator of *mine*, with their ids in paths and bodies. A route
that is new fails here until it is said what it would be asked.
"""

import asyncio
import json
import re
from dataclasses import replace

import pytest

from codex32.api.application import all_operations
from codex32.api.callers import OPERATOR
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.ids import new_id
from codex32.kernel.models import ApprovalRow, ExecutionRow, LogLineRow, StepRow
from codex32.kernel.outbound_rows import DeliveryRow
from codex32.kernel.permissions import PERMISSIONS, Level
from codex32.services.building import sessions

CANARY = "canary7f3a"
BOT = "elsewhere"
#: Open to strangers: they are in no workspace, and prove themselves otherwise.
STREAMS = {"executions.follow", "executions.stream", "events.stream"}


class Theirs:
    """A workspace with one of everything, and the canary in all of it."""

    def __init__(self, api, runtime, people, mine, theirs):
        self.api, self.runtime, self.people = api, runtime, people
        self.mine, self.name = mine, theirs
        self.ids = {}

    async def call(self, method, path, **more):
        headers = {"X-Workspace": self.name}
        answer = await self.api(method, f"/api/v1{path}", headers=headers, **more)
        assert answer.status < 300, answer.text
        return answer.json if answer.text else None

    async def fill(self):
        account = await self.people.add("other")
        await self.people.join("other", "admin", self.name)
        token = (await self.people.sign_in("other"))["access_token"]
        key = {"name": CANARY, "scopes": ["bots.read"]}
        made = await self.api("POST", "/api/v1/auth/keys", token=token, json=key)
        sessions = await self.api("GET", "/api/v1/auth/sessions", token=token)
        bot = {
            "name": BOT,
            "description": CANARY,
            "type": "set",
            "with": {"values": {"a": CANARY}},
        }
        bot |= {
            "inputs": {"n": {"type": "string", "default": CANARY}},
            "triggers": [{"every": "1d"}, {"mcp": {}}],
        }
        await self.call("POST", "/bots", json=bot)
        await self.call("PUT", f"/bots/{BOT}/state/entry", json={"key": "k", "value": CANARY})
        for name in ("live", "dead"):
            self.ids[name] = (await self.call("POST", f"/bots/{BOT}/execute"))["id"]
        await self.call("PUT", "/secrets/ELSEWHERE", json={"value": CANARY})
        place = {"type": "http", "host": f"{CANARY}.example.com"}
        await self.call("PUT", f"/connections/{BOT}", json=place)
        note = {"source": CANARY, "text": f"the {CANARY} sings", "metadata": {"a": CANARY}}
        await self.call("PUT", f"/collections/{BOT}/documents", json=note)
        hook = {"url": f"https://{CANARY}.example.com/", "events": ["custom.*"]}
        webhook = (await self.call("POST", "/webhooks", json=hook))["id"]
        event = {"name": f"custom.{CANARY}", "data": {"a": CANARY}}
        self.ids["event"] = (await self.call("POST", "/events", json=event))["id"]
        self.ids |= {"webhook": webhook, "delivery": new_id("dlv"), "approval": new_id("apr")}
        self.ids |= {"alert": new_id("alr")}
        self.ids |= {"key": made.json["id"], "session": sessions.json["items"][0]["id"]}
        self.ids |= {"account": account}
        await self.runtime.door.write(self._rows)

    def _rows(self):
        now, live = self.runtime.clock.micros(), self.ids["live"]
        text = json.dumps({"a": CANARY})
        ExecutionRow.update(
            status="failed", cause="error", message=CANARY, finished_at=now, ready_at=None
        ).where(ExecutionRow.id == self.ids["dead"]).execute()
        StepRow.insert(
            execution_id=live, step="main", status="unknown", effect="once", output=text
        ).execute()
        LogLineRow.insert(execution_id=live, at=now, level="info", message=CANARY).execute()
        request = {"text": CANARY, "to": [CANARY], "form": None, "on_expire": "reject"}
        ApprovalRow.insert(
            id=self.ids["approval"], workspace=self.name, execution_id=live, bot_name=BOT,
            step="main", status="pending", request=json.dumps(request), created_at=now,
        ).execute()  # fmt: skip
        rule = {"name": CANARY, "late_by": "5m"}
        AlertRow.insert(
            id=self.ids["alert"], workspace=self.name, bot_id="bot_1", bot_name=BOT, name=CANARY,
            definition=json.dumps({"rule": rule, "allow": {}}), state="firing", state_since=now,
            detail=CANARY, created_at=now,
        ).execute()  # fmt: skip
        DeliveryRow.insert(
            id=self.ids["delivery"], workspace=self.name, endpoint_id=self.ids["webhook"],
            event_id=self.ids["event"], name="custom.x", body=text, status="failed",
            created_at=now, finished_at=now,
        ).execute()  # fmt: skip
        order = sessions.Order(CANARY, "nobody:none", budget_nano=1, seconds=60.0)
        begun = sessions.begin(order, replace(OPERATOR, workspace=self.name), now)
        sessions.put(replace(begun, status="failed", message=CANARY), now)
        self.ids["build"] = begun.id


def values(theirs):
    """What stands in the paths, by the family of operations."""
    ids = theirs.ids
    bot = {"name": BOT, "number": "1"}
    return {
        "executions": {"id": ids["live"]},
        "dead-letters": {"id": ids["dead"]},
        "approvals": {"id": ids["approval"]},
        "alerts": {"id": ids["alert"]},
        "builds": {"session_id": ids["build"]},
        "webhooks": {"id": ids["webhook"], "delivery": ids["delivery"]},
        "keys": {"id": ids["key"]},
        "account": {"id": ids["key"], "name": theirs.name},
        "sessions": {"id": ids["session"]},
        "users": {"id": ids["account"]},
        "workspaces": {"name": theirs.name},
        "members": {"user": "other"},
        "secrets": {"name": "ELSEWHERE"},
        "collections": {"name": BOT},
        "connections": {"name": BOT},
        "bots": bot,
        "versions": bot,
        "state": bot,
        "schedules": bot,
    }


def tool(method, **params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def bodies(theirs):
    """What stands in the bodies of those that take one; their ids where ids may stand."""
    ids = [theirs.ids["live"], theirs.ids["dead"]]
    definition = {"name": BOT, "type": "set", "with": {"values": {}}}
    return {
        "account.change": {"full_name": "me"},
        "account.password": {"current": "x", "new": "y"},
        "account.keys.create": {"name": "k", "scopes": ["bots.read"]},
        "users.create": {},
        "users.change": {"full_name": "x"},
        "workspaces.create": {"name": "new"},
        "workspaces.change": {"title": "x"},
        "members.add": {"user": "mine", "role": "admin"},
        "members.change": {"role": "viewer"},
        "bots.backfill": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
        "bots.create": definition,
        "bots.validate": definition,
        "bots.replace": definition,
        "bots.patch": {"description": "x"},
        "bots.rollback": {"version": 1},
        "state.write": {"key": "k", "value": 1},
        "bots.execute": {},
        "executions.start": {"bot": BOT},
        "executions.bulk.cancel": {"ids": ids},
        "executions.bulk.retry": {"ids": ids},
        "dead-letters.bulk.dismiss": {"ids": ids},
        "executions.retry": {},
        "executions.resolve": {"decision": "sent"},
        "dead-letters.dismiss": {},
        "approvals.approve": {},
        "approvals.reject": {},
        "alerts.silence": {"seconds": 60},
        "alerts.acknowledge": {},
        "builds.create": {"description": "mine"},
        "builds.repair": {"execution": ids[0], "model": "nobody:none"},
        "builds.answer": {"answers": {}},
        "builds.branch": {},
        "builds.accept": {"digest": "0" * 64},
        "mcp.message": tool("tools/call", name=BOT, arguments={}),
        "events.publish": {"name": "custom.mine"},
        "secrets.write": {"value": "mine"},
        "collections.documents.write": {"source": "mine", "text": "mine"},
        "collections.query": {"text": CANARY},
        "collections.answer": {"question": CANARY, "model": "echo:echo", "threshold": 0},
        "connections.write": {"type": "http", "host": "mine.example.com"},
        "webhooks.create": {"url": "https://mine.example.com/", "events": ["custom.*"]},
        "webhooks.change": {"description": "x"},
        "webhooks.rotate": {},
        "webhooks.replay-failed": {"since": "2026-01-01T00:00:00Z"},
    }


QUERIES = {
    "collections.documents.delete": f"?source={CANARY}",
    "versions.diff": "?from=1&to=1",
    "state.read": "?key=k",
    "state.delete": "?key=k",
}
#: They make something of one's own under a name that is theirs, too, and are asked last.
MAKING = ["bots.create", "bots.replace", "secrets.write", "connections.write"]
MAKING += ["collections.documents.write"]
#: Accounts are the installation's: an administrator may take in whomever they can name.
MAKING += ["members.change", "members.remove"]


def probed(runtime):
    """The operations that are asked, those that change what the others look at last."""
    order = {name: place for place, name in enumerate([*MAKING, "sessions.end-all"], start=1)}
    chosen = [
        each
        for each in all_operations(runtime)
        if each.route.policy != "public" and each.plugin == "api" and each.id not in STREAMS
    ]
    return sorted(chosen, key=lambda each: order.get(each.id, 0))


def refused(operation, answer):
    """Whether the answer is one to somebody who may not know that anything is there."""
    if PERMISSIONS[operation.route.policy].level is Level.INSTANCE:
        return answer.status == 403
    if operation.id in MAKING:  # their own now has the name
        return answer.status < 300
    return answer.status == 404


@pytest.fixture(params=[("default", "other"), ("other", "default")], ids=["of", "to"])
async def theirs(request, api, runtime, people):
    mine, theirs = request.param
    await people.add("mine")
    await people.join("mine", "admin", mine)
    place = Theirs(api, runtime, people, mine, theirs)
    await place.fill()
    place.token = (await people.sign_in("mine"))["access_token"]
    return place


def clean(theirs, answer, sent):
    """Nothing of theirs stands in it but what was sent."""
    text = f"{answer.text} {dict(answer.headers)}".lower()
    ids = (each for name, each in theirs.ids.items() if name != "account")
    told = [CANARY, *(each for each in ids if each not in sent)]
    return [each for each in told if each in text]


async def test_no_route_tells_or_changes_anything_of_theirs(api, runtime, theirs):
    before = await seen(theirs)
    paths, sent_bodies = values(theirs), bodies(theirs)
    for operation in probed(runtime):
        route, name = operation.route, operation.id
        family = paths.get(name.partition(".")[0], {})
        variables = re.findall(r"\{(\w+)\}", operation.path)
        assert set(variables) <= set(family), f"{name} has no probe: say what stands in its path"
        path = operation.path
        for variable in variables:
            path = path.replace(f"{{{variable}}}", family[variable])
        takes = route.body is not None or route.raw
        assert takes <= (name in sent_bodies), f"{name} has no probe: say what stands in its body"
        body = {"json": sent_bodies[name]} if takes else {}
        if name == "bots.patch":
            body["headers"] = {"Content-Type": "application/merge-patch+json"}
        answer = await api(route.method, path + QUERIES.get(name, ""), token=theirs.token, **body)
        assert not clean(theirs, answer, json.dumps([path, body])), (name, answer.text)
        assert answer.status not in (401, 500), (name, answer.text)
        if variables:
            assert refused(operation, answer), (name, answer.status, answer.text)
        elif ".bulk." in name or name == "executions.start":
            assert answer.status == 404
    assert await seen(theirs) == before


async def seen(theirs):
    """What somebody of theirs sees, but for what time alone changes."""
    told = {}
    for path in (
        "/bots?limit=100",
        f"/bots/{BOT}/definition",
        f"/bots/{BOT}/state",
        "/executions",
        "/approvals",
        "/alerts",
        "/intelligent-bots",
        "/dead-letters",
        "/events",
        "/secrets",
        "/collections",
        f"/collections/{BOT}/documents",
        "/connections",
        "/webhooks",
        "/keys",
        "/members",
    ):
        headers = {"X-Workspace": theirs.name}
        told[path] = (await theirs.api("GET", f"/api/v1{path}", headers=headers)).text
    return told


async def test_no_tool_of_theirs_is_offered_or_used(api, theirs):
    for sent in (tool("tools/list"), tool("tools/call", name=BOT, arguments={"n": "x"})):
        answer = await api("POST", "/api/v1/mcp", token=theirs.token, json=sent)
        assert answer.json.get("result", {"tools": []}) == {"tools": []}
    told = await theirs.api(
        "POST", "/api/v1/mcp", headers={"X-Workspace": theirs.name}, json=tool("tools/list")
    )
    assert [each["name"] for each in told.json["result"]["tools"]] == [BOT, "execution_result"]


async def test_nobody_enters_a_workspace_by_naming_it(api, runtime, theirs):
    headers = {"X-Workspace": theirs.name}
    for operation in probed(runtime):
        if PERMISSIONS[operation.route.policy].level is Level.WORKSPACE:
            path = re.sub(r"\{\w+\}", "x", operation.path)
            answer = await api(operation.route.method, path, token=theirs.token, headers=headers)
            assert (operation.id, answer.status) == (operation.id, 404)
            assert answer.json["code"] == "workspace-not-found"


async def test_no_stream_tells_anything_of_theirs(api, theirs):
    headers = {"Authorization": f"Bearer {theirs.token}"}
    own = {"name": "custom.mine", "data": {}}
    mine = {"X-Workspace": theirs.mine}
    bot = {"name": "ours", "type": "set", "with": {"values": {}}}
    await api("POST", "/api/v1/bots", headers=mine, json=bot)
    for path in ("/api/v1/executions/stream", "/api/v1/events/stream"):
        async with api.session.get(api.url + path, headers=headers) as stream:
            assert stream.status == 200
            text = (await stream.content.readuntil(b"\n\n")).decode()
            async with asyncio.timeout(60):
                while "ours" not in text and "custom.mine" not in text:
                    await theirs.call("POST", f"/bots/{BOT}/execute")
                    await theirs.call("POST", "/events", json=own | {"data": {"a": CANARY}})
                    await api("POST", "/api/v1/bots/ours/execute", headers=mine)
                    await api("POST", "/api/v1/events", headers=mine, json=own)
                    text += (await stream.content.readuntil(b"\n\n")).decode()
        assert CANARY not in text
        assert BOT not in text
    answer = await api(
        "GET", f"/api/v1/executions/{theirs.ids['live']}/stream", token=theirs.token
    )
    assert answer.status == 404


def test_every_stream_is_among_those_that_are_listened_to(runtime, database_url):
    kinds = {
        each.id for each in all_operations(runtime) if "event-stream" in each.route.content_type
    }
    assert kinds == STREAMS
