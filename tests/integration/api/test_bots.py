"""Making, changing, finding and switching bots through the API."""

import asyncio
import json

import pytest

from codex32.engine.reading.schema import bot_schema
from codex32.kernel.models import BotRow, ExecutionRow, SeenRow, StateRow
from codex32.kernel.safe_rows import AuditRow
from codex32.services.bots.registry import Policy
from codex32.services.bots.written import FILE, Written

PING = """\
# what a person wrote
name: ping
labels: {team: platform}
type: set
with: {values: {a: 1}}
"""
YAML = {"Content-Type": "application/yaml"}


def put(api, text=PING, name="ping", **headers):
    return api("PUT", f"/api/v1/bots/{name}", data=text.encode(), headers={**YAML, **headers})


def post(api, text=PING):
    return api("POST", "/api/v1/bots", data=text.encode(), headers=YAML)


@pytest.fixture
def add_file(runtime):
    """Stores a bot as a folder would."""

    def add(text, name="filed"):
        bot = runtime.reader.read_text(text, default_name=name).only_bot()
        written = Written.of(bot, text, FILE, f"/bots/{name}.yaml")
        now = runtime.clock.micros()
        return runtime.door.write_now(lambda: runtime.registry.store(written, now))

    return add


async def test_a_bot_is_made_read_and_given_back_as_it_was_written(api):
    made = await post(api)
    assert (made.status, made.json["version"], made.json["change"]) == (201, 1, "created")
    assert made.headers["Location"] == "/api/v1/bots/ping"
    read = await api("GET", "/api/v1/bots/ping")
    assert read.headers["ETag"] == made.headers["ETag"]
    assert (read.json["status"], read.json["owner"]) == ("active", "operator")
    assert read.json["definition"]["with"] == {"values": {"a": 1}}
    assert read.json["recent"]["executions"] == 0
    given = await api("GET", "/api/v1/bots/ping/definition")
    assert given.headers["Content-Type"].startswith("application/yaml")
    assert given.text == PING
    again = await put(api, given.text)
    assert (again.json["version"], again.json["change"]) == (1, None)
    assert (await post(api)).json["code"] == "bot-exists"


async def test_the_definition_comes_as_json_too_and_once_only(api):
    await post(api)
    path = "/api/v1/bots/ping/definition"
    by_header = await api("GET", path, headers={"Accept": "application/json"})
    assert by_header.json == (await api("GET", f"{path}?format=json")).json
    assert by_header.json["labels"] == {"team": "platform"}
    tag = by_header.headers["ETag"]
    same = await api("GET", path, headers={"Accept": "application/json", "If-None-Match": tag})
    assert (same.status, same.text) == (304, "")
    assert (await api("GET", path, headers={"If-None-Match": tag})).status == 200  # it is YAML


