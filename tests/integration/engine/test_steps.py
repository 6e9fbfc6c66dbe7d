"""What a bot file says of its steps is what happens."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from codex32 import Failed, ProviderUnavailable, Succeeded, Waiting
from codex32.engine.records import cancelling
from codex32.engine.values.params import check_output
from codex32.kernel.events import ExecutionFinished, StepFinished
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.linux import NamespaceSandbox
from codex32.outside.sandboxes.runner import SandboxedRunner

LINE = """
steps:
  - {id: one, type: set, with: {values: {n: 1}}}
  - {id: two, type: set, with: {values: {n: "${{ steps.one.output.n + 1 }}"}}}
output: "${{ steps.two.output }}"
"""


async def test_steps_run_in_order_and_are_recorded_with_input_and_output(engine, status_of):
    seen = await engine.run(LINE)
    assert seen.execution.status == "succeeded"
    assert status_of(seen) == {"one": "succeeded", "two": "succeeded"}
    assert await engine.output(seen.execution.id) == {"n": 2}
    two = seen.steps[1]
    assert (two.input, two.output, two.tries) == ('{"values":{"n":2}}', '{"n":2}', 1)
    assert None not in (two.started_at, two.finished_at, seen.execution.finished_at)
    assert [a.outcome for a in seen.attempts] == ["succeeded"]


async def test_the_output_of_a_bot_without_steps_is_that_of_its_one_step(engine):
    seen = await engine.run("type: set\nwith: {values: {a: 1}}")
    assert await engine.output(seen.execution.id) == {"a": 1}


async def test_a_condition_that_does_not_hold_skips_its_step_and_no_other(engine, status_of):
    seen = await engine.run("""
inputs: {go: {type: boolean, default: false}}
steps:
  - {id: maybe, type: set, if: inputs.go, with: {values: {}}}
  - {id: after, type: set, with: {values: {}}}
  - {id: child, type: set, needs: [maybe], with: {values: {}}}
  - {id: anyway, type: set, needs: [maybe], if: "true", with: {values: {}}}
""")
    assert status_of(seen) == {
        "maybe": "skipped",
        "after": "succeeded",
        "child": "skipped",
        "anyway": "succeeded",
    }
    assert seen.execution.status == "succeeded"


async def test_branches_that_need_the_same_step_run_at_the_same_time(engine):
    both = asyncio.Barrier(2)
    engine.do("meet", lambda c, p: both.wait())
    seen = await asyncio.wait_for(
        engine.run("""
steps:
  - {id: root, type: set, with: {values: {}}}
  - {id: left, type: scripted, needs: [root], with: {do: meet}}
  - {id: right, type: scripted, needs: [root], with: {do: meet}}
  - {id: join, type: set, needs: [left, right], with: {values: {}}}
"""),
        20,
    )
    assert seen.execution.status == "succeeded"
    assert len(seen.steps) == 4


async def test_an_end_step_ends_the_execution_with_its_status(engine, status_of):
    seen = await engine.run("""
steps:
  - {id: stop, type: end, with: {status: skipped, message: nothing new, output: {n: 0}}}
  - {id: never, type: set, with: {values: {}}}
""")
    assert (seen.execution.status, seen.execution.message) == ("skipped", "nothing new")
    assert status_of(seen) == {"stop": "succeeded"}
    assert await engine.output(seen.execution.id) == {"n": 0}


async def test_a_fault_ends_the_execution_and_names_the_step(engine, status_of):
    engine.do("fail", lambda c, p: Failed("no luck", code="luck"))
    seen = await engine.run("""
steps:
  - {id: bad, type: scripted, with: {do: fail}}
  - {id: never, type: set, with: {values: {}}}
on_failure:
  - id: tell
    type: notify
    with: {to: sink, text: "${{ failure.step }}: ${{ failure.message }} (${{ failure.cause }})"}
finally:
  - {id: tidy, type: set, with: {values: {}}}
