"""Building over the API: asked, answered, shown, accepted, with a key for each."""

import asyncio

import pytest

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BELOW = "/api/v1/intelligent-bots"
NOBODY = "bld_00000000000000000000000000"


async def test_without_a_model_the_remedy_is_told(api):
    answer = await api("POST", f"{BELOW}/create-advanced", json={"description": "Anything."})
    assert (answer.status, answer.json["code"]) == (409, "builder-unset")


@pytest.mark.parametrize("rest", ["", "/draft"])
async def test_a_session_that_is_not_there_is_not_found(api, rest):
    answer = await api("GET", f"{BELOW}/{NOBODY}{rest}")
    assert (answer.status, answer.json["code"]) == (404, "build-not-found")


async def test_a_session_fails_in_words_where_its_model_is_not_installed(api):
    body = {"description": "Tell me the news.", "model": "nobody:none"}
    made = await api("POST", f"{BELOW}/create-advanced", json=body)
    assert made.status == 202
    place = f"{BELOW}/{made.json['id']}"
    async with asyncio.timeout(60):
        while (told := (await api("GET", place)).json)["status"] == "working":
            await asyncio.sleep(0.05)
    assert told["status"] == "failed"
    assert "nobody" in told["message"]
    listed = await api("GET", f"{BELOW}?status=failed")
    assert [each["id"] for each in listed.json["items"]] == [told["id"]]
    answered = await api("POST", f"{place}/answer", json={"answers": {"to": "x"}})
    assert (answered.status, answered.json["code"]) == (422, "answers-invalid")
    accepted = await api("POST", f"{place}/accept", json={"digest": "0" * 64})
    assert (accepted.status, accepted.json["code"]) == (409, "build-conflict")
    assert (await api("POST", f"{place}/undo")).status == 409
    assert (await api("POST", f"{place}/abandon")).status == 409
    branched = await api("POST", f"{place}/branch", json={"stage": "interpret"})
    assert branched.status == 202
    assert branched.json["parent"] == told["id"]


@pytest.mark.parametrize("lacks", ["bots.read", "executions.read"])
async def test_who_may_not_see_what_a_session_is_made_of_makes_and_sees_none(
    api, people, add_bot, lacks
):
    await asyncio.to_thread(add_bot, "hello")
    await people.add("anna", "user")
    token = (await people.sign_in("anna"))["access_token"]
    scopes = {"bots.build", "bots.read", "executions.read"}
    keys = {}
    for name, chosen in (("all", scopes), ("few", scopes - {lacks})):
        body = {"name": name, "scopes": sorted(chosen)}
        made = await api("POST", "/api/v1/auth/keys", token=token, json=body)
        keys[name] = made.json["key"]
    begin = {"execution": "exe_00000000000000000000000000"}

    async def ask(name, method, rest, **more):
        answer = await api(method, f"{BELOW}{rest}", token=keys[name], **more)
        return answer.status, answer.json.get("code")

    assert await ask("few", "POST", "/repair", json=begin) == (403, "access-denied")
    assert (await ask("all", "POST", "/repair", json=begin))[0] != 403
    if lacks == "bots.read":
        change = {"description": "Say it twice.", "bot": "hello", "model": "nobody:none"}
        assert await ask("few", "POST", "/create-advanced", json=change) == (403, "access-denied")
        made = await api("POST", f"{BELOW}/create-advanced", token=keys["all"], json=change)
        place = f"/{made.json['id']}"
        assert (await ask("all", "GET", place))[0] == 200
        for method, rest in (("GET", ""), ("GET", "/draft"), ("POST", "/branch")):
            more = {"json": {"stage": "interpret"}} if method == "POST" else {}
            assert await ask("few", method, place + rest, **more) == (403, "access-denied")
