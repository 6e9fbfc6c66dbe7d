"""Whoever changes something is written down: every changing route is driven once, to its success.

A new route that changes something fails here until it is driven, or stands below with the reason
why it leaves no entry.
"""

import json
from dataclasses import replace

import pytest

from codex32.api.application import all_operations
from codex32.api.callers import OPERATOR
from codex32.engine.records import links
from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.ids import new_id
from codex32.kernel.models import ApprovalRow, ExecutionRow, StepRow
from codex32.kernel.outbound_rows import DeliveryRow
from codex32.kernel.safe_rows import AuditRow
from codex32.services.bots.registry import Policy
from codex32.services.building import sessions
from codex32.services.building.session import Question
from codex32_config.settings import load_settings

_STARTS = "the execution keeps who started it"
_TELLS = "the event keeps who published it"
_LOOKS = "it changes nothing"
NOT_AUDITED = {
    **dict.fromkeys(("bots.execute", "executions.start", "mcp.message"), _STARTS),
    **{f"deliveries.{method}": _STARTS for method in ("post", "put", "patch", "delete")},
    **dict.fromkeys(("bots.validate", "executions.repair", "audit.verify"), _LOOKS),
    **dict.fromkeys(("collections.query", "collections.answer"), _LOOKS),
    "events.publish": _TELLS,
    "auth.forgot": "it answers before it looks; a code that is mailed has an entry",
    "auth.refresh": "it goes on with a sign-in that has its entry; a token used twice has one",
}
TOKEN = "a token of the test"
PLAIN = {"type": "set", "with": {"values": {}}}
OAUTH = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def settings(tmp_path, database_url):
    overrides = {"database_url": database_url, "api.token": TOKEN, "auth.registration": True}
    overrides |= {f"api.rates.{kind}": None for kind in ("normal", "start", "sign_in")}
    return load_settings(folder=tmp_path, overrides=overrides, environ={})


class Driver:
    """Calls operations by their ids, and remembers under which request each succeeded."""

    def __init__(self, api, runtime):
        self.api, self.runtime = api, runtime
        self.operations = {
            each.id: each for each in all_operations(runtime) if each.plugin == "api"
        }
        self.requests = {}

    async def __call__(
        self, operation_id, body=None, /, signed=TOKEN, headers=(), data=None, **path
    ):
        operation = self.operations[operation_id]
        where, query = operation.path.format(**path), path.get("query", "")
        answer = await self.api(
            operation.route.method, where + query, token=signed, json=body, data=data,
            headers=dict(headers),
        )  # fmt: skip
        assert answer.status < 300, (operation_id, answer.text)
        self.requests[operation_id] = answer.headers["X-Request-Id"]
        kind = answer.headers.get("Content-Type", "")
        return answer.json if answer.text and "json" in kind else None

    async def rows(self, *rows):
        """Write rows that only workers would."""
        await self.runtime.door.write(lambda: [row.execute() for row in rows])


async def test_every_change_that_is_asked_for_leaves_an_entry(api, runtime, people, monkeypatch):
    do = Driver(api, runtime)
    for part in (bots, executions, decisions, things, outbound, builds, accounts):
        await part(do, people, monkeypatch)
    changing = {name for name, each in do.operations.items() if each.route.method != "GET"}
    assert set(do.requests) | set(NOT_AUDITED) == changing
    assert not set(do.requests) & set(NOT_AUDITED)
    entries = await runtime.door.read(lambda: {row.request_id for row in AuditRow.select()})
    silent = [name for name, request in do.requests.items() if request not in entries]
    assert silent == []