""")
    assert (seen.execution.status, seen.execution.cause) == ("failed", "error")
    assert seen.execution.message == "no luck"
    assert status_of(seen) == {"bad": "failed", "tell": "succeeded", "tidy": "succeeded"}
    assert [n.text for n, _ in engine.sink.sent] == ["bad: no luck (error)"]


async def test_on_error_continue_goes_on_and_lets_later_steps_see_the_fault(engine):
    engine.do("fail", lambda c, p: Failed("no luck"))
    seen = await engine.run("""
steps:
  - {id: bad, type: scripted, on_error: continue, with: {do: fail}}
  - id: next
    type: set
    with: {values: {was: "${{ steps.bad.status }}", why: "${{ steps.bad.error.message }}"}}
output: "${{ steps.next.output }}"
""")
    assert await engine.output(seen.execution.id) == {"was": "failed", "why": "no luck"}
    assert seen.execution.status == "succeeded"


async def test_faults_of_closing_steps_change_nothing(engine, status_of):
    engine.do("fail", lambda c, p: Failed("late"))
    seen = await engine.run("""
steps: [{id: ok, type: set, with: {values: {}}}]
on_failure: [{id: never, type: set, with: {values: {}}}]
finally:
  - {id: bad, type: scripted, with: {do: fail}}
  - {id: still, type: set, with: {values: {}}}
""")
    assert seen.execution.status == "succeeded"
    assert status_of(seen) == {"ok": "succeeded", "bad": "failed", "still": "succeeded"}


async def test_data_is_never_read_as_an_expression(engine):
    seen = await engine.run(
        """
inputs: {text: {type: string}}
steps:
  - {id: a, type: set, with: {values: {t: "${{ inputs.text }}"}}}
  - {id: b, type: set, with: {values: {t: "<${{ steps.a.output.t }}>"}}}
output: "${{ steps.b.output.t }}"
""",
        text="${{ 1 + 1 }}",
    )
    assert await engine.output(seen.execution.id) == "<${{ 1 + 1 }}>"


async def test_missing_data_fails_the_step_and_names_the_path(engine):
    seen = await engine.run("""
steps:
  - {id: a, type: set, with: {values: {title: x}}}
  - {id: b, type: set, with: {values: {t: "${{ steps.a.output.titel }}"}}}
""")
    assert seen.execution.status == "failed"
    assert "titel" in seen.execution.message
    assert "title" in seen.execution.message


async def test_evaluated_parameters_are_checked_against_the_schema(engine):
    seen = await engine.run(
        """
inputs: {for: {type: string}}
steps: [{id: w, type: wait, with: {for: "${{ inputs.for }}"}}]
""",
        **{"for": "soon"},
    )
    assert (seen.execution.status, seen.execution.cause) == ("failed", "error")
    assert "with.for" in seen.execution.message


async def test_foreach_records_every_item_and_keeps_their_order(engine, status_of):
    seen = await engine.run("""
steps:
  - id: each
    type: set
    foreach: "${{ [3, 1, 2] }}"
    parallel: 2
    with: {values: {n: "${{ item * 10 + index }}"}}
output: "${{ steps.each.output.map(o, o.n) }}"
""")
    assert await engine.output(seen.execution.id) == [30, 11, 22]
    assert status_of(seen) == {
        "each": "succeeded",
        "each[0]": "succeeded",
        "each[1]": "succeeded",
        "each[2]": "succeeded",
    }


async def test_foreach_can_collect_faults_or_stop_at_the_first(engine, status_of):
    engine.do("odd", lambda c, p: Failed("odd") if p["value"] % 2 else p["value"])
    bot = """
name: {name}
steps:
  - id: each
    type: scripted
    foreach: "${{{{ [0, 1, 2] }}}}"
    on_item_error: {mode}
    with: {{do: odd, value: "${{{{ item }}}}"}}
