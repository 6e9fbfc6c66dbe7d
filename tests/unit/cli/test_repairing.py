"""``codex32 executions repair``: what failed becomes a test, and where a rule helps, a change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ASKS = """\
# Asks for a price.
name: asks
allow: {hosts: ["127.0.0.1:%(port)d"]}
steps:
  # The shop is slow at times.
  - id: ask
    type: http
    with: {url: "http://127.0.0.1:%(port)d/price"}
  - {id: tell, type: notify, with: {to: log, text: "${{ string(steps.ask.output.body.price) }}"}}
output: "${{ steps.ask.output.body.price }}"
"""
DIVIDES = """\
name: divides
inputs: {n: {type: integer, default: 1}}
type: python
with:
  args: {n: "${{ inputs.n }}"}
  code: |
    def main(n):
        return 10 // n
"""


@pytest.fixture
def shop() -> Iterator[tuple[int, list[int]]]:
    """The port of a server, and the statuses that it will answer with."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"price": 7}'
            self.send_response(statuses.pop(0))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, statuses
        server.shutdown()
        thread.join()


def test_what_may_pass_is_tried_again_and_a_test_proves_it(codex32, project, shop) -> None:
    port, statuses = shop
    (project / "codex32.yaml").write_text('outside: {private_hosts: ["127.0.0.1"]}\n')
    (project / "bots" / "asks.yaml").write_text(ASKS % {"port": port})
    statuses += [200, 503]
    assert codex32("run", "asks").code == 0
    failed = codex32("run", "asks", "--json").json
    assert failed["status"] == "failed"
    told = codex32("executions", "repair", failed["id"], "--json").json
    assert told["diagnosis"]["trouble"] == "network"
    assert told["change"] == "the step ask is tried up to 5 times: http-503 may pass"
    assert (told["failed_before"], told["passes_after"]) == (True, True)
    assert told["text"].startswith("# Asks for a price.\nname: asks\n")
    assert "# The shop is slow at times." in told["text"]
    assert "retry:" in told["text"]
    # Nothing is applied: what lies there is as it was.
    assert (project / "bots" / "asks.yaml").read_text() == ASKS % {"port": port}


def test_what_no_rule_mends_has_a_test_that_fails_until_somebody_did(codex32, project) -> None:
    (project / "bots" / "divides.yaml").write_text(DIVIDES)
    failed = codex32("run", "divides", "--input", "n=0", "--json").json
    answer = codex32("executions", "repair", failed["id"], "-o", "draft.yaml")
    assert answer.code == 0, answer.err
    assert "trouble: code" in answer.err
    assert "no rule knows one" in answer.err
    assert "the test fails on the bot as it was" in answer.err
    assert codex32("workspaces", "create", "lab").code == 0
    elsewhere = codex32("executions", "repair", failed["id"], "--workspace", "lab", "--json")
    assert elsewhere.fault["code"] == "execution-not-found"
    draft = project / "draft.yaml"
    assert codex32("test", "draft.yaml").code == 1
    draft.write_text(draft.read_text().replace("10 // n", "10 // n if n else 0"))
    assert codex32("test", "draft.yaml").code == 0


def test_what_did_not_fail_is_not_repaired(codex32) -> None:
    done = codex32("run", "hello", "--json").json
    answer = codex32("executions", "repair", done["id"])
    assert answer.code != 0
    assert "is succeeded and cannot become repaired" in answer.err


def test_code_that_lies_beside_a_bot_stands_in_its_draft(codex32, project) -> None:
    whole, _, _ = DIVIDES.partition("  code: |")
    (project / "bots" / "divides.yaml").write_text(f"{whole}  file: divides.py\n")
    (project / "bots" / "divides.py").write_text("def main(n):\n    return 10 // n\n")
    failed = codex32("run", "divides", "--input", "n=0", "--json").json
    told = codex32("executions", "repair", failed["id"], "--json").json
    assert told["failed_before"] is True
    assert "10 // n" in told["text"]
    assert "file:" not in told["text"]