async def bots(do, people, monkeypatch):
    cron = {"triggers": [{"cron": "0 * * * *"}]}
    await do("bots.create", {"name": "one", **PLAIN, **cron})
    times = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T03:00:00Z"}
    await do("bots.backfill", times, name="one")
    await do("bots.replace", {"name": "one", **PLAIN, "description": "b"}, name="one")
    merge = {"Content-Type": "application/merge-patch+json"}
    await do("bots.patch", {"description": "c"}, headers=merge, name="one")
    await do("bots.rollback", {"version": 1}, name="one")
    await do("versions.activate", name="one", number="2")
    for verb in ("pause", "resume", "disable", "enable"):
        await do(f"bots.{verb}", name="one")
    await do("state.write", {"key": "k", "value": 1}, name="one")
    await do("state.delete", name="one", query="?key=k")
    monkeypatch.setattr(do.runtime.registry, "_policy", Policy(approve_capabilities=True))
    wider = {"name": "one", **PLAIN, "allow": {"hosts": ["example.com"]}}
    await do.api("PUT", "/api/v1/bots/one", json=wider)
    newest = (await do.api("GET", "/api/v1/bots/one/versions?limit=1")).json["items"][0]["number"]
    await do("versions.approve", name="one", number=str(newest))
    await do.api("POST", "/api/v1/bots", json={"name": "two", **PLAIN})
    await do("bots.delete", name="two")


async def executions(do, people, monkeypatch):
    async def made(**values):
        told = await do.api("POST", "/api/v1/executions", json={"bot": "one"})
        row = ExecutionRow.update(**values).where(ExecutionRow.id == told.json["id"])
        await do.rows(*([row] if values else []))
        return told.json["id"]

    failed = {"status": "failed", "cause": "error", "finished_at": 1, "ready_at": None}
    await do("executions.cancel", id=await made())
    await do("executions.bulk.cancel", {"ids": [await made()]})
    await do("executions.retry", {}, id=await made(**failed))
    await do("executions.bulk.retry", {"ids": [await made(**failed)]})
    await do("dead-letters.dismiss", {}, id=await made(**failed))
    await do("dead-letters.bulk.dismiss", {"ids": [await made(**failed)]})
    unknown = await made(status="failed", cause="unknown-outcome", finished_at=1, ready_at=None)
    step = {"step": "main", "status": "unknown", "effect": "once"}
    await do.rows(StepRow.insert(execution_id=unknown, **step))
    await do("executions.resolve", {"decision": "sent"}, id=unknown)
    await do("builds.repair", {"execution": await made(**failed), "model": "nobody:none"})


async def decisions(do, people, monkeypatch):
    async def asked(token=""):
        told = await do.api("POST", "/api/v1/executions", json={"bot": "one"})
        approval, execution = new_id("apr"), told.json["id"]
        request = {"text": "?", "to": [], "form": None, "on_expire": "reject"}
        await do.rows(
            ExecutionRow.update(status="waiting", ready_at=None).where(
                ExecutionRow.id == execution
            ),
            StepRow.insert(execution_id=execution, step="ask", status="waiting"),
            ApprovalRow.insert(
                id=approval, workspace="default", execution_id=execution, bot_name="one",
                step="ask", status="pending", request=json.dumps(request), created_at=1,
            ),
        )  # fmt: skip
        link = links.Link(token, "default", execution, "ask", -1, 1)
        await do.runtime.door.write(lambda: links.keep(link))
        return approval

    await do("approvals.approve", {}, id=await asked("a"))
    await do("approvals.reject", {}, id=await asked("b"))
    await asked("t" * 32)
    form = {"data": b"verdict=approved", "headers": OAUTH, "signed": None}
    await do("approval-links.decide", **form, token="t" * 32)


async def things(do, people, monkeypatch):
    rule = {"rule": {"name": "late", "late_by": "5m"}, "allow": {}}
    alert = new_id("alr")
    await do.rows(
        AlertRow.insert(
            id=alert, workspace="default", bot_id="bot_1", bot_name="one", name="late",
            definition=json.dumps(rule), state="firing", state_since=1, created_at=1,
        )
    )  # fmt: skip
    await do("alerts.silence", {"seconds": 60}, id=alert)
    await do("alerts.acknowledge", {}, id=alert)
    await do("secrets.write", {"value": "x"}, name="SECRET")
    await do("secrets.delete", name="SECRET")
    await do("connections.write", {"type": "http", "host": "example.com"}, name="place")
    await do("connections.delete", name="place")
    await do("collections.documents.write", {"source": "a", "text": "b"}, name="notes")
    await do("collections.documents.delete", name="notes", query="?source=a")
    await do("collections.delete", name="notes")