output: "${{{{ steps.each }}}}"
"""
    collected = await engine.run(bot.format(name="a", mode="collect"))
    output = await engine.output(collected.execution.id)
    assert output["output"] == [0, None, 2]
    assert [each["index"] for each in output["error"]["items"]] == [1]
    stopped = await engine.run(bot.format(name="b", mode="fail"))
    assert (stopped.execution.status, stopped.execution.message) == ("failed", "item 1: odd")
    assert "each[2]" not in status_of(stopped)


async def test_retries_wait_without_a_worker_and_grow(engine, manual_clock):
    def flaky(context, params):
        if context.step.number < 3:
            raise ProviderUnavailable("not now")
        return Succeeded(context.step.number)

    engine.do("flaky", flaky)
    seen = await engine.run("""
steps:
  - {id: a, type: scripted, retry: {attempts: 3, first: 10s, factor: 3}, with: {do: flaky}}
output: "${{ steps.a.output }}"
""")
    waits = []
    while seen.execution.status == "waiting":
        waits.append((seen.execution.ready_at - seen.execution.attempt_at) / 1e6)
        manual_clock.advance(waits[-1] + 0.001)
        await engine.work()
        seen = await engine.inspect(seen.execution.id)
    assert seen.execution.status == "succeeded"
    assert 7.5 <= waits[0] <= 10
    assert 22.5 <= waits[1] <= 30
    assert await engine.output(seen.execution.id) == 3
    assert seen.steps[0].tries == 3


async def test_what_cannot_be_helped_is_not_tried_again(engine):
    engine.do("fail", lambda c, p: Failed("bad input"))
    seen = await engine.run("""
retry: {attempts: 5, first: 1s}
steps: [{id: a, type: scripted, with: {do: fail}}]
""")
    assert (seen.execution.status, seen.steps[0].tries) == ("failed", 1)


async def test_retry_after_is_kept(engine):
    engine.do("busy", lambda c, p: Failed("busy", retryable=True, retry_after_seconds=90))
    seen = await engine.run("""
steps: [{id: a, type: scripted, retry: {attempts: 2, first: 1s}, with: {do: busy}}]
""")
    assert (seen.execution.ready_at - seen.execution.attempt_at) / 1e6 == 90


async def test_a_wait_holds_no_worker_and_goes_on_at_its_time(engine, manual_clock):
    seen = await engine.run("""
steps:
  - {id: pause, type: wait, with: {for: 2h}}
  - {id: after, type: set, with: {values: {}}}
""")
    assert (seen.execution.status, seen.execution.worker) == ("waiting", "worker")
    manual_clock.advance(3600)
    await engine.work()
    assert (await engine.inspect(seen.execution.id)).execution.status == "waiting"
    manual_clock.advance(3601)
    await engine.work()
    seen = await engine.inspect(seen.execution.id)
    assert seen.execution.status == "succeeded"
    assert [a.outcome for a in seen.attempts] == ["waiting", "succeeded"]


async def test_waiting_does_not_use_up_the_bots_time(engine, manual_clock):
    seen = await engine.run("""
timeout: 1m
steps: [{id: pause, type: wait, with: {for: 2h}}, {id: after, type: set, with: {values: {}}}]
""")
    manual_clock.advance(7201)
    await engine.work()
    assert (await engine.inspect(seen.execution.id)).execution.status == "succeeded"


async def test_one_branch_waits_while_another_goes_on(engine, manual_clock, status_of):
    seen = await engine.run("""
steps:
  - {id: pause, type: wait, needs: [], with: {for: 1h}}
  - {id: work, type: set, needs: [], with: {values: {}}}
  - {id: more, type: set, needs: [work], with: {values: {}}}
  - {id: join, type: set, needs: [pause, more], with: {values: {}}}
""")
    assert status_of(seen) == {"pause": "waiting", "work": "succeeded", "more": "succeeded"}
    manual_clock.advance(3601)
    await engine.work()
    assert (await engine.inspect(seen.execution.id)).execution.status == "succeeded"


async def test_a_step_that_takes_too_long_is_stopped(engine, status_of):
    stopped = []

    async def endless(context, params):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(context.step.id)
            raise

    engine.do("endless", endless)
    seen = await engine.run("""
