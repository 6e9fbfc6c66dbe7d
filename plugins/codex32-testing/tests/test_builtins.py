"""The house's own components pass the suites that strangers' components must pass."""

from datetime import UTC, datetime

import pytest

from codex32 import (
    Answer,
    ApprovalRequest,
    Citation,
    Ended,
    ExecutionRef,
    Failed,
    Found,
    IndexReport,
    ManualClock,
    ProgramResult,
    Succeeded,
    Waiting,
)
from codex32.builtin.bot_types import all_bot_types
from codex32.builtin.bot_types.approve import ApproveBotType
from codex32.builtin.bot_types.wait import WaitBotType
from codex32.builtin.fakes.echo_provider import EchoProvider
from codex32.builtin.fakes.hash_embedder import HashEmbedder
from codex32.builtin.fakes.memory_vector_store import MemoryVectorStore
from codex32.builtin.notifiers import all_notifiers
from codex32.builtin.secret_stores import EnvironmentSecretStore, FileSecretStore
from codex32.builtin.triggers import all_trigger_types
from codex32_testing.collections import FakeCollections
from codex32_testing.conformance import (
    BotTypeSuite,
    EmbedderSuite,
    LLMProviderSuite,
    NotifierSuite,
    SecretStoreSuite,
    TriggerTypeSuite,
    VectorStoreSuite,
)
from codex32_testing.context import FakeStepContext

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def named(components, name):
    return next(component for component in components if component.name == name)


class _HouseBotType(BotTypeSuite):
    name = ""

    @pytest.fixture
    def bot_type(self):
        return named(all_bot_types(), self.name)


class TestSet(_HouseBotType):
    name = "set"
    cases = (
        ({}, {}),
        ({"values": {"a": [1]}}, {"a": [1]}),
        ({"state": {"n": 2}}, Succeeded({}, state={"n": 2})),
    )
    wrong = ({"value": {}}, {"values": 3})


class TestDedupe(_HouseBotType):
    name = "dedupe"
    cases = (
        ({"items": [1, 2, 1]}, [1, 2]),
        ({"items": [{"id": 7}, {"id": 7, "n": 2}], "key": "item.id"}, [{"id": 7}]),
        ({"items": []}, []),
    )
    wrong = ({}, {"items": "x"})

    @pytest.fixture
    def context(self):
        return FakeStepContext(expressions=lambda text, variables: variables["item"]["id"])


class TestGather(_HouseBotType):
    name = "gather"
    cases = (
        ({"items": [1, 2], "window": "10m"}, [1, 2]),
        ({"items": ["a"], "quiet": "22:00-07:00", "key": "ops"}, ["a"]),
        ({"items": [], "window": "1h"}, []),
    )
    wrong = ({}, {"items": "x"})


class TestIndex(_HouseBotType):
    name = "index"
    cases = (
        (
            {"collection": "docs", "texts": [{"source": "a", "text": "x", "metadata": {"n": 1}}]},
            {
                "added": 1,
                "changed": 0,
                "removed": 0,
                "unchanged": 0,
                "failed": [{"source": "b", "error": "torn"}],
                "chunks": 0,
                "embedded": 0,
            },
        ),
    )
    wrong = (
        {"collection": "docs"},
        {"collection": "Docs", "texts": []},
        {"collection": "docs", "texts": [], "path": "/x"},
        {"collection": "docs", "texts": [], "include": ["*.md"]},
        {"collection": "docs", "path": "/x", "chunk": {"words": 1}},
    )

    @pytest.fixture
    def context(self):
        report = IndexReport(added=1, failed=[("b", "torn")])
        return FakeStepContext(collections=FakeCollections(report=report))


FOUND = Found("hovers", "birds.md", "Air", 0.98765, "chk_1", 0.7, 1.0, 1, 2, {"n": 1})


class TestRetrieve(_HouseBotType):
    name = "retrieve"
    cases = (
        (
            {"collection": "docs", "query": "kestrel", "limit": 1},
            [
                {
                    "text": "hovers",
                    "source": "birds.md",
                    "score": 0.9877,
                    "heading": "Air",
                    "metadata": {"n": 1},
                }
            ],
        ),
    )
    wrong = ({"collection": "docs"}, {"collection": "docs", "query": "x", "limit": 0})

    @pytest.fixture
    def context(self):
        return FakeStepContext(collections=FakeCollections(found=[FOUND]))