async def outbound(do, people, monkeypatch):
    wish = {"url": "https://example.com/", "events": ["custom.*"]}
    hook = (await do("webhooks.create", wish))["id"]
    await do("webhooks.change", {"description": "x"}, id=hook)
    await do("webhooks.rotate", {}, id=hook)
    sent = (await do("webhooks.test", id=hook))["id"]
    await do.rows(DeliveryRow.update(status="failed", finished_at=1))
    await do("webhooks.replay", id=hook, delivery=sent)
    await do.rows(DeliveryRow.update(status="failed", finished_at=1))
    await do("webhooks.replay-failed", {"since": "2026-01-01T00:00:00Z"}, id=hook)
    await do("webhooks.delete", id=hook)


async def builds(do, people, monkeypatch):
    await do("builds.create", {"description": "x", "model": "nobody:none"})
    order = sessions.Order("x", "nobody:none", budget_nano=1, seconds=60.0)

    def begun(status, **work):
        def write():
            now = do.runtime.clock.micros()
            session = sessions.begin(order, OPERATOR, now)
            return sessions.put(replace(session, status=status).now(**work), now)

        return do.runtime.door.write(write)

    asking = await begun("asking", questions=(Question("to", "host", "?", "y"),))
    await do("builds.answer", {"answers": {"to": "z"}}, session_id=asking.id)
    await do("builds.branch", {"stage": "interpret"}, session_id=asking.id)
    await do("builds.abandon", session_id=(await begun("asking")).id)
    ready = await begun("ready", yaml="name: built\ntype: set\nwith: {values: {}}\n")
    shown = await do.api("GET", f"/api/v1/intelligent-bots/{ready.id}/draft")
    await do("builds.accept", {"digest": shown.json["digest"]}, session_id=ready.id)
    await do("builds.undo", session_id=ready.id)


async def accounts(do, people, monkeypatch):
    anna = {"username": "anna", "email": "anna@example.com", "full_name": "Anna"}
    user = (await do("users.create", anna))["account"]
    code = await do("users.code", id=user["id"])
    await do("auth.reset", {"code": code["code"], "password": people.password}, signed=None)
    form = {"grant_type": "password", "username": "anna", "password": people.password}
    tokens = await do("auth.token", data=form, signed=None)
    mine = {"signed": tokens["access_token"]}
    await do("members.add", {"user": "anna", "role": "admin"})
    await do("members.change", {"role": "user"}, user="anna")
    await do("account.change", {"full_name": "A"}, **mine)
    key = {"name": "k", "scopes": ["bots.read"]}
    await do(
        "account.keys.revoke", id=(await do("account.keys.create", key, **mine))["id"], **mine
    )
    other = await do.api("POST", "/api/v1/auth/keys", json=key, token=mine["signed"])
    await do("keys.revoke", id=other.json["id"])
    await people.sign_in("anna")
    listed = await do.api("GET", "/api/v1/auth/sessions", token=mine["signed"])
    others = [each["id"] for each in listed.json["items"] if not each["present"]]
    await do("sessions.end", id=others[0], **mine)
    again = "another horse 8"
    changed = {"current_password": people.password, "password": again}
    await do("account.password", changed, **mine)
    tokens = (await people.token("anna", again)).json
    await do("account.leave", signed=tokens["access_token"], name="default")
    await do("members.add", {"user": "anna", "role": "user"})
    await do("sessions.end-all", signed=tokens["access_token"])
    tokens = (await people.token("anna", again)).json
    await do("auth.revoke", data={"token": tokens["refresh_token"]}, signed=None)
    await do("users.change", {"full_name": "B"}, id=user["id"])
    await do("members.remove", user="anna")
    await do("users.delete", id=user["id"])
    bert = {"username": "bert", "email": "bert@example.com", "password": people.password}
    await do("auth.register", {**bert, "full_name": "Bert"}, signed=None)
    await do("workspaces.create", {"name": "new"})
    await do("workspaces.change", {"title": "x"}, name="new")
    await do("workspaces.delete", name="new")
