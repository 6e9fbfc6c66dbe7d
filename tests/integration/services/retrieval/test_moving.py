"""Indexes made anew, and collections that change their embedder."""

import asyncio
import json

import pytest

from codex32 import Embedded, VectorRecord
from codex32.kernel.caller import HOUSE
from codex32.kernel.clock import SystemClock
from codex32.kernel.contracts.collections import Document, IndexOrder, SearchOrder
from codex32.kernel.model_errors import ModelFault
from codex32.kernel.retrieval_rows import ChunkRow, EmbeddingRow
from codex32.kernel.safe_rows import AuditRow
from codex32.services.retrieval import keeping
from codex32.services.retrieval.moving import Mover, QualityLost
from codex32.services.retrieval.quality import Question, sampled

BIRDS = ["kestrel", "heron", "wren", "osprey", "dunnock", "siskin", "plover", "curlew"]


@pytest.fixture
def mover(retrieval, door, components, me):
    return Mover(retrieval, door, components, me, SystemClock(), HOUSE)


@pytest.fixture
async def collection(retrieval, caller, door):
    notes = [
        Document(each, f"The {each} is a bird, and the {each} number {n} lives in field {n}.")
        for n, each in enumerate(BIRDS)
    ]
    await retrieval.index(caller, IndexOrder("docs", notes, scope="birds"))
    return await door.read(keeping.get, "default", "docs")


def quiet(what, done, total):
    pass


async def first(retrieval, caller, text):
    found = await retrieval.search(caller, SearchOrder("docs", text, limit=1))
    return found[0].source


async def test_an_index_that_is_damaged_is_found_out_and_made_anew(
    retrieval, caller, mover, collection, door, store, gateway
):
    await first(retrieval, caller, "heron")  # this process has filled its own store
    some, other, *_ = (await store.list_ids(collection.index_name)).ids
    await store.delete(collection.index_name, [some])
    await store.upsert(collection.index_name, [VectorRecord("ghost", [1.0] * 256)])
    nan = b"\x00\x00\xc0\x7f" * 256
    digest = ChunkRow.select(ChunkRow.sha256).where(ChunkRow.id == other)
    await door.write(
        lambda: EmbeddingRow.update(vector=nan).where(EmbeddingRow.sha256 == digest).execute()
    )
    verdict = await retrieval.verify("default", "docs")
    assert list(verdict.missing) == [some]
    assert set(verdict.ghosts) == {"ghost", other}
    assert len(verdict.damaged) == 1
    assert not verdict.sound
    gateway.embedded.clear()
    await mover.rebuild("docs", quiet)
    assert sum(map(len, gateway.embedded)) == 1
    assert (await retrieval.verify("default", "docs")).sound


async def test_an_index_that_was_lost_is_made_again_without_the_embedder(
    retrieval, caller, mover, collection, store, gateway
):
    await first(retrieval, caller, "heron")  # this process has filled its own store
    await store.drop_collection(collection.index_name)
    assert len((await retrieval.verify("default", "docs")).missing) == len(BIRDS)
    # The words still find what the vectors no longer do.
    assert await first(retrieval, caller, "heron") == "heron"
    gateway.embedded.clear()
    await mover.rebuild("docs", quiet)
    assert gateway.embedded == []
    assert (await retrieval.verify("default", "docs")).sound


async def test_a_collection_moves_to_another_embedder_and_back_for_nothing(
    retrieval, caller, mover, collection, door, store, gateway
):
    assert (await mover.cost("docs", "other")).lacking == len(BIRDS)
    moved = await mover.move("docs", "other", quiet)
    assert (moved.embedder, moved.former, moved.embedded) == ("other", "hash", len(BIRDS))
    assert moved.before.asked == moved.after.asked > 0
    (entry,) = await door.read(lambda: list(AuditRow.select()))
    assert (entry.action, entry.subject) == ("collection.moved", "docs")
    assert json.loads(entry.change) == {"embedder": "other", "was": "hash"}
    assert await first(retrieval, caller, "heron") == "heron"
    assert (await retrieval.verify("default", "docs")).sound
    assert list(store._collections) == [f"{collection.id}_2"]

    gateway.embedded.clear()
    await mover.rebuild("docs", quiet)  # which is no reason to forget the way back
    await mover.move("docs", "hash", quiet)
    assert gateway.embedded == []
    assert (await door.read(keeping.get, "default", "docs")).embedder == "hash"
    assert (await retrieval.verify("default", "docs")).sound


