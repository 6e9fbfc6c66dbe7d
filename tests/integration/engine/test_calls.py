"""Programs start other bots: those they may, and none twice, whatever happens to their step."""

from __future__ import annotations

import textwrap

import pytest

from codex32.kernel.models import ExecutionRow

CHILD = """
name: child
inputs: {n: {type: integer}, word: {type: string, default: none}}
steps: [{id: a, type: wait, with: {for: 1h}}]
"""


def parent(code: str, more: str = "") -> str:
    indented = textwrap.indent(textwrap.dedent(code).strip(), " " * 8)
    return f"""
name: parent
allow: {{bots: [child, missing], secrets: [TOKEN]}}
steps:
  - id: code
    type: python
    {more}
    with:
      code: |
        from codex32_step import call, secret
{indented}
output: "${{{{ steps.code.output }}}}"
"""


async def started(engine) -> list[tuple[str, object]]:
    rows = await engine.door.read(lambda: list(ExecutionRow.select().order_by(ExecutionRow.id)))
    return [(row.id, row.inputs) for row in rows if row.bot_name == "child"]


async def test_a_program_starts_bots_and_goes_on_with_their_ids(engine):
    await engine.add(CHILD)
    found = await engine.run(parent("def main(): return [call('child', n=n) for n in (1, 2, 2)]"))
    assert found.execution.status == "succeeded", found.execution.message
    ids = await engine.output(found.execution.id)
    assert sorted(ids) == [each for each, _ in await started(engine)]
    assert len(set(ids)) == 3


async def test_a_step_that_is_tried_again_starts_nothing_twice(engine, manual_clock):
    await engine.add(CHILD)
    code = """
        def main():
            call("child", n=1)
            call("child", n=2)
            raise RuntimeError("again")
    """
    execution = await engine.start(
        await engine.add(parent(code, "retry: {attempts: 2, first: 1s}"))
    )
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "waiting"
    before = await started(engine)
    manual_clock.advance(2)
    await engine.work()
    assert (await engine.inspect(execution)).execution.status == "failed"
    assert await started(engine) == before
    assert len(before) == 2


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("call('other')", "PermissionError"),
        ("call('missing')", "RuntimeError"),
        ("call('child', n='text')", "RuntimeError"),
    ],
)
async def test_what_cannot_be_started_raises_where_it_is_called(engine, call, error):
    await engine.add(CHILD)
    code = f"""
        def main():
            try:
                {call}
            except Exception as error:
                return [type(error).__name__, str(error)]
    """
    found = await engine.run(parent(code))
    assert found.execution.status == "succeeded", found.execution.message
    name, told = await engine.output(found.execution.id)
    assert (name, bool(told)) == (error, True)
    assert await started(engine) == []


async def test_a_program_starts_so_many_and_no_more(engine):
    await engine.add(CHILD)
    code = """
        def main():
            try:
                for n in range(1000):
                    call("child", n=n)
            except RuntimeError as error:
                return [n, str(error)]
    """
    found = await engine.run(parent(code))
    assert await engine.output(found.execution.id) == [100, "a program may start 100 executions"]
    assert len(await started(engine)) == 100


async def test_a_secret_that_is_handed_on_is_written_nowhere(engine):
    await engine.add(CHILD)
    engine.secrets["TOKEN"] = "sec-ret-word"
    await engine.run(parent("def main(): call('child', word=secret('TOKEN'))"))
    ((_, inputs),) = await started(engine)
    assert "***" in str(inputs)
    assert "sec-ret-word" not in await engine.everything_written()
