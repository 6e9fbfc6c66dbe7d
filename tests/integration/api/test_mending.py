"""A model mends a bot over the API: begun, shown, accepted, taken back."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from codex32_shares import RAISED, SHARES, mended, record

from codex32.installed import load_plugins
from codex32.kernel.caller import Caller
from codex32.runtime import open_runtime
from codex32.services.safe import secrets
from codex32_config.settings import load_settings
from codex32_testing.model_server import ModelServer
from codex32_testing.model_server.builders import PERSONALITIES, builder_model

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BELOW = "/api/v1/intelligent-bots"
ADA = Caller("user", "usr_1", "ada", workspace="default", permissions=None)
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
def model():
    with ModelServer() as server:
        server.ask(builder_model([mended()], PERSONALITIES["competent"]))
        yield server


@pytest.fixture
def runtime(settings, model):
    more = {
        "database_url": settings.database_url,
        "api.token": settings.api.token,
        "builder.model": "openai:gpt-5-mini",
        "plugins": {"openai": {"base_url": model.openai_url}},
        "ai.prices": {"openai:*": {"input_usd": 0.1, "output_usd": 0.5}},
    }
    chosen = load_settings(folder=settings.folder, overrides=more, environ={})
    runtime = open_runtime(chosen, "api", plugins=load_plugins(chosen))
    write = partial(secrets.write, runtime.vault, "OPENAI_API_KEY", model.key, ADA)
    runtime.door.write_now(partial(write, runtime.clock.micros(), workspace="default"))
    yield runtime
    runtime.close()


async def test_what_failed_is_mended_proved_accepted_and_taken_back(api, runtime, model):
    made = await api("POST", "/api/v1/bots", data=SHARES.encode(), headers=YAML)
    assert made.status == 201, made.text
    failed = await runtime.door.write(
        partial(
            record, "shares", "failed", {"n": 0, "note": ""},
            ("share", "failed", {"args": {"n": 0}}, None, RAISED), message=RAISED["message"],
        )
    )  # fmt: skip
    begun = await api("POST", f"{BELOW}/repair", json={"execution": failed})
    assert (begun.status, begun.json["repairs"]) == (202, failed)
    place = f"{BELOW}/{begun.json['id']}"
    async with asyncio.timeout(120):
        while (told := (await api("GET", place)).json)["status"] == "working":
            await asyncio.sleep(0.05)
    assert (told["status"], told["message"]) == ("ready", "")
    assert len(model.asked) == 1
    draft = (await api("GET", f"{place}/draft")).json
    regression = f"does not fail as {failed} did"
    assert [(each["name"], each["passed"]) for each in draft["proof"]["tests"]] == [
        (regression, True)
    ]
    assert (await api("GET", "/api/v1/bots/shares/definition")).text == SHARES  # not applied
    accepted = await api("POST", f"{place}/accept", json={"digest": draft["digest"]})
    assert (accepted.status, accepted.json["status"]) == (200, "accepted")
    live = (await api("GET", "/api/v1/bots/shares/definition")).text
    assert regression in live
    assert "10 // n if n else 0" in live
    assert (await api("POST", f"{place}/undo")).json["status"] == "undone"
    assert (await api("GET", "/api/v1/bots/shares/definition")).text == SHARES


async def test_what_did_not_fail_begins_no_session(api, runtime, model):
    await api("POST", "/api/v1/bots", data=SHARES.encode(), headers=YAML)
    done = await runtime.door.write(partial(record, "shares", "succeeded", {}))
    told = await api("POST", f"{BELOW}/repair", json={"execution": done})
    assert (told.status, told.json["code"]) == (409, "invalid-transition")
    assert (await api("GET", BELOW)).json["items"] == []
    assert not model.asked
