"""A worker that is killed: who goes on with its execution stands in the same trace."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from codex32_houses import ServersHouse, until
from codex32_otlp import collecting

pytestmark = pytest.mark.fault

BOT = """\
inputs: {path: {type: string}}
steps:
  - {id: one, type: set, with: {values: {}}}
  - id: two
    type: python
    with:
      args: {path: "${{ inputs.path }}"}
      code: |
        import pathlib, time

        def main(path):
            pathlib.Path(path).touch()
            while not pathlib.Path(path + ".go").exists():
                time.sleep(0.05)
"""
ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_trace_goes_on_in_another_worker(servers: ServersHouse, tmp_path: Path) -> None:
    with collecting() as collector:
        servers.environment["CODEX32_TRACING__ENDPOINT"] = collector.url
        servers.start()
        servers.add("slow", BOT)
        path = tmp_path / "begun"
        asked = {"inputs": {"path": str(path)}}
        started = servers.post("/api/v1/bots/slow/execute", asked, traceparent=ASKED)
        assert started.status == 202, started.body
        execution_id = started.body["id"]
        until(path.exists, "it is in step two")
        for name in [name for name in servers.processes if name.startswith("worker")]:
            servers.end(name, signal.SIGKILL)
        Path(f"{path}.go").touch()
        servers.hire(1)
        servers.succeed(execution_id, seconds=120)

        names = "POST /api/v1/bots/{name}/execute", "execution slow", "attempt 1", "attempt 2"
        posted, whole, lost, second = collector.wait(*names)
        [two] = collector.wait("step two")
        assert {s.trace for s in (posted, whole, lost, second, two)} == {ASKED[3:35]}
        assert posted.parent == ASKED[36:52]
        assert whole.parent == posted.span
        assert lost.parent == second.parent == whole.span
        assert two.parent == second.span
        assert lost.attributes["codex32.outcome"] == "lost"
        assert lost.failed
        assert not second.failed
        assert len({each.service for each in collector.spans}) == 1