class TestAnswer(_HouseBotType):
    name = "answer"
    cases = (
        (
            {"collection": "docs", "question": "what?", "model": "echo:echo"},
            {
                "answer": "It hovers. [1]",
                "found": True,
                "sources": ["birds.md"],
                "citations": [
                    {
                        "claim": "It hovers.",
                        "quote": "hovers",
                        "source": "birds.md",
                        "status": "supported",
                    }
                ],
            },
        ),
    )
    wrong = (
        {"collection": "docs", "question": "what?"},
        {"collection": "docs", "question": "what?", "model": "a:b", "threshold": 2},
    )

    @pytest.fixture
    def context(self):
        citation = Citation("It hovers.", "hovers", "birds.md", "chk_1", "supported")
        answer = Answer("It hovers. [1]", [citation], found=True, sources=["birds.md"])
        return FakeStepContext(collections=FakeCollections(answered=answer))


class TestEnd(_HouseBotType):
    name = "end"
    cases = (
        ({}, Ended()),
        ({"status": "skipped", "message": "no news"}, Ended("skipped", "no news")),
    )
    wrong = ({"status": "done"},)


class TestWait(_HouseBotType):
    cases = (
        ({"for": "90s"}, Waiting(until=NOON.replace(minute=1, second=30))),
        ({"until": "2026-05-01T14:00:00+01:00"}, Waiting(until=NOON.replace(hour=13))),
        ({"until": "2026-05-01T11:59:59Z"}, None),
    )
    wrong = ({}, {"for": "1s", "until": "2026-05-01T00:00:00Z"}, {"until": "tomorrow"})

    @pytest.fixture
    def bot_type(self):
        return WaitBotType(ManualClock(NOON))


class TestApprove(_HouseBotType):
    cases = (
        ({"text": "Go?"}, Waiting(approval=ApprovalRequest("Go?"))),
        (
            {"text": "Go?", "to": "ops", "expires": "1h", "form": {"n": {"type": "integer"}}},
            Waiting(
                until=NOON.replace(hour=13),
                approval=ApprovalRequest("Go?", ("ops",), {"n": {"type": "integer"}}),
            ),
        ),
    )
    wrong = (
        {},
        {"text": ""},
        {"text": "Go?", "on_expire": "approve"},
        {"text": "Go?", "expires": "1h", "on_expire": "approve", "form": {"n": {}}},
        {"text": "Go?", "expires": "1h", "on_expire": "panic"},
    )

    @pytest.fixture
    def bot_type(self):
        return ApproveBotType(ManualClock(NOON))


class TestBot(_HouseBotType):
    name = "bot"
    cases = (
        ({"name": "done"}, {"answer": 42}),
        ({"name": "running"}, Waiting(token="exe_2")),
        ({"name": "running", "wait": False}, {"execution": "exe_2"}),
    )
    wrong = ({}, {"name": "x", "await": True})

    @pytest.fixture
    def context(self):
        done = ExecutionRef("exe_1", "done", "succeeded", ended=True, output={"answer": 42})
        running = ExecutionRef("exe_2", "running", "running")
        return FakeStepContext(bots={"done": done, "running": running})


class TestNotify(_HouseBotType):
    name = "notify"
    cases = (({"to": "log", "text": "hi"}, {"id": "receipt-1"}),)
    wrong = ({}, {"to": "log"}, {"to": "log", "text": "hi", "chanel": "x"})


class TestHttp(_HouseBotType):
    name = "http"
    cases = (
        (
            {"url": "https://example.com/a"},
            {
                "status": 200,
                "headers": {"content-type": "application/json"},
                "body": {"ok": True},
                "url": "https://example.com/a",
            },
        ),
    )
    wrong = ({}, {"url": "https://example.com", "method": "BREW"})

    @pytest.fixture
    def context(self, fake_http):
        fake_http.answer("https://example.com/a", json={"ok": True})
        return FakeStepContext(http=fake_http)


class TestPython(_HouseBotType):
    name = "python"
    literal = frozenset({"code"})
    cases = (({"code": "def main(n): return n", "args": {"n": 3}}, 3),)
    wrong = ({}, {"code": "def f(): pass"}, {"code": "def main(:"}, {"code": "${{ inputs.x }}"})

    @pytest.fixture
    def context(self):
        return FakeStepContext(run_code=lambda program: ProgramResult(program.args["n"]))

    async def test_what_the_program_raised_fails_the_step(self, bot_type):
        context = FakeStepContext(run_code=lambda _: ProgramResult(error="E: x", code="raised"))
        outcome = await bot_type.run(context, {"code": "def main(): raise E('x')"})
        assert isinstance(outcome, Failed)
        assert outcome.message == "E: x"


class TestLog(NotifierSuite):
    speaks_http = False

    @pytest.fixture
    def notifier(self):
        return named(all_notifiers(), "log")


