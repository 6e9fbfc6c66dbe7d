"""Webhooks that come in over HTTP: who is let in, what becomes of it, what the sender is told."""

import asyncio
import base64
import io
import json
import time
from functools import partial

import pytest
from multidict import CIMultiDict

from codex32 import WebhookRequest
from codex32.api.callers import OPERATOR
from codex32.builtin.triggers.webhook import WebhookTrigger
from codex32.kernel.errors import BotInvalid
from codex32.kernel.json_values import dumps, loads
from codex32.kernel.models import BotRow, ExecutionRow, OccurrenceRow
from codex32.services.bots import bots
from codex32.services.bots.written import API, FILE, Written
from codex32.services.safe import secrets
from codex32.services.triggers import webhooks

SIGNED = ("standard", "github", "stripe", "slack", "hmac-sha256", "bearer")
TIMED = ("standard", "stripe", "slack")
BODY = {"id": "evt_1", "action": "published", "n": 7}
#: What no database has a part in is tried on one.
ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
WORK = "type: set\nwith: {values: {}}\n"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    """Each scheme's own, and another to follow it; set before plugins are loaded."""
    for scheme in SIGNED:
        name = scheme.upper().replace("-", "_")
        monkeypatch.setenv(f"CODEX32_SECRET_{name}", secret_of(scheme))
        monkeypatch.setenv(f"CODEX32_SECRET_{name}_NEXT", secret_of(scheme, "next"))
    monkeypatch.setenv("CODEX32_SECRET_EMPTY", "")


@pytest.fixture
def serve(runtime):
    """Makes a bot live that a file holds; its lines come before what it does."""

    async def live(lines, *, name="ping", workspace="default", origin=FILE):
        text = f"name: {name}\n{lines}\n" + ("" if "steps:" in lines else WORK)
        bot = (await asyncio.to_thread(runtime.reader.read_text, text)).only_bot()
        written = Written.of(bot, text, origin, f"bots/{name}.yaml" if origin == FILE else None)
        now = runtime.clock.micros()
        return await runtime.door.write(
            lambda: runtime.registry.store(written, now, workspace=workspace)
        )

    return live


@pytest.fixture
def rows(runtime):
    """The rows of a table, in the order in which they were made."""

    async def read(kind):
        return await runtime.door.read(lambda: list(kind.select().order_by(kind.id)))

    return read


@pytest.fixture
def end(runtime):
    """Ends an execution as a worker would, once it is there."""

    async def ended(bot, status="succeeded", output=None):
        def work():
            live = (ExecutionRow.bot_name == bot) & ExecutionRow.finished_at.is_null()
            change = ExecutionRow.update(status=status, output=dumps(output), finished_at=1)
            return change.where(live).execute()

        async with asyncio.timeout(60):
            while not await runtime.door.write(work):
                await asyncio.sleep(0.01)

    return ended


def secret_of(scheme, which="first"):
    text = f"the {which} secret of {scheme}"
    coded = base64.b64encode(text.encode()).decode()
    return f"whsec_{coded}" if scheme == "standard" else text


def hook(scheme, path="p", **more):
    """The lines of a bot file that serve a path."""
    name = scheme.upper().replace("-", "_")
    auth = {"scheme": scheme} | ({} if scheme == "none" else {"secret": [name, f"{name}_NEXT"]})
    config = {"path": path, "auth": auth, **more}
    return f"allow: {{secrets: [{name}, {name}_NEXT]}}\ntriggers: [{{webhook: {dumps(config)}}}]"


def signed(scheme, body, *, secret=None, late=0, delivery="msg_1", path="p"):
    """The headers of a sender."""
    config = {"path": path, "auth": {"scheme": scheme, "secret": "S"}}
    maker = WebhookTrigger().webhook(config).scheme
    request = WebhookRequest("POST", path, {}, {}, body)
    now = time.time() - late
    return dict(maker.sign(request, secret or secret_of(scheme), now, delivery))