async def test_json_sent_is_json_kept_and_a_patch_is_merged(api):
    document = {"name": "ping", "type": "set", "with": {"values": {"n": "1e3"}}}
    made = await api("POST", "/api/v1/bots", json=document)
    assert made.status == 201
    patched = await api(
        "PATCH",
        "/api/v1/bots/ping?message=less",
        data=json.dumps({"description": "new", "with": {"values": {"n": "010"}}}).encode(),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert (patched.status, patched.json["version"]) == (200, 2)
    text = (await api("GET", "/api/v1/bots/ping/definition")).text
    assert text.splitlines()[:2] == ["name: ping", "description: new"]
    assert (await put(api, text)).json["change"] is None  # 010 is a text and stays one
    listed = (await api("GET", "/api/v1/bots/ping/versions")).json["items"]
    assert [(v["number"], v["author"], v["message"]) for v in listed] == [
        (2, "operator", "less"),
        (1, "operator", ""),
    ]
    assert listed[0]["changes"] == ["description: added new", "with.values.n: 1e3 -> 010"]


async def test_of_two_people_who_change_the_same_bot_the_second_is_told(api):
    seen = (await post(api)).headers["ETag"]
    ada = await put(api, PING.replace("a: 1", "a: 2"), **{"If-Match": seen})
    bob = await put(api, PING.replace("a: 1", "a: 3"), **{"If-Match": seen})
    assert (ada.status, bob.status, bob.json["code"]) == (200, 412, "precondition-failed")
    late = await api("DELETE", "/api/v1/bots/ping", headers={"If-Match": seen})
    assert late.status == 412
    new = await put(api, PING, **{"If-None-Match": "*"})
    assert new.status == 412
    assert (await put(api, PING, **{"If-Match": "no tag"})).status == 422
    path = "/api/v1/bots/ping/definition?format=json"
    mine = (await api("GET", path)).headers["ETag"]
    assert (await put(api, PING, **{"If-Match": mine})).status == 200


async def test_a_version_is_made_live_by_its_number(api):
    first = (await post(api)).headers["ETag"]
    await put(api, PING.replace("a: 1", "a: 2"))
    answer = await api("POST", "/api/v1/bots/ping/versions/1/activate")
    assert (answer.status, answer.json) == (200, {"name": "ping", "version": 1})
    shown = await api("GET", "/api/v1/bots/ping/definition")
    assert (shown.text, shown.headers["ETag"][:-6]) == (PING, first[:-1])
    stale = {"If-Match": '"nothing"'}
    refused = await api("POST", "/api/v1/bots/ping/versions/2/activate", headers=stale)
    assert (refused.status, refused.json["code"]) == (412, "precondition-failed")
    assert (await api("POST", "/api/v1/bots/ping/versions/9/activate")).status == 404


async def test_a_version_that_is_live_again_has_its_tag_again(api):
    """The tag tells what is there, not how it came to be: nothing that was unseen is lost."""
    first = (await post(api)).headers["ETag"]
    second = (await put(api, PING.replace("a: 1", "a: 2"))).headers["ETag"]
    assert (await api("POST", "/api/v1/bots/ping/rollback")).status == 200
    path = "/api/v1/bots/ping/definition?format=json"
    assert (await api("GET", path)).headers["ETag"].startswith(first[:-1])
    assert (await put(api, PING.replace("a: 1", "a: 3"), **{"If-Match": second})).status == 412
    assert (await put(api, PING.replace("a: 1", "a: 3"), **{"If-Match": first})).status == 200


async def test_many_who_patch_at_once_lose_nothing(api):
    await post(api)

    async def patch(number):
        answer = await api("PATCH", "/api/v1/bots/ping", json={"labels": {f"l{number}": "x"}})
        return answer.status

    assert set(await asyncio.gather(*(patch(n) for n in range(5)))) == {200}
    labels = (await api("GET", "/api/v1/bots/ping")).json["labels"]
    assert labels == {"team": "platform", **{f"l{n}": "x" for n in range(5)}}


async def test_all_faults_come_at_once_with_their_places(api):
    wrong = "name: ping\nstepz: []\ntriggers: [{cron: '99 * * * *'}]\ntype: sett\n"
    refused = await put(api, wrong)
    assert (refused.status, refused.json["code"]) == (422, "request-invalid")
    assert {(e["line"], e["path"]) for e in refused.json["errors"]} >= {(2, "stepz"), (4, "type")}
    told = await api(
        "POST", "/api/v1/bots/validate?file=bots/a.yaml", data=wrong.encode(), headers=YAML
    )
    assert (told.status, told.json["valid"]) == (200, False)
    assert {each["file"] for each in told.json["problems"]} == {"bots/a.yaml"}
    other = await put(api, PING, name="pong")
    assert (other.status, other.json["errors"][0]["path"]) == (422, "name")
    assert (await api("PUT", "/api/v1/bots/ping", data=b"x", headers={})).status == 415
    assert (await put(api, f"{PING}---\n{PING}")).status == 422
    assert (await api("GET", "/api/v1/bots/ping")).status == 404


async def test_what_is_checked_is_never_executed(api, tmp_path):
    canary = tmp_path / "canary"
    touch = f"open({str(canary)!r}, 'w').close()"
    code = f"""
        import os
        {touch}
        @(lambda f: {touch} or f)
        def main(a={touch}):
            return 1
        class A:
            {touch}
            def __init_subclass__(cls): {touch}
        class B(A): pass
        x = f"{{{touch}}}"
    """
    python = f"name: evil\ntype: python\nwith:\n  code: |{code}\n"
    for text in (
        python,
        "name: evil\ntype: set\nwith: {values: {a: !!python/object/apply:os.system "
        f"['touch {canary}']}}}}\n",
        "name: evil\ntype: set\nwith: {values: {a: \"${{ __import__('os') }}\"}}\n",
    ):
        answer = await api("POST", "/api/v1/bots/validate", data=text.encode(), headers=YAML)
        assert answer.status == 200
        await put(api, text, name="evil")
        await api("PATCH", "/api/v1/bots/evil", json={"description": "x"})
        await api("GET", "/api/v1/bots/evil/versions")
        await api("GET", "/api/v1/bots/evil/definition")
        await api("GET", "/api/v1/bots/evil/diff")
    assert (await api("GET", "/api/v1/bots/evil")).json["origins"][1]["path"] == "with.code"
    assert not canary.exists()


async def test_a_bot_of_a_file_is_changed_in_its_file(api, add_file):
    await asyncio.to_thread(add_file, "type: set\nwith: {values: {}}\n")
    await asyncio.to_thread(add_file, "type: set\nwith: {values: {b: 1}}\n")
    path = "/api/v1/bots/filed"
    for method, tail, body in (
        ("PUT", "", {"type": "set", "with": {"values": {"c": 1}}}),
        ("PATCH", "", {"description": "mine"}),
        ("DELETE", "", None),
        ("POST", "/disable", None),
    ):
        refused = await api(method, path + tail, **({} if body is None else {"json": body}))
        assert (method, refused.status, refused.json["code"]) == (method, 409, "bot-read-only")
        assert " bots/filed.yaml" in refused.json["detail"]
    assert (await api("GET", path)).json["source"] == "bots/filed.yaml"
    assert (await api("POST", f"{path}/pause")).json["status"] == "paused"
    assert (await api("POST", f"{path}/resume")).json["status"] == "active"
    back = await api("POST", f"{path}/rollback")
    assert (back.status, back.json) == (200, {"name": "filed", "version": 1})
    assert (await api("GET", path)).json["pinned"] is True


async def test_enabling_and_deleting_are_versions_and_history(api):
    await post(api)
    off = await api("POST", "/api/v1/bots/ping/disable")
    assert (off.json["version"], off.json["change"]) == (2, "changed")
    assert (await api("POST", "/api/v1/bots/ping/execute")).json["code"] == "bot-disabled"
    on = await api("POST", "/api/v1/bots/ping/enable")
    assert on.json["version"] == 3
    assert (await api("DELETE", "/api/v1/bots/ping")).status == 204
    assert (await api("DELETE", "/api/v1/bots/ping")).status == 404
    assert (await api("GET", "/api/v1/bots")).json["items"] == []
    gone = (await api("GET", "/api/v1/bots?status=removed")).json["items"]
    assert [each["name"] for each in gone] == ["ping"]
    assert len((await api("GET", "/api/v1/bots/ping/versions")).json["items"]) == 3
    assert (await post(api)).json["change"] in ("restored", "changed")


async def test_a_bot_made_anew_remembers_nothing_of_the_one_that_was_deleted(api, runtime):
    bot = {"name": "sum", "type": "set", "with": {"values": {}}}
    made = await api("POST", "/api/v1/bots", json=bot)
    assert made.status == 201
    await api("PUT", "/api/v1/bots/sum/state/entry", json={"key": "k", "value": 1})
    (bot_id,) = await runtime.door.read(lambda: [row.id for row in BotRow.select()])

    def dedupe():
        SeenRow.insert(
            bot_id=bot_id, step="s", digest="d", owner="exe_1", seen_at=1, expires_at=None
        ).execute()

    def late():  # an execution that was under way writes once more
        StateRow.insert(bot_id=bot_id, key="late", value="1", updated_at=1).execute()

    def left():
        return StateRow.select().count(), SeenRow.select().count()

    await runtime.door.write(dedupe)
    assert (await api("DELETE", "/api/v1/bots/sum")).status == 204
    assert await runtime.door.read(left) == (0, 0)
    await runtime.door.write(late)
    assert (await api("POST", "/api/v1/bots", json=bot)).status == 201
    assert (await api("GET", "/api/v1/bots/sum/state")).json["items"] == []


async def test_what_was_changed_stands_in_the_audit_log(api, runtime):
    await post(api)
    await put(api, PING.replace("a: 1", "a: 2"))
    await api("POST", "/api/v1/bots/ping/pause")
    await api("DELETE", "/api/v1/bots/ping")
    rows = await runtime.door.read(lambda: list(AuditRow.select().order_by(AuditRow.seq)))
    assert [(row.action, row.subject, row.actor_kind) for row in rows] == [
        (f"bot.{done}", "ping", "operator") for done in ("created", "changed", "paused", "removed")
    ]
    assert json.loads(rows[1].change) == {"version": 2, "changes": ["with.values.a: changed"]}


async def test_bots_are_found_by_what_is_known_of_them(api, add_file):
    await post(api)
    await post(api, 'name: pong\nlabels: {"a\\"b": "c,\\"team\\":\\"x\\"", team: "100%"}\n'
               "description: Answers PING\ntype: set\nwith: {values: {}}\n")  # fmt: skip
    await post(api, "name: off\nenabled: false\ntype: set\nwith: {values: {}}\n")
    await asyncio.to_thread(add_file, "type: set\nwith: {values: {}}\n")

    async def found(query):
        answer = await api("GET", f"/api/v1/bots?{query}")
        assert answer.status == 200, answer.text
        return [each["name"] for each in answer.json["items"]]

    assert await found("label=team%3Dplatform") == ["ping"]
    assert await found("label=team") == ["ping", "pong"]
    assert await found("label=team%3Dx") == []
    assert await found("label=team%3D100%25") == ["pong"]
    assert await found("text=ping") == ["ping", "pong"]
    assert await found("text=%25") == []
    assert await found("status=disabled&status=paused") == ["off"]
    assert await found("origin=file") == ["filed"]
    assert await found("owner=operator&status=active") == ["ping", "pong"]
    assert (await api("GET", "/api/v1/bots?sort=id")).status == 422


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-updated_at"])
async def test_each_bot_stands_on_one_page_whatever_the_order(api, runtime, add_bot, sort):
    for number in range(7):
        await asyncio.to_thread(add_bot, f"b{number}")

    def same_time():
        BotRow.update(updated_at=5, created_at=5).where(BotRow.name > "b2").execute()

    await runtime.door.write(same_time)
    names, cursor = [], ""
    while True:
        page = (await api("GET", f"/api/v1/bots?sort={sort}&limit=2{cursor}")).json
        names += [each["name"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(names) == [f"b{n}" for n in range(7)]
    if "name" in sort:
        assert names == sorted(names, reverse=sort == "-name")
    other = "sort=name&cursor=5.b1" if "_at" in sort else "sort=created_at&cursor=b1"
    assert (await api("GET", f"/api/v1/bots?{other}")).status == 422


async def test_the_newest_executions_are_told_in_numbers(api, runtime):
    await post(api)
    ids = [(await api("POST", "/api/v1/bots/ping/execute")).json["id"] for _ in range(4)]
    ends = zip(ids, ("succeeded", "succeeded", "failed"), (1, 3, 5), strict=False)

    def end():
        for execution, status, seconds in ends:
            ExecutionRow.update(
                status=status, started_at=10**6, finished_at=(1 + seconds) * 10**6
            ).where(ExecutionRow.id == execution).execute()

    await runtime.door.write(end)
    recent = (await api("GET", "/api/v1/bots/ping")).json["recent"]
    assert recent == {
        "executions": 4,
        "by_status": {"failed": 1, "queued": 1, "succeeded": 2},
        "success_rate": 0.6667,
        "mean_seconds": 3.0,
    }
    (day,) = (await api("GET", "/api/v1/usage")).json["items"]
    assert {**recent, "bot": "ping", "day": day["day"]} == day
    assert (await api("GET", "/api/v1/usage?bot=ping&limit=1")).json["items"] == [day]
    assert (await api("GET", "/api/v1/usage?from=2020-01-01")).status == 422
    assert (await api("GET", "/api/v1/usage?cursor=2026-02-31.bot_1")).status == 422


@pytest.fixture
def strict(monkeypatch, runtime):
    """The policy that a person approves what may more."""
    monkeypatch.setattr(runtime.registry, "_policy", Policy(approve_capabilities=True))


@pytest.mark.usefixtures("strict")
async def test_who_may_change_bots_may_not_approve_what_they_may(api, people):
    await people.add("ada", "admin")
    await people.add("bob", "user")
    ada, bob = [(await people.sign_in(name))["access_token"] for name in ("ada", "bob")]
    await api("PUT", "/api/v1/bots/ping", token=bob, data=PING.encode(), headers=YAML)
    wide = {"allow": {"hosts": ["example.com"]}}
    sent = await api("PATCH", "/api/v1/bots/ping", token=bob, json=wide)
    assert (sent.json["change"], sent.json["widens"]) == ("waiting", ["hosts: example.com"])
    more = await api("PATCH", "/api/v1/bots/ping", token=bob, json={"description": "on top"})
    assert more.json["change"] == "waiting"  # merged into what waits
    bot = (await api("GET", "/api/v1/bots/ping", token=bob)).json
    assert (bot["version"], bot["waiting_version"], bot["status"]) == (1, 3, "active")
    path = "/api/v1/bots/ping/versions/3"
    assert (await api("POST", f"{path}/approve", token=bob)).status == 403
    assert (await api("POST", f"{path}/activate", token=bob)).json["code"] == "invalid-transition"
    approved = await api("POST", f"{path}/approve", token=ada)
    assert (approved.status, approved.json["version"]) == (200, 3)
    listed = (await api("GET", "/api/v1/bots/ping/versions", token=bob)).json["items"]
    assert [(v["standing"], v["approved_by"]) for v in listed] == [
        ("live", "ada"),
        ("past", None),
        ("past", None),
    ]


@pytest.mark.usefixtures("strict")
async def test_what_is_live_is_stopped_whatever_waits_for_approval(api, people):
    await people.add("bob", "user")
    bob = (await people.sign_in("bob"))["access_token"]
    await api("PUT", "/api/v1/bots/ping", token=bob, data=PING.encode(), headers=YAML)
    wide = {"allow": {"hosts": ["example.com"]}}
    sent = await api("PATCH", "/api/v1/bots/ping", token=bob, json=wide)
    assert sent.json["change"] == "waiting"
    off = await api("POST", "/api/v1/bots/ping/disable", token=bob)
    assert (off.status, off.json["change"], off.json["version"]) == (200, "changed", 3)
    refused = await api("POST", "/api/v1/bots/ping/execute", token=bob)
    assert refused.json["code"] == "bot-disabled"
    on = await api("POST", "/api/v1/bots/ping/enable", token=bob)
    assert on.json["change"] == "changed"
    bot = (await api("GET", "/api/v1/bots/ping", token=bob)).json
    assert (bot["version"], bot["waiting_version"], bot["status"]) == (4, None, "active")
    assert "hosts" not in bot["definition"].get("allow", {})


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/bots", {"json": [1]}),
        ("POST", "/bots", {"json": "x"}),
        ("POST", "/bots", {"json": {"name": 7}}),
        ("POST", "/bots", {"data": b"", "headers": YAML}),
        ("POST", "/bots", {"data": b"\xff", "headers": YAML}),
        ("PUT", "/bots/ping", {"json": {"name": "ping", "steps": {"a": 1}}}),
        ("PATCH", "/bots/ping", {"json": [1]}),
        ("PATCH", "/bots/ping", {"json": {"name": "pong"}}),
        ("PATCH", "/bots/ping", {"json": {"steps": [None]}}),
        ("PATCH", "/bots/ping", {"json": {"labels": {"a": 1}}}),
        ("GET", "/bots?cursor=..", {}),
        ("GET", "/bots?text=%00", {}),
        ("GET", "/bots?label=%00", {}),
        ("GET", "/bots/ping/versions?cursor=0", {}),
        ("GET", "/bots/ping/diff?from=0", {}),
        ("GET", "/bots/ping/schedule?count=0", {}),
        ("GET", "/bots/ping/state/entry?key=%00", {}),
        ("PUT", "/bots/ping/state/entry", {"json": {"key": "\ud800", "value": 1}}),
        ("GET", "/usage?from=0001-01-01&to=0001-01-02", {}),
        ("GET", "/usage?to=9999-12-31", {}),
        ("GET", "/usage?bot=..", {}),
    ],
)
async def test_what_makes_no_sense_is_refused_and_breaks_nothing(api, method, path, more):
    await post(api)
    answer = await api(method, f"/api/v1{path}", **more)
    assert (path, answer.status) == (path, 422), answer.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "collections?cursor=%00", None),
        ("GET", "collections/papers/documents?cursor=%00", None),
        ("DELETE", "collections/papers/documents?source=%00", None),
        ("PUT", "collections/papers/documents", {"source": "a\x00", "text": "b"}),
        ("POST", "alerts/alr_00000000000000000000000000/silence", {"seconds": 1, "note": "\x00"}),
        ("POST", "alerts/alr_00000000000000000000000000/acknowledge", {"note": "\x00"}),
        ("POST", "webhooks", {"url": "https://a.example", "events": ["*"], "description": "\x00"}),
    ],
)
async def test_text_for_a_column_is_refused_where_a_database_would_not_hold_it(
    api, method, path, body
):
    answer = await api(method, f"/api/v1/{path}", json=body)
    assert (path, answer.status) == (path, 422), answer.text


