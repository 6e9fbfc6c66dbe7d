"""Looking at bots and executions: pages, filters, details, cancelling."""

from urllib.parse import urlencode

import pytest

from codex32.kernel.ids import new_id
from codex32.kernel.models import BotRow, ExecutionRow, LogLineRow, StepRow


async def all_pages(api, path, limit):
    found, cursor = [], None
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        page = (await api("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{more}")).json
        assert len(page["items"]) <= limit
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


async def started(api, bot="ping", count=1):
    path = f"/api/v1/bots/{bot}/execute"
    return [(await api("POST", path)).json["id"] for _ in range(count)]


@pytest.fixture(autouse=True)
def bots(add_bot):
    for name in ("ping", "pong", "a-third"):
        add_bot(name)


async def test_bots_come_by_name_page_by_page(api):
    found = await all_pages(api, "/api/v1/bots", 2)
    assert [bot["name"] for bot in found] == ["a-third", "ping", "pong"]
    assert {bot["version"] for bot in found} == {1}


async def test_a_broken_bot_shows_its_faults_and_a_removed_one_is_gone(api, runtime):
    def change():
        fault = '[{"message":"unknown key","path":"steps.0","file":"a.yaml","line":3,"column":1}]'
        BotRow.update(problems=fault, active_version_id=None).where(
            BotRow.name == "ping"
        ).execute()
        BotRow.update(removed_at=1).where(BotRow.name == "pong").execute()

    await runtime.door.write(change)
    third, ping = (await api("GET", "/api/v1/bots")).json["items"]
    assert (third["name"], third["status"]) == ("a-third", "active")
    assert (ping["version"], ping["status"]) == (None, "broken")
    assert ping["problems"][0]["line"] == 3


async def test_each_execution_stands_on_exactly_one_page(api):
    ids = await started(api, count=7)
    found = [row["id"] for row in await all_pages(api, "/api/v1/executions", 3)]
    assert found == sorted(ids, reverse=True)


async def test_executions_are_filtered_by_bot_and_by_several_statuses(api):
    ids = await started(api, count=2)
    (other,) = await started(api, "pong")
    await api("POST", f"/api/v1/executions/{ids[0]}/cancel")
    path = "/api/v1/executions?bot=ping&status=cancelled"
    assert [row["id"] for row in (await api("GET", path)).json["items"]] == ids[:1]
    path += "&status=queued"
    assert {row["id"] for row in (await api("GET", path)).json["items"]} == set(ids)
    assert [row["id"] for row in await all_pages(api, "/api/v1/executions?bot=pong", 5)] == [other]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1&limit=2",
        "status=quued",
        "bot=%00",
        "bot=Ping%20",
        "cursor=..%2f",
        "cursor=exe_01",
        "sort=name",
        "a=b",
    ],
)
async def test_a_query_that_does_not_fit_is_refused(api, query):
    answer = await api("GET", f"/api/v1/executions?{query}")
    assert answer.status == 422
    assert answer.json["errors"][0]["path"].partition(".")[0] == query.partition("=")[0]


INJECTIONS = ["' OR '1'='1", "1; DROP TABLE bot", '" --', "%", "1) UNION SELECT 1", "\\", "x'||'"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/v1/bots", ["cursor", "limit"]),
        ("/api/v1/executions", ["bot", "status", "cursor", "limit"]),
        ("/api/v1/executions/{id}/steps", ["cursor", "limit"]),
        ("/api/v1/executions/{id}/logs", ["cursor", "limit"]),
    ],
)
async def test_no_parameter_carries_sql_to_the_database(api, path, names):
    (execution,) = await started(api)
    for name in names:
        for payload in INJECTIONS:
            query = urlencode({name: payload})
            answer = await api("GET", f"{path.format(id=execution)}?{query}")
            assert (payload, answer.status) == (payload, 422)
    assert len((await api("GET", "/api/v1/bots")).json["items"]) == 3


async def test_an_execution_that_failed_says_why(api, runtime):
    (execution,) = await started(api)

    def fail():
        ExecutionRow.update(
            status="failed", cause="error", message="it broke", finished_at=2, output='{"a":1}'
        ).execute()

    await runtime.door.write(fail)
    told = (await api("GET", f"/api/v1/executions/{execution}")).json
    assert told["error"] == {"message": "it broke", "code": "error"}
    assert told["output"] == {"a": 1}


async def test_steps_come_with_their_items_page_by_page(api, runtime):
    (execution,) = await started(api)

    def record():
        for step, item in (("fetch", -1), ("each", 0), ("each", 1), ("each", 10)):
            StepRow.insert(
                execution_id=execution,
                step=step,
                item=item,
                status="succeeded",
                tries=1,
                input='{"url":"x"}',
                output=f'"{step}{item}"',
                started_at=1,
                finished_at=2,
            ).execute()

    await runtime.door.write(record)
    found = await all_pages(api, f"/api/v1/executions/{execution}/steps", 2)
    assert [(each["step"], each["item"], each["output"]) for each in found] == [
        ("each", 0, "each0"),
        ("each", 1, "each1"),
        ("each", 10, "each10"),
        ("fetch", None, "fetch-1"),
    ]
    assert found[0]["input"] == {"url": "x"}


async def test_a_log_can_be_followed_from_where_one_stopped(api, runtime):
    (execution,) = await started(api)

    def say(*messages):
        for message in messages:
            LogLineRow.insert(
                execution_id=execution, at=1, level="info", message=message, fields='{"k":1}'
            ).execute()

    path = f"/api/v1/executions/{execution}/logs"
    empty = (await api("GET", path)).json
    assert empty == {"items": [], "next": "0"}
    await runtime.door.write(lambda: say("one", "two"))
    page = (await api("GET", f"{path}?cursor=0")).json
    assert [(line["message"], line["fields"]) for line in page["items"]] == [
        ("one", {"k": 1}),
        ("two", {"k": 1}),
    ]
    assert (await api("GET", f"{path}?cursor={page['next']}")).json["items"] == []
    await runtime.door.write(lambda: say("three"))
    later = (await api("GET", f"{path}?cursor={page['next']}")).json
    assert [line["message"] for line in later["items"]] == ["three"]


async def test_cancelling_twice_is_a_conflict_the_second_time(api):
    (execution,) = await started(api)
    first = await api("POST", f"/api/v1/executions/{execution}/cancel", json={})
    assert (first.status, first.json["status"]) == (202, "cancelled")
    again = await api("POST", f"/api/v1/executions/{execution}/cancel")
    assert (again.status, again.json["code"]) == (409, "invalid-transition")


@pytest.mark.parametrize("tail", ["", "/steps", "/logs"])
async def test_an_unknown_execution_is_not_found(api, tail):
    for execution in (new_id("exe"), "nonsense", "exe_"):
        answer = await api("GET", f"/api/v1/executions/{execution}{tail}")
        assert (answer.status, answer.json["code"]) == (404, "execution-not-found")


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a%2fb", "%00", "%ff", "%c3%a9", "a.b"])
async def test_what_is_no_id_finds_nothing(api, name):
    answer = await api("GET", f"/api/v1/executions/{name}")
    assert answer.status in (400, 404)
    assert (await api("POST", f"/api/v1/bots/{name}/execute")).status in (400, 404)


async def test_plugins_are_listed_with_what_became_of_them(api):
    plugins = {each["name"]: each for each in (await api("GET", "/api/v1/plugins")).json["items"]}
    assert plugins["builtin"]["state"] == "loaded"
    assert "set" in plugins["builtin"]["offers"]["bot_types"]
