"""kill -9 of workers at every point of a call to a model that is paid for.

What was bought and written down is not bought again, and nothing is spent that the ledger does not
know of: what a death left unknown counts as spent.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from codex32_houses import ServersHouse, until
from codex32_violence.accounting import Rows

from codex32_testing.model_server import ModelServer

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

ASKS = """\
allow: {models: ["openai:gpt-5-mini"], spend_usd: {execution: 0.10}}
steps:
  - {id: before, type: set, with: {values: {n: 1}}}
  - {id: ask, type: llm, with: {model: "openai:gpt-5-mini", prompt: "Say something."}}
  - {id: after, type: set, with: {values: {said: "${{ steps.ask.output }}"}}}
output: "${{ steps.after.output.said }}"
"""
#: Where a worker dies, and whether the answer has been bought by then. What is counted comes
#: before anybody leaves a reservation: what the dead reserved is ended by those after them in the
#: end, which is a commit too.
POINTS = [
    ("ledger.before_reserving", False),
    ("ledger.before_commit", False),
    ("ledger.before_commit@2", True),
    ("ledger.reserved", False),
    ("model.before_sending", False),
    ("model.answered", True),
    ("ledger.before_settling", True),
    ("ledger.settled", True),
]
SETTINGS = """\
ai:
  call_seconds: 20
  prices: {"openai:*": {input_usd: 0.1, output_usd: 0.5}}
plugins:
  openai: {base_url: "%s"}
"""


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def house(servers: ServersHouse, model: ModelServer, short: dict[str, str]) -> ServersHouse:
    servers.environment.update(short, CODEX32_SECRET_OPENAI_API_KEY=model.key)
    (servers.folder / "codex32.yaml").write_text(SETTINGS % model.openai_url)
    servers.workers = 0
    servers.start()
    servers.add("asks", ASKS)
    return servers


def test_what_was_bought_is_written_down_or_counted_as_spent(
    house: ServersHouse, model: ModelServer, database_url: str
) -> None:
    execution = house.execute("asks")
    for number, (point, _) in enumerate(POINTS):
        name, _, nth = point.partition("@")
        armed = f"{name}=kill" + (f"@{nth}" if nth else "")
        doomed = f"doomed {number}"
        house.launch(doomed, "worker", "--processes", "1", CODEX32_FAULT_POINTS=armed)
        assert house.processes.pop(doomed).wait(60) == -signal.SIGKILL, point
    bought = sum(before for _, before in POINTS)
    assert len(model.asked) == bought

    house.hire(1)
    assert house.succeed(execution, seconds=60)["output"]

    # The last of the dead had written its answer down.
    assert len(model.asked) == bought
    rows = Rows(database_url)

    def settled() -> bool:
        return not rows.ask("SELECT 1 FROM model_attempt WHERE state = 'reserved'")

    until(settled, "reservations of the dead are ended", seconds=180, every=0.5)
    (spent,) = rows.ask("SELECT sum(cost_nano) FROM model_attempt")[0]
    billed = model.billed()  # at the price that the settings have
    assert int(spent) >= billed
    for key, used, reserved in rows.ask("SELECT key, spent_nano, reserved_nano FROM budget"):
        assert (int(used), int(reserved)) == (int(spent), 0), key
    states = dict(rows.ask("SELECT state, count(*) FROM model_attempt GROUP BY state"))
    # One was settled with what it cost; of the others nobody knows.
    assert states == {"settled": 1, "assumed": len(POINTS) - 3}
    usage = house.cli("usage", "--json")
    assert usage.returncode == 0, usage.stderr
    assert json.loads(usage.stdout)