def packed(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


async def deliver(
    api, scheme, value=BODY, *, at="/hooks/default/p", headers=(), method="POST", **how
):
    """A delivery as the scheme wants it; ``headers`` come on top."""
    body = packed(value)
    sent = {"Content-Type": "application/json", **signed(scheme, body, **how), **dict(headers)}
    return await api(method, at, token=None, data=io.BytesIO(body), headers=sent)


# who is let in


@pytest.mark.parametrize("scheme", SIGNED)
@ONE
async def test_who_signs_is_let_in_and_nobody_else(api, serve, rows, scheme):
    await serve(hook(scheme))
    taken = await deliver(api, scheme)
    assert (taken.status, taken.json["decision"]) == (202, "fired")
    assert taken.headers["Location"] == taken.json["status_url"]

    refused = [
        await deliver(api, scheme, secret=secret_of(scheme, "wrong")),
        await api("POST", "/hooks/default/p", token=None, data=packed(BODY)),
        await api("POST", "/hooks/default/p", data=packed(BODY)),  # with the operator's token
    ]
    proof = signed(scheme, packed(BODY))
    if scheme != "bearer":
        for body in (b'{"id":"evt_1","action":"published","n":7}', packed({**BODY, "n": 8}), b""):
            refused.append(await deliver(api, scheme, body, headers=proof))
    if scheme in TIMED:
        refused += [await deliver(api, scheme, late=late) for late in (310, -310)]
    for name in proof:
        if name != "x-github-delivery":
            part = {each: value for each, value in proof.items() if each != name}
            refused.append(
                await api("POST", "/hooks/default/p", token=None, data=b"x", headers=part)
            )
    assert {answer.status for answer in refused} == {401}
    assert {answer.json["code"] for answer in refused} == {"delivery-refused"}
    assert len(await rows(ExecutionRow)) == len(await rows(OccurrenceRow)) == 1


@pytest.mark.parametrize("scheme", SIGNED)
@ONE
async def test_a_secret_follows_another(api, serve, scheme):
    await serve(hook(scheme))
    old = await deliver(api, scheme)
    new = await deliver(
        api, scheme, {**BODY, "id": "2"}, secret=secret_of(scheme, "next"), delivery="2"
    )
    assert (old.status, new.status) == (202, 202)
    assert old.json["execution"] != new.json["execution"]


@ONE
async def test_what_is_not_there_looks_like_what_is_not_signed(api, serve):
    await serve(hook("github"))
    await serve(hook("standard", "paused"), name="other")
    answers = [
        await deliver(api, "github", at="/hooks/default/nowhere"),
        await deliver(api, "github", at="/hooks/nowhere/p"),
        await deliver(api, "github", method="PUT"),
        await deliver(api, "github", method="GET"),
        await deliver(api, "github", secret="wrong"),
        await deliver(api, "github", b"x" * 100_000, secret="wrong"),
        await deliver(api, "github", b"x" * 100_000, at="/hooks/default/nowhere"),
        await deliver(api, "github", at="/hooks/default/paused"),
        await api("POST", "/hooks/default/p", token=None),
    ]

    def visible(answer):
        told = {name: value for name, value in answer.json.items() if name != "request_id"}
        kept = {n: v for n, v in answer.headers.items() if n not in ("X-Request-Id", "Date")}
        return answer.status, told, kept

    first, *others = map(visible, answers)
    assert first[0] == 401
    assert all(other[:2] == first[:2] for other in others)
    # Ids of requests are of one length only by chance.
    assert all(other[2].keys() == first[2].keys() for other in others)


@ONE
async def test_no_refusal_comes_sooner_than_another(api, serve):
    await serve(hook("github"))
    for how in (
        {"at": "/hooks/default/nowhere"},
        {"at": "/hooks/nowhere/p"},
        {"method": "PUT"},
        {"secret": "wrong"},
    ):
        before = time.monotonic()
        assert (await deliver(api, "github", **how)).status == 401
        assert time.monotonic() - before >= webhooks.REFUSED_SECONDS


@pytest.mark.parametrize("scheme", SIGNED)
@ONE
async def test_what_proves_a_sender_may_come_once(api, serve, scheme):
    await serve(hook(scheme))
    body = packed(BODY)
    for name, value in signed(scheme, body).items():
        headers = CIMultiDict(signed(scheme, body))
        headers.add(name, value)
        answer = await api.session.post(f"{api.url}/hooks/default/p", data=body, headers=headers)
        # The guard refuses the header of all others itself.
        assert answer.status == (400 if name == "authorization" else 401), name
    assert (await deliver(api, scheme)).status == 202


@ONE
async def test_a_secret_that_is_missing_or_empty_lets_nobody_in(api, serve, caplog):
    await serve(
        "allow: {secrets: [EMPTY, LOST]}\ntriggers:\n"
        "- webhook: {path: p, auth: {scheme: github, secret: [EMPTY, LOST]}}\n"
        "- webhook: {path: q, auth: {scheme: bearer, secret: EMPTY}}"
    )
    for secret in ("", "LOST", "None"):
        headers = signed("github", packed(BODY), secret=secret or "x")
        assert (await deliver(api, "github", headers=headers)).status == 401
    empty = await api("POST", "/hooks/default/q", token=None, headers={"Authorization": "Bearer "})
    assert empty.status == 401
    line, _ = (each for each in caplog.records if "refused a delivery" in each.getMessage())
    assert line.getMessage().endswith("none of its secrets is set: EMPTY, LOST")
    assert (line.workspace, f"({line.bot})" in line.getMessage()) == ("default", True)


async def test_two_workspaces_serve_the_same_path(api, serve, rows, runtime):
    await serve(hook("github"))
    await serve(hook("bearer"), workspace="other")
    value, put = secret_of("bearer"), secrets.write
    write = partial(put, runtime.vault, "BEARER", value, OPERATOR, 1, workspace="other")
    await runtime.door.write(write)
    here = await deliver(api, "github")
    there = await deliver(api, "bearer", at="/hooks/other/p")
    wrong = await deliver(api, "github", at="/hooks/other/p")
    assert (here.status, there.status, wrong.status) == (202, 202, 401)
    made = {row.id: row.workspace for row in await rows(ExecutionRow)}
    assert made == {here.json["execution"]: "default", there.json["execution"]: "other"}


async def test_a_bot_is_served_from_the_moment_it_is_live_until_it_is_gone(api, serve, runtime):
    assert (await deliver(api, "github")).status == 401
    await serve(hook("github"))
    assert (await deliver(api, "github")).status == 202
    await serve(hook("github", "elsewhere"))
    assert (await deliver(api, "github", delivery="2")).status == 401
    moved = await deliver(api, "github", at="/hooks/default/elsewhere", delivery="2")
    assert moved.status == 202
    await runtime.door.write(lambda: bots.remove("ping", 1, origin=FILE))
    assert (await deliver(api, "github", at="/hooks/default/elsewhere")).status == 401


@ONE
async def test_slack_is_greeted_and_starts_nothing_by_that(api, serve, rows):
    await serve(hook("slack"))
    asked = {"type": "url_verification", "challenge": "<3eZbrw>"}
    answer = await deliver(api, "slack", asked)
    assert (answer.status, answer.text) == (200, "<3eZbrw>")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (await deliver(api, "slack", asked, secret="wrong")).status == 401
    assert await rows(OccurrenceRow) == []


# what comes again


@pytest.mark.parametrize("scheme", [*TIMED, "github"])
@ONE
async def test_what_comes_again_is_answered_with_the_first_execution(api, serve, rows, scheme):
    await serve(hook(scheme))
    headers = signed(scheme, packed(BODY))
    first, *others = [await deliver(api, scheme, headers=headers) for _ in range(3)]
    assert first.status == 202
    assert {(each.status, each.json["execution"]) for each in others} == {
        (200, first.json["execution"])
    }
    assert len(await rows(ExecutionRow)) == 1
    told = [(row.decision, row.detail) for row in await rows(OccurrenceRow)]
    assert told == [("fired", ""), *[("deduplicated", "it was delivered before")] * 2]


async def test_fifty_at_the_same_time_are_one_execution(runtime, client_of, serve, rows):
    await serve(hook("standard"))
    headers = signed("standard", packed(BODY))
    async with client_of(runtime) as one, client_of(runtime) as two:
        answers = await asyncio.gather(
            *(deliver((one, two)[n % 2], "standard", headers=headers) for n in range(50))
        )
    assert sorted(answer.status for answer in answers) == [200] * 49 + [202]
    assert len({answer.json["execution"] for answer in answers}) == 1
    assert len(await rows(ExecutionRow)) == 1
    assert len(await rows(OccurrenceRow)) == 50


async def test_a_delivery_is_known_by_what_dedupe_says(api, serve, rows):
    config = dumps({"path": "p", "auth": {"scheme": "none"}})
    await serve(f'triggers: [{{webhook: {config}, dedupe: "${{{{ trigger.body.id }}}}"}}]')
    answers = await asyncio.gather(
        *(deliver(api, "none", {"id": str(n % 3), "n": n}) for n in range(30))
    )
    assert sorted(answer.status for answer in answers) == [200] * 27 + [202] * 3
    assert len({answer.json["execution"] for answer in answers}) == 3
    assert len(await rows(ExecutionRow)) == 3


async def test_what_started_nothing_may_come_again(api, serve, runtime, rows):
    await serve(hook("standard"))
    await runtime.door.write(lambda: bots.pause("ping", 1))
    headers = signed("standard", packed(BODY))
    refused = [await deliver(api, "standard", headers=headers) for _ in range(2)]
    assert {(each.status, each.json["code"]) for each in refused} == {(503, "not-now")}
    assert {each.headers["Retry-After"] for each in refused} == {"5"}
    await runtime.door.write(lambda: bots.pause("ping", 1, paused=False))
    taken = await deliver(api, "standard", headers=headers)
    again = await deliver(api, "standard", headers=headers)
    assert (taken.status, again.status) == (202, 200)
    assert taken.json["execution"] == again.json["execution"]
    decisions = [row.decision for row in await rows(OccurrenceRow)]
    assert decisions == ["paused", "paused", "fired", "deduplicated"]


async def test_a_delivery_is_known_while_secrets_and_versions_change(api, serve):
    await serve(hook("standard"))
    headers = signed("standard", packed(BODY))
    first = await deliver(api, "standard", headers=headers)
    await serve(hook("standard", reply="accepted", max_bytes="2MiB"))
    again = await deliver(api, "standard", headers=headers)
    assert (again.status, again.json["execution"]) == (200, first.json["execution"])


# what bots see


@ONE
async def test_a_bot_sees_the_delivery_without_its_proof(api, serve, rows):
    config = dumps({"path": "p", "auth": {"scheme": "bearer", "secret": "BEARER"}})
    await serve(
        f"allow: {{secrets: [BEARER]}}\ntriggers: [{{webhook: {config}, inputs: {{"
        "n: '${{ trigger.body.n }}', head: \"${{ trigger.headers['x-kind'] }}\"}}]\n"
        "inputs: {n: {type: integer}, head: {type: string}}"
    )
    headers = {"X-Kind": "b", "Cookie": "session=1", "Proxy-Authorization": "Basic eA=="}
    answer = await deliver(api, "bearer", at="/hooks/default/p?a=1&b=", headers=headers)
    assert answer.status == 202
    (row,) = await rows(ExecutionRow)
    trigger = loads(row.trigger)
    assert loads(row.inputs) == {"n": 7, "head": "b"}
    assert (trigger["kind"], trigger["method"], trigger["path"]) == ("webhook", "POST", "p")
    assert (trigger["query"], trigger["body"], trigger["files"]) == ({"a": "1", "b": ""}, BODY, [])
    assert trigger["headers"]["content-type"] == "application/json"
    assert trigger["at"].endswith("Z")
    assert not {"authorization", "cookie", "proxy-authorization"} & set(trigger["headers"])
    assert secret_of("bearer") not in row.trigger


async def test_a_condition_decides_and_every_delivery_leaves_a_row(api, serve, rows):
    config = dumps({"path": "p", "auth": {"scheme": "none"}})
    await serve(
        f"triggers: [{{webhook: {config}, if: \"trigger.body.action == 'published'\", "
        "inputs: {n: '${{ trigger.body.n }}'}}]\ninputs: {n: {type: integer}}"
    )
    passed_over = await deliver(api, "none", {"action": "closed"})
    unfit = await deliver(api, "none", {"action": "published", "n": "seven"})
    missing = await deliver(api, "none", {"action": "published"})
    torn = await deliver(api, "none", b'{"action": "publi')
    taken = await deliver(api, "none", {"action": "published", "n": 7})
    assert [passed_over.status, unfit.status, missing.status, torn.status, taken.status] == [
        200, 422, 422, 400, 202,
    ]  # fmt: skip
    assert passed_over.json == {"decision": "no-match", "execution": None, "status_url": None}
    assert {unfit.json["code"], missing.json["code"]} == {"delivery-invalid"}
    assert "seven" not in unfit.text
    assert torn.json["code"] == "body-malformed"
    decisions = [row.decision for row in await rows(OccurrenceRow)]
    assert decisions == ["no-match", "invalid", "invalid", "invalid", "fired"]


async def test_a_sender_changes_nothing_but_inputs(api, serve, rows):
    """The definition is the stored one, whatever stands in the body (class seen at Langflow)."""
    config = dumps({"path": "p", "auth": {"scheme": "none"}})
    await serve(
        f"triggers: [{{webhook: {config}, inputs: {{n: '${{{{ trigger.body.n }}}}'}}}}]\n"
        "inputs: {n: {type: integer}, k: {type: string, default: own}}"
    )
    await serve("description: another", name="other")
    evil = {
        "n": 7, "k": "theirs", "bot": "other", "version_id": "ver_x", "workspace": "other",
        "data": {"steps": []}, "definition": {"steps": []}, "code": "import os", "steps": [],
        "image": "x", "argv": ["x"], "env": {"A": "1"}, "inputs": {"k": "theirs"},
        "priority": 1000, "trigger": {"kind": "manual"}, "idempotency_key": "x",
    }  # fmt: skip
    query = "?bot=other&workspace=other&inputs=1&version_id=1"
    answer = await deliver(api, "none", evil, at=f"/hooks/default/p{query}")
    assert answer.status == 202
    (row,) = await rows(ExecutionRow)
    assert (row.bot_name, row.workspace, row.priority) == ("ping", "default", 0)
    assert (loads(row.inputs), row.trigger_kind) == ({"n": 7, "k": "own"}, "webhook")
    live = await rows(BotRow)
    assert {each.name for each in live} == {"ping", "other"}


@ONE
async def test_json_cannot_forge_a_file(api, serve, rows):
    """What a sender writes about files stands in ``body`` (class seen at n8n)."""
    await serve(hook("none"))
    forged = {"files": [{"filepath": "/etc/passwd"}], "filepath": "/etc/passwd", "_upload": True}
    await deliver(api, "none", forged)
    head = b'--x\r\nContent-Disposition: form-data; name="files"'
    body = head + b'; filename="../../a.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n'
    body += head + b'\r\n\r\n{"filepath": "/etc/passwd"}\r\n--x--\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    await deliver(api, "none", body, headers=form)
    plain, uploaded = [loads(row.trigger) for row in await rows(ExecutionRow)]
    assert (plain["body"], plain["files"]) == (forged, [])
    assert uploaded["body"] == {"files": '{"filepath": "/etc/passwd"}'}
    assert uploaded["files"] == [
        {
            "field": "files",
            "filename": "../../a.txt",
            "content_type": "text/plain",
            "size": 2,
            "base64": "aGk=",
        }
    ]


# limits


@ONE
async def test_a_body_may_be_as_long_as_the_webhook_says(api, serve, rows):
    await serve(hook("github"))
    await serve(hook("github", "small", max_bytes="10B"), name="small")
    for size, status in ((1024 * 1024, 202), (1024 * 1024 + 1, 413)):
        body = b'"' + b"x" * (size - 2) + b'"'
        answer = await deliver(api, "github", body, delivery=str(size))
        assert answer.status == status, size
    assert answer.json["code"] == "body-too-large"
    small = await deliver(api, "github", b'"1234567890"', at="/hooks/default/small")
    assert small.status == 413
    # Without the proof nobody is told what a webhook takes.
    unsigned = await deliver(api, "github", b'"1234567890"', at="/hooks/default/small", secret="x")
    assert unsigned.status == 401
    decisions = [(row.decision, "max_bytes" in row.detail) for row in await rows(OccurrenceRow)]
    assert decisions == [("fired", False), ("invalid", True), ("invalid", True)]


@ONE
async def test_nobody_may_send_more_than_ten_mebibytes(api, serve):
    await serve(hook("none", max_bytes="10MiB"))
    body = b"x" * (10 * 1024 * 1024 + 1)
    headers = {"Content-Type": "application/octet-stream"}
    for path in ("p", "nowhere"):
        answer = await deliver(api, "none", body, at=f"/hooks/default/{path}", headers=headers)
        assert answer.status == 413


# answers


async def test_a_sender_that_wants_no_answer_gets_none(api, serve, rows):
    await serve(hook("github", reply="none"))
    answers = [await deliver(api, "github") for _ in range(2)]
    assert {(each.status, each.text) for each in answers} == {(204, "")}
    assert len(await rows(ExecutionRow)) == 1


@pytest.mark.parametrize(
    ("status", "output", "told"),
    [
        ("succeeded", {"id": 7}, (200, "application/json", '{"id":7}')),
        ("succeeded", "Grüße <b>", (200, "text/plain; charset=utf-8", "Grüße <b>")),
        ("succeeded", None, (200, "application/json", "null")),
        ("skipped", ["x"], (200, "application/json", '["x"]')),
    ],
)
@ONE
async def test_a_sender_may_wait_for_the_result(api, serve, end, status, output, told):
    await serve(hook("github", reply="result"))
    sent = asyncio.create_task(deliver(api, "github"))
    await end("ping", status, output)
    for answer in (await sent, await deliver(api, "github")):
        assert (answer.status, answer.headers["Content-Type"], answer.text) == told


@ONE
async def test_a_result_is_that_of_its_own_workspace(api, serve, end):
    await serve(hook("none", reply="result"), name="pong", workspace="other")
    sent = asyncio.create_task(deliver(api, "none", at="/hooks/other/p"))
    await end("pong", "succeeded", "theirs")
    assert (await sent).text == "theirs"


@ONE
async def test_a_sender_may_not_deliver_without_end(settings, client_of, serve, runtime):
    await serve(hook("none"))
    rates = settings.api.rates.model_copy(update={"start": 2})
    runtime.settings = settings.model_copy(
        update={"api": settings.api.model_copy(update={"rates": rates})}
    )
    async with client_of(runtime) as api:
        answers = [await deliver(api, "none", at=f"/hooks/default/{p}") for p in "pqp"]
    assert [each.status for each in answers] == [202, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0


@ONE
async def test_a_result_that_failed_is_told_without_its_reason(api, serve, end):
    await serve(hook("github", reply="result"))
    sent = asyncio.create_task(deliver(api, "github"))
    await end("ping", "failed")
    answer = await sent
    assert (answer.status, answer.json["code"]) == (502, "result-failed")


@ONE
async def test_a_result_that_takes_longer_is_told_by_its_execution(api, serve, rows):
    await serve(hook("github", reply="result", reply_timeout="1ms"))
    answer = await deliver(api, "github")
    (row,) = await rows(ExecutionRow)
    assert (answer.status, answer.json["execution"]) == (202, row.id)
    assert answer.headers["Location"] == f"/api/v1/executions/{row.id}"


@pytest.mark.parametrize(
    ("full", "status", "decisions"),
    [
        ("{limit: 1, max_queued: 1}", 503, ["fired", "fired", "concurrency"]),
        ("{limit: 1, when_full: skip}", 200, ["fired", "concurrency", "concurrency"]),
    ],
)
async def test_a_full_bot_says_whether_to_come_again(api, serve, rows, full, status, decisions):
    await serve(f"concurrency: {full}\n" + hook("none"))
    answers = [await deliver(api, "none") for _ in range(3)]
    assert answers[-1].status == status
    assert [row.decision for row in await rows(OccurrenceRow)] == decisions


async def test_overlap_passes_over_what_comes_while_another_goes_on(api, serve, rows, end):
    config = dumps({"path": "p", "auth": {"scheme": "none"}})
    await serve(f"triggers: [{{webhook: {config}, overlap: skip}}]")
    answers = await asyncio.gather(*(deliver(api, "none") for _ in range(4)))
    assert sorted(each.status for each in answers) == [200, 200, 200, 202]
    await end("ping")
    assert (await deliver(api, "none")).status == 202
    assert len(await rows(ExecutionRow)) == 2


# who serves a path


async def test_a_path_belongs_to_whoever_wanted_it_first(api, serve, runtime, rows):
    await serve(hook("github"), name="first")
    await serve(hook("bearer"), name="second")
    assert (await deliver(api, "github")).status == 202
    assert (await deliver(api, "bearer")).status == 401
    with pytest.raises(BotInvalid, match="belongs to the bot first"):
        await serve(hook("bearer"), name="third", origin=API)
    assert [row.name for row in await rows(BotRow)] == ["first", "second"]

    await runtime.door.write(lambda: bots.remove("first", 1, origin=FILE))
    assert (await deliver(api, "github")).status == 401
    assert (await deliver(api, "bearer")).status == 202
    await serve(hook("github"), name="first")
    assert (await deliver(api, "github")).status == 401


@ONE
async def test_two_bots_share_a_path_by_method(api, serve):
    await serve(hook("none", methods=["GET", "PUT"]), name="reader")
    await serve(hook("none", methods=["POST"]), name="writer")
    for method in ("GET", "PUT", "POST"):
        assert (await deliver(api, "none", method=method)).status == 202
    assert (await deliver(api, "none", method="DELETE")).status == 401
