"""The real SDK against Pinecone's API, well behaved and not."""

import pytest

import codex32
from codex32 import ProviderRejected, ProviderUnauthorized, VectorRecord
from codex32_pinecone.store import PineconeVectorStore
from codex32_testing.conformance import VectorStoreSuite
from codex32_testing.loading import load_plugin
from codex32_testing.loopback_service import FAULTS, TOLD

KEY = "S3CRET-key"


def store_of(service, timeout_seconds=60.0, key=KEY):
    return PineconeVectorStore(key, host=service.url, timeout_seconds=timeout_seconds)


class TestPinecone(VectorStoreSuite):
    @pytest.fixture
    def vector_store(self, pinecone_service):
        store = store_of(pinecone_service)
        yield store
        store.shut()

    @pytest.fixture
    def reopened(self, pinecone_service):
        return lambda: store_of(pinecone_service)


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
async def test_a_fault_is_told_by_its_type_and_in_time(pinecone_service, fault, call):
    store = store_of(pinecone_service)
    await store.ensure_collection("docs", dimension=2, metric="cosine")
    await store.count("docs")  # the data plane's address is known
    asked = len(pinecone_service.requests)
    pinecone_service.faults.append(FAULTS[fault])
    if fault == "silent":
        store.timeout_seconds = 1  # less than the service is silent for
    if fault == "empty" and call in ("count", "list", "delete", "query"):
        await CALLS[call](store)  # to the SDK this is an answer: nothing, of nothing
        await store.close()
        return
    with pytest.raises(codex32.ProviderError) as raised:
        await CALLS[call](store)
    assert type(raised.value).__name__ == TOLD[fault]
    assert raised.value.retryable
    assert KEY not in str(raised.value)
    assert len(pinecone_service.requests) == asked + 1, "the SDK repeats by itself"
    assert ("within 1 s" in str(raised.value)) is (fault == "silent")
    store.timeout_seconds = 60
    if fault == "busy":
        assert raised.value.retry_after_seconds == 7
    await CALLS[call](store)  # and after it all is well
    await store.close()


async def test_a_wrong_key_is_told_and_never_shown(pinecone_service):
    store = store_of(pinecone_service, key="S3CRET-wrong")
    with pytest.raises(ProviderUnauthorized) as raised:
        await store.count("docs")
    assert "S3CRET" not in str(raised.value)
    await store.close()


async def test_without_a_key_the_setting_is_named():
    with pytest.raises(ProviderRejected, match=r"plugins\.pinecone\.api_key"):
        await PineconeVectorStore("").count("docs")


def test_collections_have_names_of_their_own_within_what_pinecone_takes():
    store = PineconeVectorStore("k")
    names = ["a_b", "a__b", "a_b_", "x" * 48, "x" * 47, "a" * 20 + "_" * 20 + "b"]
    indexes = [store._index_name(name) for name in names]
    assert len(set(indexes)) == len(names)
    assert indexes[0] == "codex32-a-b"
    assert all(len(index) <= 45 and not index.endswith("-") for index in indexes)


def test_a_key_is_not_sent_in_the_clear():
    with pytest.raises(Exception, match=r"under_test\.host: .* would send the key in the clear"):
        load_plugin("codex32_pinecone", {"host": "http://pinecone.example.com"})
