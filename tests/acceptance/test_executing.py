"""Executions asked for over HTTP: what goes in, what comes out, what is recorded."""

from __future__ import annotations

from codex32_houses import House, until

GREET = """\
inputs:
  name: {type: string, default: world}
  times: {type: integer, default: 1}
steps:
  - id: shout
    type: python
    with:
      args: {name: "${{ inputs.name }}", times: "${{ inputs.times }}"}
      code: |
        def main(name, times):
            print(f"shouting at {name}")
            return [name.upper()] * times
  - {id: whole, type: set, with: {values: {text: '${{ steps.shout.output.join(" ") }}'}}}
output: "${{ steps.whole.output.text }}"
"""
LONG = """\
steps:
  - id: long
    type: python
    with:
      code: |
        import time

        def main():
            print("began", flush=True)
            time.sleep(60)
finally:
  - {id: tidy, type: set, with: {values: {tidy: true}}}
"""
WAITS = """\
steps:
  - {id: pause, type: wait, with: {for: %s}}
  - {id: then, type: set, with: {values: {done: true}}}
output: "${{ steps.then.output.done }}"
"""
FLAKY = """\
allow: {files: [{path: FOLDER, write: true}]}
retry: {attempts: 3, first: 200ms, factor: 1}
steps:
  - id: flaky
    type: python
    with:
      args: {path: "${{ inputs.path }}"}
      code: |
        def main(path):
            with open(path, "a+") as file:
                file.write("x")
                file.seek(0)
                if len(file.read()) < 3:
                    raise RuntimeError("not yet")
            return "at last"
inputs: {path: {type: string}}
output: "${{ steps.flaky.output }}"
"""
FAILING = """\
steps:
  - {id: before, type: set, with: {values: {n: 0}}}
  - {id: divide, type: set, with: {values: {n: "${{ 1 / steps.before.output.n }}"}}}
  - {id: never, type: set, with: {values: {n: 1}}}
on_failure:
  - {id: tell, type: set, with: {values: {text: "${{ failure.step }}: ${{ failure.message }}"}}}
finally:
  - {id: always, type: set, with: {values: {n: 2}}}
"""
PARENT = """\
allow: {bots: [child]}
steps:
  - {id: ask, type: bot, with: {name: child, inputs: {n: 20}}}
output: "${{ steps.ask.output * 2 }}"
"""
CHILD = """\
inputs: {n: {type: integer}}
steps:
  - {id: pause, type: wait, with: {for: 200ms}}
  - {id: more, type: set, with: {values: {n: "${{ inputs.n + 1 }}"}}}
output: "${{ steps.more.output.n }}"
"""
REMEMBERS = """\
inputs: {items: {type: array, items: {type: string}}}
steps:
  - {id: fresh, type: dedupe, with: {items: "${{ inputs.items }}", key: item}}
  - id: count
    type: set
    with: {state: {count: "${{ state.?count.orValue(0) + size(steps.fresh.output) }}"}}
  - {id: look, type: set, with: {values: {count: "${{ state.count }}"}}}
output: {fresh: "${{ steps.fresh.output }}", count: "${{ steps.look.output.count }}"}
"""


def test_inputs_go_in_and_a_result_with_steps_and_log_comes_out(house: House) -> None:
    house.add("greet", GREET)
    done = house.succeed(house.execute("greet", name="ada", times=2))
    assert done["output"] == "ADA ADA"
    assert done["inputs"] == {"name": "ada", "times": 2}
    assert (done["trigger"], done["attempt"], done["version"]) == ("manual", 1, 1)
    steps = house.steps(done["id"])
    assert [each["status"] for each in steps.values()] == ["succeeded", "succeeded"]
    assert steps["shout"]["output"] == ["ADA", "ADA"]
    assert steps["shout"]["input"]["args"] == {"name": "ada", "times": 2}
    assert done["started_at"] <= steps["shout"]["started_at"] <= steps["shout"]["finished_at"]
    assert house.log(done["id"]) == ["shouting at ada"]
    assert house.succeed(house.execute("greet"))["output"] == "WORLD"

    shown = house.ask("executions", "show", done["id"])
    assert (shown["output"], [each["step"] for each in shown["steps"]]) == (
        "ADA ADA",
        ["shout", "whole"],
    )


