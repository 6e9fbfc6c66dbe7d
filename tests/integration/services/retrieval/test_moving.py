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
from codex32.services.retrieval import keeping, storing
from codex32.services.retrieval.moving import Mover, QualityLost, QualityUnknown
from codex32.services.retrieval.quality import Question, sampled
from codex32.services.retrieval.storing import IndexIncomplete

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


async def test_a_store_that_counts_later_is_waited_for_and_one_that_loses_is_told(
    mover, collection, store, monkeypatch
):
    monkeypatch.setattr(storing, "_PATIENCE_SECONDS", (0.0,) * 3)
    counted = [0, 5, len(BIRDS)]

    async def count(name):
        return counted.pop(0)

    monkeypatch.setattr(store, "count", count)
    await mover.rebuild("docs", quiet)
    assert counted == []
    counted += [0, 5, 7]
    with pytest.raises(IndexIncomplete, match=r"8 records were written .* it holds 7"):
        await mover.rebuild("docs", quiet)


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
    assert moved.before is moved.after is None


async def test_a_small_collection_is_judged_too(retrieval, caller, mover, components):
    """Among the first five of four, everything is found, whoever finds it."""
    notes = [Document(each, f"The {each} is a bird.") for each in BIRDS[:4]]
    await retrieval.index(caller, IndexOrder("few", notes))

    async def dull(texts, **_):
        return Embedded([[1.0] + [0.0] * 63 for _ in texts])

    components.embedder("other").embed = dull
    with pytest.raises(QualityLost):
        await mover.move("few", "other", quiet)


async def test_an_embedder_that_cannot_be_asked_can_be_left_by_whoever_insists(
    retrieval, caller, mover, collection, components, gateway
):
    async def gone(texts, **_):
        raise ModelFault("unavailable", "it is no more", status=410)

    embed = components.embedder("hash").embed
    components.embedder("hash").embed = gone
    with pytest.raises(QualityUnknown, match=r"it is no more; --max-drop 1 moves it"):
        await mover.move("docs", "other", quiet)
    assert len(gateway.embedded) == 1  # nothing was bought of the new one
    moved = await mover.move("docs", "other", quiet, max_drop=1.0)
    assert (moved.former, moved.embedder) == ("hash", "other")
    # The way back, as the command takes it, asks neither of them.
    components.embedder("other").embed = gone
    await mover.move("docs", "hash", quiet, max_drop=1.0)
    components.embedder("hash").embed = embed
    assert await first(retrieval, caller, "heron") == "heron"


async def test_questions_that_tell_nothing_move_no_collection(mover, collection, gateway):
    asked = [Question("heron", ("no such document",))]
    with pytest.raises(QualityUnknown, match="none of the questions given"):
        await mover.move("docs", "other", quiet, questions=asked)
    assert len(gateway.embedded) == 1


async def test_a_query_that_a_move_overtakes_asks_the_index_that_serves(
    retrieval, caller, mover, collection, gateway
):
    embed = gateway.embed

    async def overtaken(me, texts, *, embedder, purpose="document"):
        vectors = await embed(me, texts, embedder=embedder, purpose=purpose)
        if purpose == "query" and embedder == "hash":
            gateway.embed = embed
            await mover.move("docs", "other", quiet, max_drop=1.0)
        return vectors

    gateway.embed = overtaken
    (hit,) = await retrieval.search(caller, SearchOrder("docs", "heron", limit=1))
    assert (hit.source, hit.dense_rank) == ("heron", 1)


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
