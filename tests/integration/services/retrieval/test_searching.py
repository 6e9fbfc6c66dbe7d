"""What is found, and why."""

import pytest
from codex32_plans import rows_read, spoken

from codex32 import CollectionNotFound, FilterInvalid, VectorRecord
from codex32.kernel.contracts.collections import Document, IndexOrder, SearchOrder
from codex32.kernel.errors import StepFault
from codex32.kernel.models import database_proxy
from codex32.kernel.retrieval_rows import CollectionRow
from codex32.services.retrieval import keeping, searching
from codex32.services.retrieval.retrieval import EmbedderChanged

NOTES = [
    Document("retry.md", "Set max_attempts to say how often a step is tried.", metadata={"n": 1}),
    Document("pause.md", "Between attempts there is a pause; the most it may be is a setting.",
             metadata={"n": 2, "team": "ops"}),
    Document("birds.md", "The kestrel hovers above the meadow.", metadata={"n": 3}),
    Document("plans.md", "Attempts to plan the most are attempts of the most.", metadata={"n": 4}),
]  # fmt: skip


@pytest.fixture
async def ask(retrieval, caller):
    await retrieval.index(caller, IndexOrder("docs", NOTES))

    async def search(text, **more):
        return await retrieval.search(caller, SearchOrder("docs", text, **more))

    return search


async def test_a_name_goes_before_what_is_like_it(ask):
    best, *others = await ask("max_attempts")
    assert best.source == "retry.md"
    assert best.keyword_rank == 1
    assert best.coverage == 1.0
    assert all(each.score < best.score for each in others)


async def test_who_says_it_more_often_and_what_fewer_say_goes_first(retrieval, caller, door):
    texts = {
        "rare": "the osprey and a lake",
        "often": "lake lake lake lake lake and a lake",
        "twice": "the lake is a lake",
        "once": "the lake and the sea",
    }
    others = [Document(f"o{n}", f"the sea, number {n}") for n in range(5)]
    await retrieval.index(
        caller, IndexOrder("docs", [*(Document(s, t) for s, t in texts.items()), *others])
    )

    async def found(text, where=None):
        order = SearchOrder("docs", text, 9, where)
        ranked = [each for each in await retrieval.search(caller, order) if each.keyword_rank]
        return [each.source for each in sorted(ranked, key=lambda each: each.keyword_rank)]

    first, second, *rest = await found("lake")
    assert (first, second, sorted(rest)) == ("often", "twice", ["once", "rare"])
    assert (await found("osprey lake"))[:2] == ["rare", "often"]
    assert await found("osprey lake", {"source": "twice"}) == ["twice"]
    assert await found("nothing") == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_word_that_half_of_many_have_is_not_looked_for_beside_a_rarer(
    retrieval, caller, door, monkeypatch
):
    monkeypatch.setattr(searching, "_MANY", 5)
    await retrieval.index(caller, IndexOrder("docs", NOTES))
    await retrieval.index(
        caller, IndexOrder("docs", [Document("more.md", "One attempts more, and one kestrel.")])
    )
    collection = await door.read(keeping.get, "default", "docs")

    async def found(text):
        return len(await door.read(searching.keyword_list, collection, text, 50, None))

    assert await found("attempts") == 4
    assert await found("attempts kestrel") == 2
    assert await found("attempts nothing") == 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_whoever_indexes_leaves_no_words_that_are_not_sorted_in(retrieval, caller, door):
    await retrieval.index(caller, IndexOrder("docs", NOTES))

    def left():
        sql = "SELECT gin_clean_pending_list('chunk_words')"
        return database_proxy.execute_sql(sql).fetchall()

    assert await door.read(left) == [(0,)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_words_are_found_by_their_index_and_within_their_collection_alone(
    retrieval, caller, door, monkeypatch
):
    many = [Document(f"n{n}", f"note {n} about attempts") for n in range(600)]
    await retrieval.index(caller, IndexOrder("others", many))
    await retrieval.index(caller, IndexOrder("docs", NOTES))
    collection = await door.read(keeping.get, "default", "docs")

    def look():
        def find():
            return searching.keyword_list(collection, "attempts", 50, None)

        ((sql, given),) = spoken(monkeypatch, find)
        # So few rows would rather be read one by one than be looked up.
        database_proxy.execute_sql("SET enable_seqscan = off")
        try:
            return len(find()), rows_read(sql, given)
        finally:
            database_proxy.execute_sql("RESET enable_seqscan")

    found, read = await door.read(look)
    assert found == 3
    assert read < 20


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_found_is_looked_up_by_its_name_however_many_chunks_there_are(
    ask, door, monkeypatch
):
    await ask("attempts")
    collection = await door.read(keeping.get, "default", "docs")

    def look():
        def find():
            return searching._rows(collection, ["chk_1", "chk_2"])

        ((sql, given),) = spoken(monkeypatch, find)
        plan = database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {sql}", given).fetchall()
        return " ".join(line for *_, line in plan)

    told = await door.read(look)
    assert "USING INDEX chunk_id (id=?)" in told, told
    assert "collection" not in told


async def test_each_hit_tells_how_it_was_found(ask):
    best, *_ = await ask("where does the kestrel hover?")
    assert (best.source, best.dense_rank, best.keyword_rank) == ("birds.md", 1, 1)
    assert best.score == pytest.approx(1.0)
    assert 0 < best.similarity <= 1
    assert best.metadata == {"n": 3}


async def test_a_filter_holds_for_both_lists(ask):
    found = await ask("attempts", where={"n": {"$gte": 2}, "source": {"$ne": "plans.md"}})
    assert {each.source for each in found} == {"pause.md", "birds.md"}
    only = await ask("kestrel", where={"team": "ops"})
    assert [each.source for each in only] == ["pause.md"]
    assert await ask("kestrel", where={"team": "nobody"}) == []


async def test_a_collection_that_is_not_there_is_told_with_what_was_meant(retrieval, caller, me):
    await retrieval.index(caller, IndexOrder("docs", [Document("a.md", "The heron waits.")]))
    with pytest.raises(CollectionNotFound, match=r"'dosc' \(did you mean 'docs'\?\); index"):
        await retrieval.verify("default", "dosc")
    with pytest.raises(CollectionNotFound, match="'dosc'; index"):  # of another workspace
        await retrieval.verify("other", "dosc")


async def test_a_filter_with_faults_is_refused(ask):
    with pytest.raises(FilterInvalid, match="there is no"):
        await ask("x", where={"n": {"$near": 2}})


@pytest.mark.parametrize("limit", [0, 101])
async def test_limits_have_limits(ask, limit):
    with pytest.raises(StepFault, match="limit is 1 to 100"):
        await ask("x", limit=limit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?!",
        "\"'; DROP TABLE chunk; --",
        "a AND OR NOT NEAR(",
        "terms : x",
        "*",
        "\x00",
        "x" * 9999,
    ],
)
async def test_no_query_is_more_than_words(ask, text):
    assert isinstance(await ask(text), list)