def test_inputs_that_do_not_fit_start_nothing(house: House) -> None:
    house.add("picky", GREET)
    refused = house.post("/api/v1/bots/picky/execute", {"inputs": {"nmae": "x", "times": "two"}})
    assert (refused.status, refused.body["code"]) == (422, "inputs-invalid")
    told = " ".join(each["message"] for each in refused.body["errors"])
    assert "did you mean 'name'" in told
    assert len(refused.body["errors"]) == 2
    assert house.executions("picky") == []


def test_an_idempotency_key_starts_once(house: House) -> None:
    house.add("once", "type: set\nwith: {values: {n: 1}}\n")
    path = "/api/v1/bots/once/execute"
    first = house.post(path, {"idempotency_key": "k-1"})
    again = house.post(path, None, **{"Idempotency-Key": "k-1"})
    other = house.post(path, {"idempotency_key": "k-2"})
    assert [each.body["repeated"] for each in (first, again, other)] == [False, True, False]
    assert first.body["id"] == again.body["id"] != other.body["id"]
    assert len(house.executions("once")) == 2


def test_what_runs_is_cancelled_for_good_and_its_finally_runs(house: House) -> None:
    house.add("long", LONG)
    running = house.execute("long")
    until(lambda: "began" in house.log(running), "long has begun")
    house.post(f"/api/v1/executions/{running}/cancel")
    ended = house.reach(running, "cancelled")
    assert ended["message"] == "cancelled by request"
    steps = house.steps(running)
    assert [steps[each]["status"] for each in ("long", "tidy")] == ["cancelled", "succeeded"]
    again = house.post(f"/api/v1/executions/{running}/cancel")
    assert (again.status, again.body["code"]) == (409, "invalid-transition")


def test_what_waits_is_cancelled_at_once(house: House) -> None:
    house.add("patient", WAITS % "1h")
    waiting = house.execute("patient")
    assert house.reach(waiting, "waiting")["next_at"] is not None
    assert house.cli("executions", "cancel", waiting).returncode == 0
    house.reach(waiting, "cancelled")
    steps = house.steps(waiting)
    assert (steps["pause"]["status"], "then" in steps) == ("cancelled", False)


def test_a_wait_holds_no_worker_and_goes_on_in_time(house: House) -> None:
    house.add("nap", WAITS % "1s")
    # More than two workers could ever hold at once.
    started = [house.execute("nap") for _ in range(130)]
    done = [house.succeed(each) for each in started]
    assert {each["output"] for each in done} == {True}
    assert {each["attempt"] for each in done} == {2}


def test_a_step_that_fails_is_tried_again(house: House) -> None:
    house.add("flaky", FLAKY.replace("FOLDER", str(house.folder)))
    done = house.succeed(house.execute("flaky", path=str(house.folder / "tries")))
    assert done["output"] == "at last"
    assert house.steps(done["id"])["flaky"]["tries"] == 3
    assert sum("failed, the next follows" in line for line in house.log(done["id"])) == 2


def test_a_failure_is_told_and_the_last_words_are_said(house: House) -> None:
    house.add("failing", FAILING)
    failed = house.reach(house.execute("failing"), "failed")
    assert failed["cause"] == "error"
    assert failed["error"]["message"] == failed["message"]
    steps = house.steps(failed["id"])
    assert {name: each["status"] for name, each in steps.items()} == {
        "before": "succeeded",
        "divide": "failed",
        "tell": "succeeded",
        "always": "succeeded",
    }
    assert steps["tell"]["output"]["text"] == f"divide: {failed['message']}"


def test_a_bot_asks_another_and_works_with_its_answer(house: House) -> None:
    house.add("child", CHILD)
    house.add("parent", PARENT)
    done = house.succeed(house.execute("parent"))
    assert done["output"] == 42
    (child,) = house.executions("child")
    assert (child["parent"], child["trigger"], child["status"]) == (done["id"], "bot", "succeeded")


def test_state_and_seen_items_last_from_execution_to_execution(house: House) -> None:
    house.add("remembers", REMEMBERS)
    outputs = [
        house.succeed(house.execute("remembers", items=items))["output"]
        for items in (["a", "b"], ["b", "c"], ["a", "c"])
    ]
    assert outputs == [
        {"fresh": ["a", "b"], "count": 2},
        {"fresh": ["c"], "count": 3},
        {"fresh": [], "count": 3},
    ]