steps: [{id: slow, type: scripted, timeout: 50ms, with: {do: endless}}]
""")
    assert (seen.execution.status, seen.execution.cause) == ("failed", "timeout")
    assert stopped == ["slow"]


async def test_an_execution_that_takes_too_long_is_stopped_and_finally_still_runs(
    engine, status_of
):
    engine.do("endless", lambda c, p: asyncio.Event().wait())
    seen = await engine.run("""
timeout: 50ms
steps:
  - {id: slow, type: scripted, with: {do: endless}}
  - {id: never, type: set, with: {values: {}}}
on_failure: [{id: tell, type: notify, with: {to: sink, text: "${{ failure.cause }}"}}]
finally: [{id: tidy, type: set, with: {values: {}}}]
""")
    assert (seen.execution.status, seen.execution.cause) == ("failed", "timeout")
    assert status_of(seen) == {"slow": "cancelled", "tell": "succeeded", "tidy": "succeeded"}
    assert engine.sink.sent[0][0].text == "timeout"


async def test_state_is_written_with_its_step_and_seen_by_later_ones(engine):
    text = """
steps:
  - {id: put, type: set, with: {values: {}, state: {count: "${{ state.?count.orValue(0) + 1 }}"}}}
  - {id: read, type: set, with: {values: {n: "${{ state.count }}"}}}
output: "${{ steps.read.output.n }}"
"""
    bot = await engine.add(text)
    for expected in (1, 2):
        execution = await engine.start(bot)
        await engine.work()
        assert await engine.output(execution) == expected
    assert await engine.state() == {"count": 2}


async def test_dedupe_passes_on_what_it_has_not_seen(engine, manual_clock):
    bot = await engine.add("""
inputs: {items: {type: array}}
type: dedupe
with: {items: "${{ inputs.items }}", key: "item.id", keep: 1h}
""")

    async def unseen(*ids):
        execution = await engine.start(bot, items=[{"id": i} for i in ids])
        await engine.work()
        return [item["id"] for item in await engine.output(execution)]

    assert await unseen("a", "b", "a") == ["a", "b"]
    assert await unseen("b", "c") == ["c"]
    manual_clock.advance(3601)
    assert await unseen("a") == ["a"]


async def test_a_sub_bot_runs_elsewhere_and_its_output_comes_back(engine, manual_clock):
    await engine.add("""
name: child
inputs: {n: {type: integer}}
type: set
with: {values: {double: "${{ inputs.n * 2 }}"}}
""")
    seen = await engine.run(
        """
name: parent
allow: {bots: [child]}
steps: [{id: ask, type: bot, with: {name: child, inputs: {n: 21}}}]
output: "${{ steps.ask.output.double }}"
"""
    )
    assert await engine.output(seen.execution.id) == 42
    assert [a.outcome for a in seen.attempts] == ["waiting", "succeeded"]


async def test_a_sub_bot_must_be_allowed_and_its_failure_is_the_steps(engine):
    engine.do("fail", lambda c, p: Failed("inner"))
    await engine.add("{name: child, type: scripted, with: {do: fail}}")
    refused = await engine.run("{name: a, type: bot, with: {name: child}}")
    assert (refused.execution.status, refused.execution.cause) == ("failed", "capability")
    assert "allow.bots" in refused.execution.message
    failed = await engine.run("{name: b, allow: {bots: [child]}, type: bot, with: {name: child}}")
    assert failed.execution.status == "failed"
    assert "inner" in failed.execution.message


async def test_secrets_reach_the_step_and_nothing_that_is_written(engine):
    engine.secrets["TOKEN"] = 'se"cret/välue'
    got = []

    def use(context, params):
        got.append(params["value"])
        context.log(f"using {params['value']}", token=params["value"])
        return {"echo": params["value"]}

    engine.do("use", use)
    seen = await engine.run("""
