"""Traces of a Dramatiq worker, told to a real collector: one that is well, and others."""

import asyncio
import logging
import subprocess
import sys
import time

import dramatiq
import pytest
from codex32_otlp import collecting

from codex32 import Tool
from codex32.kernel.json_values import canonical
from codex32.kernel.models import AttemptRow, BotRow, ExecutionRow, VersionRow
from codex32.kernel.subject import Subject, subject
from codex32.kernel.tracing import TraceContext
from codex32.outside.mcp.pins import FILE, Pins
from codex32.runtime import open_runtime
from codex32.services.executions import executions
from codex32.services.executions.starting import Start
from codex32_config import load_settings
from codex32_config.layers import SettingsError
from codex32_workers.worker import make_broker

ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BOTS = {
    "late": {
        "name": "late",
        "steps": [
            {
                "id": "main",
                "type": "python",
                "with": {"code": "import time\ndef main():\n    time.sleep(60)\n"},
                "timeout": "300ms",
            }
        ],
    },
    "noop": {"name": "noop", "type": "set", "with": {"values": {"a": 1}}},
    "outer": {
        "name": "outer",
        "allow": {"bots": ["work"]},
        "steps": [{"id": "call", "type": "bot", "with": {"name": "work"}}],
    },
    "work": {
        "name": "work",
        "allow": {"hosts": ["127.0.0.1"], "secrets": ["KEY"]},
        "steps": [
            {"id": "compute", "type": "python", "with": {"code": "def main():\n    return 1\n"}},
            {
                "id": "fetch",
                "type": "http",
                "with": {"url": "{url}/v1/traces?token=${{ secrets.KEY }}"},
                "on_error": "continue",
            },
            {"id": "tell", "type": "notify", "with": {"to": "log", "text": "done"}},
        ],
    },
    "named": {
        "name": "named",
        "allow": {"secrets": ["KEY"], "models": ["echo:*"]},
        "steps": [
            {
                "id": "look",
                "type": "retrieve",
                "with": {"collection": "${{ secrets.KEY }}", "query": "heron"},
                "on_error": "continue",
            },
            {
                "id": "say",
                "type": "llm",
                "with": {"model": "echo:${{ secrets.KEY }}", "prompt": "hello"},
                "on_error": "continue",
            },
        ],
    },
    "reads": {
        "name": "reads",
        "allow": {"mcp": ["gone"]},
        "steps": [
            {
                "id": "learn",
                "type": "index",
                "with": {"collection": "c", "texts": [{"source": "a", "text": "One heron."}]},
            },
            {
                "id": "look",
                "type": "mcp",
                "with": {"server": "gone", "tool": "echo"},
                "on_error": "continue",
            },
        ],
    },
}


@pytest.fixture
def collector():
    with collecting() as made:
        yield made


def store(bots, url):
    for number, (name, document) in enumerate(bots.items()):
        bot, version = f"bot_{number}", f"ver_{number}"
        common = {"origin": "api", "created_at": 0}
        about = {"workspace": "default", "name": name, "updated_at": 0, **common}
        BotRow.create(id=bot, active_version_id=version, **about)
        text = canonical(document).replace("{url}", url)
        more = {"number": 1, "digest": "", "text": "", **common}
        VersionRow.create(id=version, bot_id=bot, document=text, **more)


@pytest.fixture
def house(database_url, redis_url, tmp_path, collector, monkeypatch):
    """Opens a worker's runtime with these settings, and its worker."""
    monkeypatch.setenv("CODEX32_SECRET_KEY", "sesame-7f3a9c-sesame")
    opened = []

    def open_(**more):
        overrides = {
            "database_url": database_url,
            "redis_url": redis_url,
            "tracing.endpoint": collector.url,
            "outside.private_hosts": ["127.0.0.1"],
            **more,
        }
        settings = load_settings(folder=tmp_path, environ={}, overrides=overrides)
        runtime = open_runtime(settings, "worker")
        runtime.door.write_now(lambda: store(BOTS, collector.url))
        broker = make_broker(runtime)
        worker = dramatiq.Worker(broker, worker_threads=2)
        worker.start()
        opened.append((runtime, worker, broker))
        return runtime

    yield open_
    for runtime, worker, broker in opened:
        worker.stop()
        broker.close()
        runtime.close()


def ended(runtime, ids, within_seconds=60.0):
    deadline = time.monotonic() + within_seconds
    while True:
        rows = runtime.door.read_now(
            lambda: list(ExecutionRow.select().where(ExecutionRow.id.in_(ids)))
        )
        if all(row.finished_at for row in rows):
            return {row.id: row.status for row in rows}
        assert time.monotonic() < deadline, [(row.status, row.message) for row in rows]
        time.sleep(0.02)