async def test_what_the_store_has_and_the_rows_have_not_is_not_found(
    ask, retrieval, door, store, caller
):
    collection = await door.read(keeping.get, "default", "docs")
    (vector,) = await retrieval._models.embed(None, ["kestrel"], embedder="hash", purpose="query")
    store.shared = True  # or its index would be filled anew from the rows
    await store.upsert(collection.index_name, [VectorRecord("ghost", vector)])
    found = await ask("kestrel")
    assert "ghost" not in {each.id for each in found}
    assert found[0].source == "birds.md"


async def test_vectors_of_another_space_are_not_asked(ask, door):
    await door.write(lambda: CollectionRow.update(fingerprint="of another release").execute())
    with pytest.raises(EmbedderChanged, match="reindex"):
        await ask("kestrel")


async def test_a_process_that_has_nothing_in_memory_fills_its_index_from_the_rows(
    ask, retrieval, store, caller, gateway
):
    store._collections.clear()
    retrieval._loaded.clear()
    gateway.embedded.clear()
    best, *_ = await ask("the kestrel hovers above")
    assert (best.source, best.dense_rank) == ("birds.md", 1)
    assert gateway.embedded == []


def test_ranks_are_fused_as_the_formula_says():
    class Near:
        def __init__(self, name):
            self.id = name

    got = searching.fused("two words", [Near("a"), Near("b")], ["b", "c"])
    whole = 2 / 61
    assert [(name, near, worded) for name, _, near, worded in got] == [
        ("b", 2, 1),
        ("a", 1, None),
        ("c", None, 2),
    ]
    assert [score for _, score, *_ in got] == pytest.approx(
        [(1 / 62 + 1 / 61) / whole, (1 / 61) / whole, (1 / 62) / whole]
    )
    exact = searching.fused("word", [Near("a"), Near("b")], ["c"])
    assert [name for name, *_ in exact] == ["c", "a", "b"]
