"""``on_failure`` and ``finally`` that outlive the attempt in which they began."""

import asyncio

from codex32.engine.running.attempt import Attempt
from codex32.services.upkeep import recovery

LONG = """
steps:
  - {id: big, type: scripted, with: {do: big}}
finally:
  - {id: pause, type: wait, with: {for: 10s}}
output: "${{ steps.big.output }}"
"""
DEADLY = """
steps:
  - {id: kills, type: scripted, with: {do: hang}}
on_failure:
  - {id: tell, type: set, with: {values: {cause: "${{ failure.cause }}"}}}
"""


async def test_a_long_output_outlives_a_wait_in_finally(engine, manual_clock) -> None:
    engine.do("big", lambda context, params: "x" * 5000)
    execution_id = await engine.start(await engine.add(LONG))
    await engine.work()
    waiting = (await engine.inspect(execution_id)).execution
    assert (waiting.status, len(waiting.closing) < 500) == ("waiting", True)

    manual_clock.advance(10)
    await engine.work()

    ended = (await engine.inspect(execution_id)).execution
    assert (ended.status, ended.message) == ("succeeded", "")
    output = await asyncio.to_thread(engine.env.payloads.unpack, execution_id, ended.output)
    assert output == "x" * 5000


async def test_an_execution_that_kills_workers_still_says_its_last_words(
    engine, manual_clock, status_of
) -> None:
    engine.do("hang", lambda context, params: asyncio.sleep(3600))
    execution_id = await engine.start(await engine.add(DEADLY))
    for death in range(2):
        (claim,) = await engine.claim(f"worker {death}", lease_seconds=10)
        task = asyncio.create_task(Attempt(engine.env, claim).run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        manual_clock.advance(11)
        await recovery.recover(engine.door, manual_clock.micros(), max_deaths=2)

    await engine.work()

    found = await engine.inspect(execution_id)
    assert (found.execution.status, found.execution.cause) == ("failed", "lost")
    assert status_of(found)["tell"] == "succeeded"


async def test_closing_steps_see_how_every_step_ended_or_that_it_was_never_reached(engine):
    engine.do("hang", lambda c, p: asyncio.Event().wait())
    seen = await engine.run("""
timeout: 50ms
steps:
  - {id: slow, type: scripted, with: {do: hang}}
  - {id: never, type: set, with: {values: {}}}
finally:
  - id: tidy
    type: set
    with: {values: {slow: "${{ steps.slow.status }}", never: "${{ steps.never.status }}"}}
""")
    (tidy,) = [step for step in seen.steps if step.step == "tidy"]
    assert tidy.output == '{"never":"pending","slow":"cancelled"}'


async def test_closing_steps_have_their_own_time_whatever_the_bot_took(engine):
    left = []
    engine.do("hang", lambda c, p: asyncio.Event().wait())
    engine.do("look", lambda context, params: left.append(context.seconds_left))
    await engine.run("""
timeout: 50ms
steps: [{id: slow, type: scripted, with: {do: hang}}]
on_failure: [{id: tell, type: scripted, with: {do: look}}]
finally:
  - {id: tidy, type: scripted, with: {do: look}}
  - {id: brief, type: scripted, timeout: 5s, with: {do: look}}
""")
    assert [round(seconds) for seconds in left] == [600, 600, 5]
