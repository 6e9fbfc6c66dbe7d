"""The real client over a folder, and against Qdrant's REST API, well behaved and not."""

import subprocess
import sys

import pytest

import codex32
from codex32 import ProviderUnauthorized, ProviderUnavailable, VectorRecord
from codex32_qdrant.store import QdrantVectorStore
from codex32_testing.conformance import VectorStoreSuite
from codex32_testing.loading import load_plugin
from codex32_testing.loopback_service import FAULTS, TOLD

KEY = "S3CRET-key"
#: The client says that keys are better sent encrypted; here nothing leaves the machine.
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


def store_of(service, timeout_seconds=60.0, key=KEY):
    return QdrantVectorStore(url=service.url, api_key=key, timeout_seconds=timeout_seconds)


class TestQdrantFolder(VectorStoreSuite):
    @pytest.fixture
    def vector_store(self, tmp_path):
        store = QdrantVectorStore(folder=tmp_path / "q", timeout_seconds=120)
        yield store
        store.shut()

    @pytest.fixture
    def reopened(self, tmp_path):
        return lambda: QdrantVectorStore(folder=tmp_path / "q", timeout_seconds=120)


class TestQdrantServer(VectorStoreSuite):
    @pytest.fixture
    def vector_store(self, qdrant_service):
        store = store_of(qdrant_service, 120)
        yield store
        store.shut()

    @pytest.fixture
    def reopened(self, qdrant_service):
        return lambda: store_of(qdrant_service)


CALLS = {
    "upsert": lambda store: store.upsert("docs", [VectorRecord("a", [1.0, 0.0])]),
    "query": lambda store: store.query("docs", [1.0, 0.0], limit=1),
    "delete": lambda store: store.delete("docs", ["a"]),
    "list": lambda store: store.list_ids("docs"),
    "count": lambda store: store.count("docs"),
    "ensure": lambda store: store.ensure_collection("new", dimension=2, metric="dot"),
}


@pytest.mark.parametrize("call", sorted(CALLS))
@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_fault_is_told_by_its_type_and_in_time(qdrant_service, fault, call):
    store = store_of(qdrant_service)
    await store.ensure_collection("docs", dimension=2, metric="cosine")
    asked = len(qdrant_service.requests)
    qdrant_service.faults.append(FAULTS[fault])
    if fault == "silent":
        store.timeout_seconds = 1  # less than the service is silent for
    with pytest.raises(codex32.ProviderError) as raised:
        await CALLS[call](store)
    assert type(raised.value).__name__ == TOLD[fault]
    assert raised.value.retryable
    assert KEY not in str(raised.value)
    assert len(qdrant_service.requests) == asked + 1, "the client repeats by itself"
    assert ("within 1 s" in str(raised.value)) is (fault == "silent")
    store.timeout_seconds = 60
    if fault == "busy":
        assert raised.value.retry_after_seconds == 7
    await CALLS[call](store)  # and after it all is well
    await store.close()


async def test_a_wrong_key_is_told_and_never_shown(qdrant_service):
    store = store_of(qdrant_service, key="S3CRET-wrong")
    with pytest.raises(ProviderUnauthorized) as raised:
        await store.count("docs")
    assert "S3CRET" not in str(raised.value)
    await store.close()


async def test_a_server_that_is_not_there_is_worth_trying_again():
    store = QdrantVectorStore(url="http://127.0.0.1:1", timeout_seconds=10)
    with pytest.raises(ProviderUnavailable):
        await store.count("docs")
    await store.close()


HOLD = """
import asyncio, sys
from pathlib import Path
from codex32_qdrant.store import QdrantVectorStore
store = QdrantVectorStore(folder=Path(sys.argv[1]))
asyncio.run(store.ensure_collection("c", dimension=2, metric="dot"))
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_folder_that_another_process_has_open_names_the_remedy(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        store = QdrantVectorStore(folder=tmp_path)
        assert not store.shared
        with pytest.raises(ProviderUnavailable, match=r"plugins\.qdrant\.url"):
            await store.count("c")
    finally:
        holder.communicate()


def test_wrong_settings_are_named_with_their_place():
    with pytest.raises(Exception, match=r"under_test\.url: 'qdrant:6333' is no address"):
        load_plugin("codex32_qdrant", {"url": "qdrant:6333"})
    with pytest.raises(Exception, match=r"under_test\.urll: .*did you mean 'url'"):
        load_plugin("codex32_qdrant", {"urll": "x"})
