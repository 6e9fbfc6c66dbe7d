"""The sample bots run on this machine alone, as the newcomer's first look shows them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BOTS = sorted((ROOT / "bots").glob("*.yaml"))
CODEX32 = [sys.executable, "-m", "codex32"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """The port of the small site."""
    port = free_port()
    process = subprocess.Popen([*CODEX32, "samples", "--port", str(port)])
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield port
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture(scope="module")
def project(site: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample bots beside a site that listens elsewhere than the one of ``make run``."""
    folder = tmp_path_factory.mktemp("samples")
    (folder / "bots").mkdir()
    for path in BOTS:
        text = path.read_text(encoding="utf-8").replace(":8765", f":{site}")
        (folder / "bots" / path.name).write_text(text, encoding="utf-8")
    overlay = (ROOT / "config" / "samples.yaml").read_text(encoding="utf-8")
    (folder / "codex32.yaml").write_text(overlay.replace(":8765", f":{site}"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(project: Path) -> Callable[..., Any]:
    """Run a bot; its execution."""

    def call(bot: str, *arguments: str) -> Any:
        done = subprocess.run(
            [*CODEX32, "run", bot, "--json", *arguments],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    return call


def steps(execution: Any) -> dict[str, str]:
    return {each["step"]: each["status"] for each in execution["steps"] if each["item"] is None}


def test_they_are_without_faults_and_in_their_usual_shape() -> None:
    for command in (["validate", "bots"], ["fmt", "--check", "bots"]):
        done = subprocess.run([*CODEX32, *command], cwd=ROOT, timeout=60, check=False)
        assert done.returncode == 0, command


def test_their_own_tests_pass_reach_everything_and_notice_most_faults() -> None:
    command = [*CODEX32, "test", "--coverage", "--least", "50", "--most", "12", "bots"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert "no test runs" not in done.stdout
    assert "no test sees" not in done.stdout
    assert "without tests" not in done.stderr


@pytest.mark.parametrize("path", BOTS, ids=lambda path: path.stem)
def test_each_says_what_it_is_for_and_begins_with_a_comment(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert re.search(r"^description: \S", text, re.MULTILINE)
    assert len(text.partition("\ntests:")[0].splitlines()) <= 85


def test_hello_counts_its_greetings(run) -> None:
    assert [run("hello")["output"] for _ in range(2)] == [1, 2]


def test_the_digest_posts_what_is_new_and_then_nothing(run) -> None:
    first = run("feed-digest")
    assert first["status"] == "succeeded"
    assert len(first["output"]) == 5
    second = run("feed-digest")
    # An entry may have come in between; the five of the first time are never posted again.
    known = {each["link"] for each in first["output"]}
    assert not known & {each["link"] for each in second["output"] or []}
    assert second["status"] == "skipped" or second["output"]


def test_the_price_is_told_at_the_first_look_and_when_it_moved(run) -> None:
    assert steps(run("price-watch"))["tell"] == "succeeded"
    calm = run("price-watch", "--input", "percent=1000")
    assert (calm["status"], "EUR" in calm["message"]) == ("skipped", True)
    assert steps(run("price-watch", "--input", "percent=0"))["tell"] == "succeeded"


def test_a_service_that_is_down_does_not_stop_the_others(run, project, site) -> None:
    # Nobody listens at the path, so the site answers 404 for this one at any time of day.
    found = run("uptime", "--input", 'services=["shop", "a/b", "search"]')
    assert found["output"] == {"up": 2, "down": ["a/b"]}
    assert steps(found)["tell"] == "succeeded"


def test_the_report_runs_another_bot_and_remembers(run) -> None:
    report = run("morning-report")
    assert report["status"] == "succeeded"
    assert report["output"]["up"] >= 2
    assert steps(report) == {"check": "succeeded", "post": "succeeded", "note": "succeeded"}


def test_the_report_complains_when_it_cannot_be_made(run) -> None:
    failed = run("morning-report", "--input", "site=http://127.0.0.1:1")
    assert failed["status"] == "failed"
    assert steps(failed)["complain"] == "succeeded"
    assert steps(failed)["note"] == "succeeded"


def test_a_page_that_fails_twice_is_tried_three_times(run) -> None:
    demo = run("retry-demo")
    assert demo["output"] == {"answer": 42, "tries": 3}


def test_an_order_is_added_up(run) -> None:
    order = run("new-order")
    assert order["output"] == {"order": "example", "lines": 1, "total": 7.5}
    lines = [{"count": 2, "price": 0.1}, {"count": 1, "price": 9}]
    order = run("new-order", "--input", f"order={json.dumps({'order': 'o-1', 'lines': lines})}")
    assert order["output"] == {"order": "o-1", "lines": 2, "total": 9.2}


def test_it_asks_first_and_tells_whom_the_answer_names(project) -> None:
    def ask(*command: str) -> Any:
        done = subprocess.run(
            [*CODEX32, *command, "--json"],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return json.loads(done.stdout) if done.stdout else json.loads(done.stderr)

    running = subprocess.Popen(
        [*CODEX32, "run", "ask-first", "--json"], cwd=project, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (asked := ask("approvals", "list", "--bot", "ask-first")["approvals"]):
        assert running.poll() is None
        assert time.monotonic() < deadline
    refused = ask("approvals", "approve", asked[0]["id"], "--field", "audience=mars")
    assert refused["code"] == "form-invalid"
    decided = ask("approvals", "approve", asked[0]["id"], "--field", "audience=all", "--by", "me")
    assert (decided["status"], decided["by"]) == ("approved", "me")
    told, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert json.loads(told)["output"] == "all"
