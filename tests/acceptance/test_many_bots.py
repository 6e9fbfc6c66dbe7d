"""Thousands of bot files: how long they take to load, and a change of one to be live."""

from __future__ import annotations

import time
from functools import partial

import pytest
from codex32_houses import House, until

COUNT = 2000
#: What is wanted is 10 s and 2 s, and what was taken is printed; a test run may share a slow
#: machine, so that only a disaster fails it.
LOADED_SECONDS, LIVE_SECONDS = 90.0, 20.0
BOT = """\
name: bot-{number}
description: One of very many
triggers: [{{cron: "0 3 * * *", timezone: Europe/Berlin}}]
inputs: {{times: {{type: integer, default: {times}}}}}
steps:
  - {{id: greet, type: set, with: {{values: {{text: "hello ${{{{ bot.name }}}}"}}}}}}
  - id: count
    type: set
    if: inputs.times > 0
    with: {{state: {{n: "${{{{ inputs.times }}}}"}}}}
output: "${{{{ steps.greet.output.text }}}}"
"""


@pytest.mark.parametrize("new_house", ["up", "servers"], indirect=True)
def test_thousands_of_files_load_in_seconds_and_a_change_is_soon_live(
    new_house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house = new_house
    house.start()
    shelf = house.folder / "shelf"
    shelf.mkdir()
    for number in range(COUNT):
        (shelf / f"bot-{number}.yaml").write_text(BOT.format(number=number, times=1))
    last = f"bot-{max(map(str, range(COUNT)))}"  # they are applied in the order of their names
    began = time.monotonic()
    shelf.rename(house.bots / "shelf")
    until(lambda: house.bot(last), "all bots", LOADED_SECONDS)
    loaded = time.monotonic() - began
    assert count(house) == COUNT

    taken = []
    for version in (2, 3, 4):
        began = time.monotonic()
        house.write("shelf/bot-700", BOT.format(number=700, times=version))
        until(partial(is_live, house, version), "the change", LIVE_SECONDS)
        taken.append(time.monotonic() - began)
    assert house.succeed(house.execute("bot-700"))["inputs"] == {"times": 4}
    with capsys.disabled():
        told = ", ".join(f"{each:.2f}" for each in taken)
        print(f"\n{COUNT} bots live after {loaded:.1f} s, changes of one after {told} s")


def is_live(house: House, version: int) -> bool:
    return house.bot("bot-700")["version"] == version  # type: ignore[no-any-return]


def count(house: House) -> int:
    found, cursor = 0, ""
    while cursor is not None:
        page = house.get(f"/api/v1/bots?limit=100{cursor and f'&cursor={cursor}'}").body
        found, cursor = found + len(page["items"]), page["next"]
    return found