allow: {secrets: [TOKEN]}
steps:
  - {id: a, type: scripted, with: {do: use, value: "Bearer ${{ secrets.TOKEN }}"}}
  - {id: b, type: set, with: {values: {seen: "${{ steps.a.output.echo }}"}}}
output: "${{ steps.b.output }}"
""")
    assert got == ['Bearer se"cret/välue']
    assert await engine.output(seen.execution.id) == {"seen": "Bearer ***"}
    assert await engine.logs(seen.execution.id) == ["using Bearer ***"]
    written = await engine.everything_written()
    assert "cret/v" not in written
    assert "***" in written


async def test_python_runs_in_another_process_and_its_lines_become_log_lines(engine):
    seen = await engine.run("""
steps:
  - id: code
    type: python
    with:
      args: {n: 20}
      code: |
        import os
        def main(n):
            print("from", "inside")
            return {"n": n + 1, "pid": os.getpid()}
output: "${{ steps.code.output }}"
""")
    assert seen.execution.status == "succeeded", seen.execution.message
    output = await engine.output(seen.execution.id)
    import os

    assert output["n"] == 21
    assert output["pid"] != os.getpid()
    assert await engine.logs(seen.execution.id) == ["from inside"]


def _raise(odd):
    raise odd("bye")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (lambda: 5, "must return an outcome, not int"),
        (lambda: None, "must return an outcome, not NoneType"),
        (lambda: sys.exit("bye"), "raised SystemExit: bye"),
        (partial(_raise, KeyboardInterrupt), "raised KeyboardInterrupt: bye"),
        (partial(_raise, GeneratorExit), "raised GeneratorExit: bye"),
        (lambda: (_ for _ in ()).throw(asyncio.CancelledError), "cancelled itself"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: Succeeded({1: 2}), "no JSON"),
        (lambda: Succeeded({"b": 1}), "broke its contract"),
    ],
)
async def test_a_bot_type_that_lies_harms_its_own_step_alone(engine, what, told, monkeypatch):
    async def run(context, params):
        return what()

    monkeypatch.setattr(engine.scripted, "run", run)
    monkeypatch.setattr(type(engine.scripted), "output_schema", {"required": ["a"]})
    check_output.__globals__["_output"].cache_clear()
    seen = await engine.run("{timeout: 10s, type: scripted, with: {do: lie}}")
    check_output.__globals__["_output"].cache_clear()
    assert seen.execution.status == "failed"
    assert told in seen.execution.message


@pytest.mark.parametrize("deep", [300, 600, 2000])
async def test_what_is_nested_too_deep_is_the_fault_of_its_step(engine, deep):
    def nest(context, params):
        value: list = []
        for _ in range(deep):
            value = [value]
        return Succeeded({"a": value})

    engine.scripted.functions["nest"] = nest
    seen = await engine.run(
        """
steps:
  - {id: a, type: scripted, with: {do: nest}, on_error: continue}
  - {id: b, type: set, with: {values: {}}}
finally:
  - {id: c, type: set, with: {values: {}}}
"""
    )
    assert seen.execution.status == "succeeded"
    assert [step.step for step in seen.steps] == ["a", "b", "c"]


@pytest.mark.parametrize("said", ["half \ud800", "nothing \x00"], ids=["half", "nul"])
async def test_no_text_is_too_odd_for_a_message_or_a_log(engine, said):
    def say(context, params):
        context.log(said)
        return Failed(said)

    engine.scripted.functions["say"] = say
    seen = await engine.run("{type: scripted, with: {do: say}}")
    assert (seen.execution.status, seen.execution.cause) == ("failed", "error")
    assert seen.steps[0].status == "failed"
    assert "engine failed" not in seen.execution.message
    assert said.split()[0] in seen.execution.message
    assert len(await engine.logs(seen.execution.id)) == 1


async def test_long_values_go_to_files_and_come_back(engine, tmp_path):
    seen = await engine.run(
        """