def start(runtime, bot, asked=None):
    token = subject.set(Subject(trace=TraceContext.parse(asked)))
    try:
        return runtime.starter.start_now(Start(bot)).id
    finally:
        subject.reset(token)


def test_one_trace_goes_from_who_asked_down_to_the_last_request(house, collector):
    runtime = house()
    outer = start(runtime, "outer", ASKED)
    assert ended(runtime, [outer]) == {outer: "succeeded"}

    names = ("execution outer", "execution work", "program", "POST 127.0.0.1", "notify log")
    names = tuple(name.replace("POST", "GET") for name in names)
    outer_span, inner, program, fetch, notify = collector.wait(*names)
    assert {span.trace for span in collector.spans} == {ASKED[3:35]}
    assert outer_span.parent == ASKED[36:52]
    by_id = {span.span: span for span in collector.spans}

    def way(span):
        names = [span.name]
        while (span := by_id.get(span.parent)) is not None:
            names.append(span.name)
        return names

    above = ["execution work", "step call", "attempt 1", "execution outer"]
    assert way(inner) == above
    assert way(program) == ["program", "step compute", "attempt 1", *above]
    assert way(fetch) == ["GET 127.0.0.1", "step fetch", "attempt 1", *above]
    assert way(notify) == ["notify log", "step tell", "attempt 1", *above]
    assert program.attributes["codex32.sandbox"] == "namespace"
    assert inner.attributes["codex32.status"] == "succeeded"
    assert inner.service == "codex32"
    assert fetch.attributes["http.response.status_code"] == 501
    assert fetch.failed
    assert not inner.failed
    whole = b"".join(collector.bodies)
    assert b"sesame" not in whole
    assert b"token=" not in whole


def test_what_collections_and_mcp_servers_ask_stands_beneath_its_step(house, collector, tmp_path):
    Pins(tmp_path / FILE).keep("gone", [Tool("echo", "Says it again.", {"type": "object"})])
    runtime = house(
        **{
            "retrieval": {"embedder": "hash", "store": "memory"},
            "mcp.servers": {"gone": {"url": "http://127.0.0.1:9/mcp"}},
        }
    )
    execution_id = start(runtime, "reads")
    assert ended(runtime, [execution_id]) == {execution_id: "succeeded"}
    learn, index, embeddings = collector.wait("step learn", "index c", "embeddings hash")
    assert (index.parent, embeddings.parent) == (learn.span, index.span)
    look, post = collector.wait("step look", "POST 127.0.0.1")
    assert post.parent == look.span
    assert post.failed


def test_names_that_are_secrets_are_told_in_no_span(house, collector):
    runtime = house(**{"retrieval": {"embedder": "hash", "store": "memory"}})
    execution_id = start(runtime, "named")
    assert ended(runtime, [execution_id]) == {execution_id: "succeeded"}
    collector.wait("search ***", "chat echo:***", "execution named")
    assert b"sesame" not in b"".join(collector.bodies)


def test_a_step_that_runs_out_of_its_time_is_told_as_stopped(house, collector):
    runtime = house()
    execution_id = start(runtime, "late")
    assert ended(runtime, [execution_id]) == {execution_id: "failed"}
    step, attempt = collector.wait("step main", "attempt 1")
    assert step.attributes["error.type"] == "cancelled"
    assert attempt.attributes["codex32.outcome"] == "failed"


def test_what_nobody_asked_within_a_trace_begins_one_that_is_found_by_its_id(house, collector):
    runtime = house(**{"tracing.link": "https://traces.example/{trace}?view=1"})
    execution_id = start(runtime, "noop")
    ended(runtime, [execution_id])
    own, attempt, step = collector.wait("execution noop", "attempt 1", "step main")
    assert own.parent == ""
    assert (attempt.parent, step.parent) == (own.span, attempt.span)
    from codex32.tracing import detail

    row = runtime.door.read_now(executions.get, execution_id)
    assert row.traceparent is None
    told = detail(runtime.settings, runtime.payloads, row)["trace"]
    assert told == {"id": own.trace, "url": f"https://traces.example/{own.trace}?view=1"}