async def test_a_move_that_was_cut_off_pays_for_nothing_twice(
    retrieval, caller, mover, collection, gateway, monkeypatch
):
    monkeypatch.setattr("codex32.services.retrieval.embedding.BATCH_TEXTS", 2)
    gateway.embedded.clear()
    gateway.faults.extend([None, None, ModelFault("server", "it is on fire")])
    with pytest.raises(ModelFault):
        await mover.move("docs", "other", quiet)
    # Meanwhile nothing has changed for those who ask, and vectors of the two never meet.
    assert await first(retrieval, caller, "heron") == "heron"
    assert (await retrieval.verify("default", "docs")).sound
    await mover.move("docs", "other", quiet)
    texts = [text for batch in gateway.embedded for text in batch]
    assert sorted(texts) == sorted(set(texts))
    assert len(texts) == len(BIRDS)


async def test_how_far_a_move_has_come_is_shown_to_others(mover, collection, door, gateway):
    seen = []
    embed = gateway.embed

    async def watched(caller, texts, **more):
        if more.get("purpose") == "query":
            told = await door.read(keeping.show, "default", "docs", SystemClock().micros())
            seen.append(told["changing"])
        return await embed(caller, texts, **more)

    gateway.embed = watched
    told = []
    await mover.move("docs", "other", lambda *each: told.append(each))
    count = len(BIRDS)
    assert told == [("embed", count, count), ("store", count, count)]
    assert seen[-1]["by"] == "moving by a test"


async def test_whoever_waits_for_another_hears_for_whom(mover, collection, retrieval):
    told = []
    async with retrieval.held(collection, "indexing by exe_1"):
        waiting = asyncio.ensure_future(mover.rebuild("docs", lambda *each: told.append(each)))
        async with asyncio.timeout(60):
            while not told:
                await asyncio.sleep(0.01)
    await waiting
    assert told[0] == ("waiting for indexing by exe_1", 0, 300)
    assert told[-1][0] == "store"


async def test_a_worse_embedder_is_refused_unless_somebody_insists(
    retrieval, caller, mover, collection, components, door, gateway, store
):
    asked = [Question(f"{each} bird", (each,)) for each in BIRDS]

    async def dull(texts, **_):
        return Embedded([[1.0] + [0.0] * 63 for _ in texts])

    components.embedder("other").embed = dull
    with pytest.raises(QualityLost, match="100% find their document now"):
        await mover.move("docs", "other", quiet, questions=asked)
    assert (await door.read(keeping.get, "default", "docs")).embedder == "hash"
    assert list(store._collections) == [collection.index_name]
    gateway.embedded.clear()
    moved = await mover.move("docs", "other", quiet, questions=asked, max_drop=1.0)
    assert gateway.embedded == []
    assert moved.after.share < moved.before.share


async def test_what_has_no_sentences_is_asked_for_by_its_pieces(
    retrieval, caller, mover, collection, components, door
):
    """Else a collection of tables would move whatever is found there: nothing was asked."""
    rows = [Document(each, f"{each}; {each} {n}; field {n}") for n, each in enumerate(BIRDS)]
    await retrieval.index(caller, IndexOrder("table", rows, scope="rows"))
    table = await door.read(keeping.get, "default", "table")
    asked = await door.read(sampled, table)
    assert {each.sources for each in asked} == {(each,) for each in BIRDS}

    async def dull(texts, **_):
        return Embedded([[1.0] + [0.0] * 63 for _ in texts])

    components.embedder("other").embed = dull
    with pytest.raises(QualityLost):
        await mover.move("table", "other", quiet)


async def test_what_is_indexed_after_a_move_comes_along_on_the_way_back(
    retrieval, caller, mover, collection, gateway
):
    await mover.move("docs", "other", quiet)
    new = IndexOrder("docs", [Document("rail", "The rail lives in the reeds.")], scope="more")
    await retrieval.index(caller, new)
    gateway.embedded.clear()
    await mover.move("docs", "hash", quiet)
    assert gateway.embedded == [["rail\nThe rail lives in the reeds."]]
    assert await first(retrieval, caller, "reeds") == "rail"
