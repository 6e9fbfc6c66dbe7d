"""The real SDK against Pinecone's API, well behaved and not."""

import pytest

from codex32 import ProviderRejected
from codex32_pinecone.store import PineconeVectorStore
from codex32_testing.conformance import ServedVectorStoreSuite
from codex32_testing.loading import load_plugin


class TestPinecone(ServedVectorStoreSuite):
    empty_is_nothing = ("count", "list", "delete", "query")

    def store_of(self, service, timeout_seconds, key):
        return PineconeVectorStore(key, host=service.url, timeout_seconds=timeout_seconds)


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