def test_what_is_not_sampled_is_told_nobody_and_shown_to_nobody(house, collector):
    runtime = house(**{"tracing.sample": 0})
    quiet = start(runtime, "noop")
    asked = start(runtime, "noop", ASKED)
    hushed = start(runtime, "noop", ASKED[:-1] + "0")
    ended(runtime, [quiet, asked, hushed])
    collector.wait("execution noop")
    runtime.traces.collector.close()
    assert {span.attributes["codex32.execution.id"] for span in collector.named("attempt 1")} == {
        asked
    }
    assert len(collector.named("execution noop")) == len(collector.named("step main")) == 1


def test_headers_of_the_settings_go_with_it(house, collector):
    runtime = house(**{"tracing.headers": "x-api-key=a-key=, x-team=ours"})
    ended(runtime, [start(runtime, "noop")])
    collector.wait("execution noop")
    assert collector.headers["x-api-key"] == "a-key="
    assert collector.headers["x-team"] == "ours"
    assert collector.headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize("how", ["hangs", "fails", "cuts", "gone"])
def test_a_collector_that_is_not_well_holds_up_nothing(house, collector, how, caplog):
    caplog.set_level(logging.CRITICAL, "codex32.outside.traces")
    gone = {"tracing.endpoint": "http://127.0.0.1:9"} if how == "gone" else {}
    collector.how = how
    runtime = house(**gone)
    first = start(runtime, "noop")
    ended(runtime, [first])
    if how != "gone":
        assert collector.asked.wait(60)
    # More than the queue holds, while the collector is at it.
    for _ in range(20_000):
        runtime.traces.tracing.ended(_told())
    ids = [start(runtime, "noop") for _ in range(20)]
    assert set(ended(runtime, ids).values()) == {"succeeded"}
    attempts = AttemptRow.select().where(AttemptRow.execution_id.in_(ids))
    assert runtime.door.read_now(attempts.count) == 20
    began = time.monotonic()
    runtime.traces.collector.close()
    assert time.monotonic() - began < 60


def _told():
    from codex32.outside.traces.spans import Ended

    execution_id = "exe_01jd8x3b5m7q9s1v3x5z7b9d1f"
    return Ended("default", "noop", execution_id, None, 1, "waiting", 1, None, None, 2)


def test_a_collector_that_comes_back_is_told_again(house, collector, caplog):
    caplog.set_level(logging.CRITICAL, "codex32.outside.traces")
    collector.how = "cuts"
    runtime = house()
    ended(runtime, [start(runtime, "noop")])
    assert collector.asked.wait(60)
    collector.how = "well"
    execution_id = start(runtime, "noop")
    ended(runtime, [execution_id])
    deadline = time.monotonic() + 60
    while execution_id not in {s.attributes.get("codex32.execution.id") for s in collector.spans}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_lines_of_the_log_name_trace_and_span(house, collector, caplog):
    runtime = house()
    found = []

    class Listening(logging.Handler):
        def emit(self, record):
            found.append(subject.get())

    logger = logging.getLogger("codex32.notify")
    handler = Listening()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        execution_id = start(runtime, "work", ASKED)
        ended(runtime, [execution_id])
    finally:
        logger.removeHandler(handler)
    (said,) = [each for each in found if each.execution == execution_id]
    (notify,) = collector.wait("notify log")
    assert TraceContext.of(said.trace) == (notify.trace, notify.span, True)


def test_where_nobody_is_told_nothing_of_it_is_imported_or_written(database_url, tmp_path):
    program = f"""
import sys
from codex32.runtime import open_runtime
from codex32_config import load_settings
settings = load_settings(
    folder=__import__("pathlib").Path({str(tmp_path)!r}),
    environ={{}},
    overrides={{"database_url": {database_url!r}}},
)
runtime = open_runtime(settings, "worker")
assert runtime.traces is None
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
assert "requests" not in sys.modules
runtime.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_what_sends_them_it_says_what_to_install(tmp_path, database_url, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    monkeypatch.delitem(sys.modules, "codex32.outside.traces.collector", raising=False)
    overrides = {"database_url": database_url, "tracing.endpoint": "http://127.0.0.1:4318"}
    settings = load_settings(folder=tmp_path, environ={}, overrides=overrides)
    from codex32.tracing import traces

    with pytest.raises(SettingsError, match=r"install codex32\[otel\]"):
        traces(settings, "prc_1")


def test_a_child_that_is_asked_for_twice_stays_in_the_trace_of_the_first(house, collector):
    runtime = house()
    start_ = Start("noop", idempotency_key="one", traceparent=ASKED)
    first = asyncio.run(runtime.starter.start(start_)).id
    again = asyncio.run(runtime.starter.start(Start("noop", idempotency_key="one"))).id
    assert first == again
    assert runtime.door.read_now(executions.get, first).traceparent == ASKED
    ended(runtime, [first])
