"""Stopped, started again, killed: nothing that had begun is lost, nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping

import pytest
from codex32_houses import House, UpHouse, until

WAITS = """\
concurrency: {limit: 1}
steps:
  - {id: pause, type: wait, with: {for: 6s}}
  - {id: then, type: set, with: {values: {done: true}}}
output: "${{ steps.then.output.done }}"
"""
BUSY = """\
inputs: {path: {type: string}}
allow: {files: [{path: FOLDER, write: true}]}
steps:
  - id: first
    type: python
    with:
      args: {path: "${{ inputs.path }}"}
      code: |
        import time

        def main(path):
            open(path, "a").write("first\\n")
            time.sleep(3)
            open(path, "a").write("end of first\\n")
  - id: second
    type: python
    with:
      args: {path: "${{ inputs.path }}"}
      code: |
        def main(path):
            open(path, "a").write("second\\n")
"""
HANGS = """\
steps:
  - id: hang
    type: python
    with:
      code: |
        import time

        def main():
            print("hanging", flush=True)
            time.sleep(300)
"""


def test_what_had_begun_goes_on_after_a_restart_of_everything(new_house: House) -> None:
    house = new_house
    house.start()
    path = house.folder / "done.txt"
    house.add("waits", WAITS)
    house.add("busy", BUSY.replace("FOLDER", str(house.folder)))
    waiting, held = house.execute("waits"), house.execute("waits")
    busy = house.execute("busy", path=str(path))
    house.reach(waiting, "waiting")
    until(path.exists, "busy has begun")
    everything = house.alive()
    assert len(everything) >= 4

    codes = house.stop()

    assert set(codes.values()) == {0}, house.told()
    assert house.alive() == {}
    assert _still(everything) == []
    # The step under way was let end, and no further one began.
    assert path.read_text() == "first\nend of first\n"

    house.start()

    assert house.succeed(busy)["attempt"] == 2
    assert path.read_text() == "first\nend of first\nsecond\n"

    # And now as a power cut would have it.
    everything = house.alive()
    house.kill()
    _await_end(house, everything)
    house.start()

    assert [house.succeed(each)["output"] for each in (waiting, held)] == [True, True]
    assert house.cli("db", "check").returncode == 0


@pytest.fixture
def up(new_house: House) -> UpHouse:
    assert isinstance(new_house, UpHouse)
    new_house.start()
    return new_house


only_up = pytest.mark.parametrize("new_house", ["up"], indirect=True)


@only_up
def test_a_second_up_is_told_who_holds_the_folder(up: UpHouse) -> None:
    second = up.cli("up", "--port", "0")
    assert second.returncode == 3
    assert f"process {up.processes['up'].pid} since" in second.stderr
    assert up.url in second.stderr
    assert up.get("/readyz").status == 200


@only_up
def test_an_up_that_is_killed_leaves_nothing_behind(new_house: House) -> None:
    up = new_house
    # Workers take it for a stop in good order, which gives steps under way their grace.
    up.environment["CODEX32_WORKER__STOP_GRACE_SECONDS"] = "2"
    up.start()
    up.add("hangs", HANGS)
    hanging = up.execute("hangs")
    until(lambda: "hanging" in up.log(hanging), "it hangs")
    everything = up.alive()
    told = " ".join(everything.values())
    assert all(
        each in told
        for each in ("redis-server", "serve", "scheduler", "worker", "codex32-program")
    )

    up.kill()

    _await_end(up, everything)
    assert up.alive() == {}


@only_up
def test_it_is_ready_in_seconds_and_small(up: UpHouse, capsys: pytest.CaptureFixture[str]) -> None:
    up.stop()
    began = time.monotonic()
    up.start()
    ready = time.monotonic() - began
    until(lambda: up.get("/readyz").body["workers"] == 2, "two workers")
    whole = time.monotonic() - began
    mebibytes = sorted(_own_bytes(pid) / 2**20 for pid in up.alive())
    with capsys.disabled():
        print(f"\nup: API ready in {ready:.1f} s, all workers in {whole:.1f} s; ", end="")
        each = " ".join(f"{size:.0f}" for size in mebibytes)
        print(f"{sum(mebibytes):.0f} MiB in all ({each})")
    assert len(mebibytes) == 6
    assert whole < 20
    assert sum(mebibytes) < 600


def _await_end(house: House, everything: Mapping[int, str]) -> None:
    """Until processes have ended; else the test fails, and says what is left and what it is at."""
    try:
        until(lambda: not _still(everything), "everything has ended")
    except AssertionError as error:
        left = {pid: everything[pid] for pid in _still(everything)}
        for pid, command in left.items():
            if "codex32" in command and "codex32-program" not in command:
                os.kill(pid, signal.SIGUSR2)
        time.sleep(1)
        raise AssertionError(f"{error}: {left}\n{house.told()[-20_000:]}") from None


def _still(pids: Iterable[int]) -> list[int]:
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def _own_bytes(pid: int) -> int:
    """What a process takes of the machine, its share of common pages counted (PSS)."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
