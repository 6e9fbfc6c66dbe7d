"""The suite over an embedded folder; what its keeper promises."""

import asyncio
import json
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from codex32 import ProviderUnauthorized, ProviderUnavailable, VectorRecord
from codex32_milvus.embedded import EmbeddedFolder
from codex32_milvus.store import MilvusVectorStore
from codex32_testing.conformance import VectorStoreSuite

#: Two cores of a machine with other work load pymilvus in as many seconds.
PATIENCE = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder with one keeper, kept by a user of its own until the last test."""
    folder = tmp_path_factory.mktemp("milvus")
    user = EmbeddedFolder(folder)
    user.connect(PATIENCE)
    yield folder
    user.release()


def store_of(folder: Path) -> MilvusVectorStore:
    return MilvusVectorStore(folder=folder, timeout_seconds=PATIENCE)


class TestMilvusEmbedded(VectorStoreSuite):
    @pytest.fixture
    def vector_store(self, folder):
        store = store_of(folder)
        yield store
        store.shut()

    @pytest.fixture
    def reopened(self, folder):
        return lambda: store_of(folder)


def keeper(folder):
    return json.loads((folder / "keeper.json").read_text())


async def test_a_collection_that_somebody_released_is_loaded_again(folder):
    store = store_of(folder)
    records = [VectorRecord("a", [1.0, 0.0, 0.0]), VectorRecord("b", [0.0, 1.0, 0.0])]
    await store.ensure_collection("released", dimension=3, metric="cosine")
    await store.upsert("released", records)
    asked = (
        lambda: store.query("released", [1.0, 0.0, 0.0], limit=1),
        lambda: store.list_ids("released"),
        lambda: store.count("released"),
        lambda: store.delete("released", ["a"]),
    )
    for ask in asked:
        await ask()
        await asyncio.to_thread(store._client.release_collection, "released")
        await ask()
    await store.drop_collection("released")
    store.shut()


async def test_the_folder_answers_nobody_without_its_token(folder):
    port = keeper(folder)["port"]
    stranger = MilvusVectorStore(uri=f"http://127.0.0.1:{port}", token="guess", timeout_seconds=20)
    with pytest.raises(ProviderUnauthorized):
        await stranger.ensure_collection("c", dimension=3, metric="cosine")
    mode = stat.S_IMODE((folder / "keeper.json").stat().st_mode)
    assert mode == 0o600


async def test_after_the_keeper_was_killed_another_serves_what_was_written(tmp_path):
    store = store_of(tmp_path)
    await store.ensure_collection("c", dimension=3, metric="cosine")
    await store.upsert("c", [VectorRecord("a", [1.0, 0.0, 0.0], "kept")])
    killed = keeper(tmp_path)["pid"]
    os.kill(killed, signal.SIGKILL)
    match = None
    async with asyncio.timeout(60):
        while match is None:  # a connection that was cut is told, until the dead keeper is gone
            with suppress(ProviderUnavailable):
                (match,) = await store.query("c", [1.0, 0.0, 0.0], limit=1)
    assert match.text == "kept"
    assert keeper(tmp_path)["pid"] != killed
    await store.close()
    await until_gone(keeper(tmp_path)["pid"], tmp_path / "keeper.json")


async def until_gone(pid, address):
    """The keeper ends when nobody uses its folder, and takes its address away before."""
    async with asyncio.timeout(60):
        while address.exists():
            await asyncio.sleep(0.1)