inputs: {text: {type: string}}
steps:
  - {id: a, type: set, with: {values: {t: "${{ inputs.text }}"}}}
  - {id: b, type: set, with: {values: {n: "${{ size(steps.a.output.t) }}"}}}
output: "${{ steps.b.output.n }}"
""",
        text="x" * 50_000,
    )
    assert await engine.output(seen.execution.id) == 50_000
    assert seen.steps[0].output.startswith("@")
    assert list((tmp_path / "payloads").rglob("*.json"))


async def test_events_are_told_after_the_commit(engine):
    seen = await engine.run(LINE)
    await asyncio.to_thread(engine.door.close)
    steps = [e.step for e in engine.events if isinstance(e, StepFinished)]
    finished = [e for e in engine.events if isinstance(e, ExecutionFinished)]
    assert steps == ["one", "two"]
    assert [(e.execution_id, e.status) for e in finished] == [(seen.execution.id, "succeeded")]


async def test_an_execution_is_told_with_the_type_of_its_bot(engine, manual_clock):
    bots = {
        "set": "name: one\ntype: set\nwith: {values: {n: 1}}\n",
        "scripted": "name: two\nsteps:\n  - {id: a, type: scripted, with: {do: break}}\n"
        "on_failure: [{id: b, type: set, with: {values: {n: 1}}}]\n",
        "mixed": "name: three\nsteps:\n  - {id: a, type: set, with: {values: {n: 1}}}\n"
        "  - {id: b, type: wait, with: {for: 1h}}\n",
        "wait": "name: four\ntype: wait\nwith: {for: 1h}\n",
    }
    engine.do("break", lambda c, p: 1 / 0)
    ids = [await engine.start(await engine.add(text)) for text in bots.values()]
    cancel = partial(cancelling.cancel_many, ids[-1:], manual_clock.micros(), "enough")
    await engine.door.write(cancel)
    await engine.work()
    manual_clock.advance(3601)
    await engine.work()
    await asyncio.to_thread(engine.door.close)
    finished = [e for e in engine.events if isinstance(e, ExecutionFinished)]
    told = {e.execution_id: (e.status, e.bot_type) for e in finished}
    ends = dict(zip(bots, ("succeeded", "failed", "succeeded", "cancelled"), strict=True))
    assert told == {each: (ends[kind], kind) for each, kind in zip(ids, bots, strict=True)}


async def test_a_waiting_outcome_is_handed_its_note_again(engine, manual_clock):
    calls = []

    def wait(context, params):
        calls.append(context.waited and context.waited.note)
        if context.waited is None:
            return Waiting(until=manual_clock.now() + timedelta(seconds=5), note={"n": 1})
        return Succeeded("done")

    engine.do("wait", wait)
    seen = await engine.run("{type: scripted, with: {do: wait}}")
    manual_clock.advance(6)
    await engine.work()
    seen = await engine.inspect(seen.execution.id)
    assert calls == [None, {"n": 1}]
    assert seen.execution.status == "succeeded"
    assert seen.steps[0].tries == 1


async def test_waiting_for_a_turn_is_not_held_against_a_steps_limit(engine):
    slow = "def main():\n import time\n time.sleep(0.4)\n return 1"
    sandbox = NamespaceSandbox()
    single = SandboxedRunner({sandbox.name: sandbox}, SandboxRules(), max_parallel=1)
    engine.env = replace(engine.env, programs=single)
    text = f"""
steps:
  - id: a
    type: python
    foreach: [1, 2, 3, 4, 5, 6, 7, 8]
    parallel: 8
    timeout: 3s
    with: {{code: {slow!r}}}
"""
    text = text.replace(repr(slow), json.dumps(slow))
    seen = await engine.run(text)
    await single.close()
    assert seen.execution.status == "succeeded", seen.execution.message
