"""What steps are told of the connections they may use."""

from __future__ import annotations

import json

import pytest

from codex32 import Succeeded
from codex32.engine.running.environment import Destination
from codex32.kernel.models import BotRow, ExecutionRow
from codex32.services.executions.starting import Start


async def test_a_connection_comes_with_its_secrets_which_are_masked(engine):
    engine.secrets["CRM_PW"] = "hush-hush"
    engine.connections["crm"] = Destination(
        "postgresql", "db.example.com", None, {"database": "crm"}, {"password": "CRM_PW"}
    )

    async def use(context, params):
        crm = await context.connection("crm")
        assert "hush" not in repr(crm)
        assert crm.secrets == {"password": "hush-hush"}
        return Succeeded({"host": crm.host, "told": f"with {crm.secrets['password']}"})

    engine.do("use", use)
    ended = await engine.run(
        "allow: {connections: [crm]}\nsteps:\n  - {id: a, type: scripted, with: {do: use}}\n"
        "output: '${{ steps.a.output }}'\n"
    )
    assert await engine.output(ended.execution.id) == {
        "host": "db.example.com",
        "told": "with ***",
    }


@pytest.mark.parametrize(
    ("allowed", "code"), [("[]", "capability"), ("[crm]", "connection-not-found")]
)
async def test_a_connection_must_be_named_and_be_there(engine, allowed, code):
    async def use(context, params):
        await context.connection("crm")

    engine.do("use", use)
    ended = await engine.run(
        f"allow: {{connections: {allowed}}}\n"
        "steps:\n  - {id: a, type: scripted, with: {do: use}}\n"
    )
    (step,) = ended.steps
    assert json.loads(step.error)["code"] == code


async def test_a_secret_is_looked_for_in_the_workspace_of_the_execution(engine):
    engine.secrets |= {"default/KEY": "ours", "other/KEY": "theirs-6"}
    name = await engine.add(
        "allow: {secrets: [KEY]}\ntype: set\n"
        "with: {values: {length: '${{ size(secrets.KEY) }}'}}\n"
    )
    mine = await engine.start(name)
    await engine.work()
    await engine.door.write(BotRow.update(workspace="other").execute)
    submitted = await engine.starter.start(Start(name, workspace="other"))
    await engine.work()
    assert await engine.output(mine) == {"length": 4}
    theirs = await engine.door.read(ExecutionRow.get_by_id, submitted.id)
    assert json.loads(theirs.output) == {"length": 8}
