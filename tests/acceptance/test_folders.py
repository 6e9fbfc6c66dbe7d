"""A folder of bot files applies itself: dropped in, changed, broken, mended, removed."""

from __future__ import annotations

from codex32_houses import House, until

TICK = "name: tick\ntriggers: [{every: 1s}]\ntype: set\nwith: {values: {n: %d}}\n"
SLOW = """\
name: slow
steps:
  - {id: pause, type: wait, with: {for: 1500ms}}
  - {id: say, type: set, with: {values: {said: %s}}}
output: "${{ steps.say.output.said }}"
"""


def test_a_file_dropped_in_runs_on_its_schedule_and_removed_no_more(house: House) -> None:
    path = house.write("tick", TICK % 1)
    ended = until(
        lambda: [each for each in house.executions("tick") if each["finished_at"]][1:],
        "two executions of tick",
    )
    assert {each["trigger"] for each in ended} == {"every"}
    assert {each["status"] for each in ended} == {"succeeded"}
    answers = house.ask("why", "tick")["occurrences"]
    fired = [each["scheduled_at"] for each in answers if each["decision"] == "fired"]
    assert len(fired) == len(set(fired)) >= 2
    assert all(time.endswith(".000Z") for time in fired)

    path.unlink()
    until(lambda: house.bot("tick") is None, "tick is gone")
    refused = house.post("/api/v1/bots/tick/execute")
    assert (refused.status, refused.body["code"]) == (409, "bot-disabled")
    assert "tick.yaml is gone" in refused.body["detail"]
    count = len(house.executions("tick"))
    last = house.ask("why", "tick")
    assert last["next_at"] is None
    assert "removed" in last["reasons"][0]
    assert len(house.executions("tick")) == count


def test_a_changed_file_is_a_new_version_and_what_runs_keeps_its_own(house: House) -> None:
    house.add("slow", SLOW % "first")
    before = house.execute("slow")
    house.reach(before, "waiting")
    house.add("slow", SLOW % "second", version=2)
    after = house.execute("slow")
    found = [house.succeed(each) for each in (before, after)]
    assert [(each["version"], each["output"]) for each in found] == [(1, "first"), (2, "second")]
    assert [each["number"] for each in house.ask("bots", "history", "slow")["versions"]] == [2, 1]


def test_a_broken_file_keeps_what_last_worked_and_says_where_it_is_broken(house: House) -> None:
    house.add("fragile", "type: set\nwith: {values: {n: 1}}\n")
    house.write("fragile", "type: sett\nwith: {values: {n: 2}}\n")
    broken = until(
        lambda: (found := house.bot("fragile")) and found["status"] == "broken" and found,
        "fragile is broken",
    )
    (fault,) = broken["problems"]
    assert (fault["line"], fault["column"], fault["path"]) == (1, 7, "type")
    assert fault["file"].endswith("fragile.yaml")
    assert "did you mean 'set'" in fault["message"]
    assert house.succeed(house.execute("fragile"))["output"] == {"n": 1}
    checked = house.cli("validate")
    assert checked.returncode == 1
    assert "fragile.yaml:1:7" in checked.stdout + checked.stderr

    house.add("fragile", "type: set\nwith: {values: {n: 3}}\n", version=2)
    assert house.bot("fragile")["status"] == "active"
    assert house.succeed(house.execute("fragile"))["output"] == {"n": 3}