async def test_what_no_database_holds_is_kept_all_the_same(api):
    strange = {"name": "odd", "description": "a\x00b", "labels": {"\x00": "b"}}
    made = await api("POST", "/api/v1/bots?message=%00x", data=json.dumps(
        {**strange, "type": "set", "with": {"values": {"a": "\x00"}}}
    ).encode(), headers={"Content-Type": "application/json"})  # fmt: skip
    assert made.status == 201, made.text
    definition = await api("GET", "/api/v1/bots/odd/definition?format=json")
    assert definition.json["description"] == strange["description"]
    assert (await api("GET", "/api/v1/bots/odd/definition")).status == 200
    assert (await api("GET", "/api/v1/bots/odd/versions/1")).status == 200
    value = {"key": "k", "value": ["\x00", "\ud800"]}
    await api("PUT", "/api/v1/bots/odd/state/entry", data=json.dumps(value).encode(),
              headers={"Content-Type": "application/json"})  # fmt: skip
    (entry,) = (await api("GET", "/api/v1/bots/odd/state")).json["items"]
    assert entry["value"] == ["\x00", "\ud800"]
    assert (await api("DELETE", "/api/v1/bots/odd/state/entry?key=k")).status == 204
    assert (await api("DELETE", "/api/v1/bots/odd/state/entry?key=k")).status == 404