class TestWebhook(NotifierSuite):
    @pytest.fixture
    def notifier(self):
        return named(all_notifiers(), "webhook")


class _HouseTrigger(TriggerTypeSuite):
    name = ""

    @pytest.fixture
    def trigger_type(self):
        return named(all_trigger_types(), self.name)


class TestCron(_HouseTrigger):
    name = "cron"
    valid = ("0 8 * * 1-5", "*/15 * * * *", "@daily", "30 2 * * *", "0 0 29 2 *")
    wrong = ("", "0 8 * *", "61 * * * *", "@dayly", 5, "0 0 30 2 *")
    firings = (
        ("0 8 * * 1-5", "Europe/Berlin", NOON, datetime(2026, 5, 4, 6, tzinfo=UTC)),
        ("0 12 * * *", "UTC", NOON, datetime(2026, 5, 2, 12, tzinfo=UTC)),
    )


class TestWebhookTrigger(_HouseTrigger):
    name = "webhook"
    valid = (
        {"path": "a", "auth": {"scheme": "standard", "secret": "S"}},
        {"path": "a", "auth": {"scheme": "github", "secret": ["NEW", "OLD"]}, "reply": "none"},
        {"path": "a", "auth": {"scheme": "stripe", "secret": "S"}, "max_bytes": "10MiB"},
        {"path": "a", "auth": {"scheme": "slack", "secret": "S"}, "reply": "result"},
        {"path": "A_b-1", "auth": {"scheme": "hmac-sha256", "secret": "S", "header": "X-Sig"}},
        {"path": "a", "auth": {"scheme": "hmac-sha256", "secret": "S", "encoding": "base64"}},
        {"path": "a", "auth": {"scheme": "bearer", "secret": "S", "id_header": "X-Id"}},
        {"path": "a", "auth": {"scheme": "none"}, "methods": ["GET", "PUT"]},
    )
    wrong = (
        {},
        {"path": "a"},
        {"path": "a", "auth": "none"},
        {"path": "a", "auth": {}},
        {"path": "a", "auth": {"secret": "S"}},
        {"path": "a", "auth": {"scheme": "github"}},
        {"path": "a", "auth": {"scheme": "none", "secret": "S"}},
        {"path": "a", "auth": {"scheme": "github", "secret": "S", "header": "X-Sig"}},
        {"path": "a", "auth": {"scheme": "bearer", "secret": "S", "prefix": "x"}},
        {"path": "a", "auth": {"scheme": "github", "secret": []}},
        {"path": "a/b", "auth": {"scheme": "none"}},
        {"path": "..", "auth": {"scheme": "none"}},
        {"path": "", "auth": {"scheme": "none"}},
        {"path": "a", "auth": {"scheme": "none"}, "methods": ["TRACE"]},
        {"path": "a", "auth": {"scheme": "none"}, "reply_timeout": "2m"},
        {"path": "a", "auth": {"scheme": "none"}, "reply_timeout": "soon"},
        {"path": "a", "auth": {"scheme": "none"}, "max_bytes": "11MiB"},
        {"path": "a", "auth": {"scheme": "none"}, "max_bytes": "0B"},
        {"path": "a", "auth": {"scheme": "none"}, "max_bytes": "much"},
    )


class TestEvery(_HouseTrigger):
    name = "every"
    valid = ("5m", "1h30m", "30s")
    wrong = ("", "5", "soon", "0s", -1)
    firings = (("5m", "UTC", NOON, NOON.replace(minute=5)),)


class TestAt(_HouseTrigger):
    name = "at"
    valid = ("2026-05-01T12:00:00Z", "2027-01-01T09:00:00+01:00")
    wrong = ("", "tomorrow", "2026-13-01T00:00:00Z", 5)
    firings = (
        ("2026-05-01T12:00:01Z", "UTC", NOON, NOON.replace(second=1)),
        ("2026-05-01T12:00:00Z", "UTC", NOON, None),
    )


class TestEnvironment(SecretStoreSuite):
    @pytest.fixture
    def secret_store(self):
        return EnvironmentSecretStore({f"CODEX32_SECRET_{self.name}": self.value})


class TestFiles(SecretStoreSuite):
    @pytest.fixture
    def secret_store(self, tmp_path):
        (tmp_path / self.name).write_text(self.value)
        return FileSecretStore(tmp_path)


class TestEcho(LLMProviderSuite):
    model = "echo"

    @pytest.fixture
    def provider(self):
        return EchoProvider()


class TestHash(EmbedderSuite):
    @pytest.fixture
    def embedder(self):
        return HashEmbedder()


class TestMemory(VectorStoreSuite):
    @pytest.fixture
    def vector_store(self):
        return MemoryVectorStore()
