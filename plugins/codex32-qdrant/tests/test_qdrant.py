"""The real client over a folder, and against Qdrant's REST API, well behaved and not."""

import subprocess
import sys

import pytest

from codex32 import ProviderUnavailable
from codex32_qdrant.store import QdrantVectorStore
from codex32_testing.conformance import ServedVectorStoreSuite, VectorStoreSuite
from codex32_testing.loading import load_plugin

#: The client says that keys are better sent encrypted; here nothing leaves the machine.
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


class TestQdrantFolder(VectorStoreSuite):
    @pytest.fixture
    def vector_store(self, tmp_path):
        store = QdrantVectorStore(folder=tmp_path / "q", timeout_seconds=120)
        yield store
        store.shut()

    @pytest.fixture
    def reopened(self, tmp_path):
        return lambda: QdrantVectorStore(folder=tmp_path / "q", timeout_seconds=120)


class TestQdrantServer(ServedVectorStoreSuite):
    def store_of(self, service, timeout_seconds, key):
        return QdrantVectorStore(url=service.url, api_key=key, timeout_seconds=timeout_seconds)


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