async def test_half_a_character_is_refused_where_it_stands(api):
    """No YAML could give it back."""
    odd = {"name": "odd", "description": "a\ud83d", "labels": {"k": "\ud800"}}
    body = json.dumps({**odd, "type": "set", "with": {"values": {"\udc00": [1]}}}).encode()
    refused = await api(
        "POST", "/api/v1/bots", data=body, headers={"Content-Type": "application/json"}
    )
    assert (refused.status, refused.json["code"]) == (422, "request-invalid")
    told = {each["path"]: each["message"] for each in refused.json["errors"]}
    assert set(told) == {"description", "labels.k", "with.values"}
    assert all("half a character" in message for message in told.values())


async def test_times_to_come_are_told_in_utc_and_in_the_zone_of_the_trigger(api, runtime):
    text = PING + "triggers: [{cron: '0 8 * * *', timezone: Europe/Berlin}, {every: 30m}]\n"
    await post(api, text)
    path = "/api/v1/bots/ping/schedule?count=2&after=2026-03-28T12:00:00Z"
    cron, every = sorted((await api("GET", path)).json["items"], key=lambda each: each["kind"])
    assert [(t["at"], t["local"]) for t in cron["times"]] == [
        ("2026-03-29T06:00:00.000Z", "2026-03-29T08:00:00+02:00"),  # the clocks went forward
        ("2026-03-30T06:00:00.000Z", "2026-03-30T08:00:00+02:00"),
    ]
    assert [t["at"][11:16] for t in every["times"]] == ["12:30", "13:00"]
    first = (await api("GET", "/api/v1/schedules?limit=1")).json
    rest = (await api("GET", f"/api/v1/schedules?limit=1&cursor={first['next']}")).json
    assert [first["items"][0]["kind"], rest["items"][0]["kind"]] == ["every", "cron"]
    assert rest["next"] is None
    await api("POST", "/api/v1/bots/ping/pause")
    why = (await api("GET", "/api/v1/bots/ping/why")).json
    assert (why["status"], why["occurrences"]) == ("paused", [])
    assert any("paused" in reason for reason in why["reasons"])


async def test_the_schema_is_that_of_the_installed_plugins(api, runtime):
    told = await api("GET", "/api/v1/schema")
    assert told.json == json.loads(json.dumps(bot_schema(runtime.components)))
