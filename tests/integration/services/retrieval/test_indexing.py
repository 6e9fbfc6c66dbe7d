import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from codex32.kernel.clock import SystemClock
from codex32.kernel.contracts.collections import Document, IndexOrder, SearchOrder
from codex32.kernel.contracts.program import FileGrant
from codex32.kernel.errors import CapabilityRefused, StepFault
from codex32.kernel.model_errors import ModelFault
from codex32.kernel.retrieval_rows import (
    ChunkRow,
    CollectionRow,
    DocumentRow,
    EmbeddingRow,
    GoneRow,
)
from codex32.kernel.vector_errors import FilterInvalid
from codex32.services.retrieval import keeping
from codex32.services.retrieval.holding import CollectionBusy
from codex32.services.retrieval.names import next_index
from codex32.services.retrieval.progress import Progress, sentence
from codex32.services.retrieval.reading import found
from codex32.services.retrieval.retrieval import EmbedderChanged
from codex32.services.retrieval.storing import Index
from codex32.services.retrieval.unlinked import bytes_of

GUIDE = """# Guide

Some words to begin with, which are about nothing in particular and take up a little room so that
this part of the guide is long enough to stand by itself and is not joined with the next one here.

## Retries

A step is retried when its fault says that trying again can help. The setting max_attempts says
how often, and the pause grows by a factor until it has reached its greatest length at the end.
"""


def order(path, **values):
    return IndexOrder("docs", path=str(path), scope="files", **values)


def counts(report):
    return report.added, report.changed, report.removed, report.unchanged


async def sources(retrieval, caller, text):
    found = await retrieval.search(caller, SearchOrder("docs", text, limit=50))
    return {each.source for each in found}


async def test_unchanged_files_cost_nothing_and_changed_ones_only_what_changed(
    retrieval, caller, docs, gateway
):
    (docs / "guide.md").write_text(GUIDE)
    (docs / "other.txt").write_text("Kestrels hover above the meadow.")
    first = await retrieval.index(caller, order(docs))
    assert counts(first) == (2, 0, 0, 0)
    assert first.embedded == first.chunks == 3
    gateway.embedded.clear()

    again = await retrieval.index(caller, order(docs))
    assert counts(again) == (0, 0, 0, 2)
    assert gateway.embedded == []

    (docs / "guide.md").write_text(GUIDE.replace("max_attempts", "most_tries"))
    third = await retrieval.index(caller, order(docs))
    assert counts(third) == (0, 1, 0, 1)
    assert [len(batch) for batch in gateway.embedded] == [1]
    assert "most_tries" in gateway.embedded[0][0]


async def test_deleted_and_renamed_files_leave_nothing_behind(
    retrieval, caller, docs, door, store, me
):
    (docs / "old-name.md").write_text(GUIDE)
    (docs / "gone.txt").write_text("Kestrels hover above the meadow.")
    await retrieval.index(caller, order(docs))
    (docs / "old-name.md").rename(docs / "new-name.md")
    (docs / "gone.txt").unlink()
    report = await retrieval.index(caller, order(docs))
    assert counts(report) == (1, 0, 2, 0)
    assert await sources(retrieval, caller, "kestrels retries guide") == {"new-name.md"}

    def rows():
        return [row.select().count() for row in (DocumentRow, ChunkRow, EmbeddingRow, GoneRow)]

    assert await door.read(rows) == [1, 2, 2, 0]
    collection = await door.read(keeping.get, "default", "docs")
    assert await store.count(collection.index_name) == 2
    assert (await retrieval.verify("default", "docs")).sound


async def test_an_indexing_removes_only_what_is_its_own(retrieval, caller, docs):
    (docs / "a.md").write_text(GUIDE)
    await retrieval.index(caller, order(docs))
    note = Document("note", "Kestrels hover above the meadow.")
    await retrieval.index(caller, IndexOrder("docs", [note], scope="notes"))
    kept = await retrieval.index(caller, order(docs))
    assert counts(kept) == (0, 0, 0, 1)
    emptied = await retrieval.index(caller, IndexOrder("docs", [], scope="notes"))
    assert emptied.removed == 1
    assert await sources(retrieval, caller, "kestrels guide") == {"a.md"}


async def test_what_was_known_of_a_document_that_cannot_be_had_stays(retrieval, caller, lines):
    page, below = "https://example.com/a", "https://example.com/a/b"
    known = [Document(page, "Kestrels hover."), Document(below, "Kestrels rest.")]
    await retrieval.index(caller, IndexOrder("docs", known, scope="pages"))
    report = await retrieval.index(
        caller, IndexOrder("docs", [], failed=[(page, "it answered 404")], scope="pages")
    )
    assert (report.removed, report.failed) == (1, ((page, "it answered 404"),))
    assert await sources(retrieval, caller, "kestrels") == {page}
    assert f"{page} was passed over: it answered 404" in lines


async def test_a_document_that_is_taken_from_another_folder_is_told(
    retrieval, caller, docs, lines
):
    for name in ("one", "two"):
        (docs / name).mkdir()
        (docs / name / "a.md").write_text(f"Kestrels hover in folder {name}.")
    one = IndexOrder("docs", path=str(docs / "one"), scope="path one")
    two = IndexOrder("docs", path=str(docs / "two"), scope="path two")
    await retrieval.index(caller, one)
    await retrieval.index(caller, one)
    assert not [line for line in lines if "taken" in line]
    assert counts(await retrieval.index(caller, two)) == (0, 1, 0, 0)
    (told,) = [line for line in lines if "taken" in line]
    assert told.startswith(
        "1 documents bear names that others gave, and are taken from them: path"
    )
    note = Document("a.md", "Kestrels hover in a note.")
    await retrieval.index(caller, IndexOrder("docs", [note], scope="notes"))
    assert "path two" in [line for line in lines if "taken" in line][-1]


async def test_what_an_embedder_gave_is_not_asked_for_again_after_a_fault(
    retrieval, caller, docs, gateway, monkeypatch
):
    monkeypatch.setattr("codex32.services.retrieval.embedding.BATCH_TEXTS", 1)
    (docs / "guide.md").write_text(GUIDE)
    gateway.faults.extend([None, ModelFault("server", "it is on fire")])
    with pytest.raises(ModelFault):
        await retrieval.index(caller, order(docs))
    assert len(gateway.embedded) == 1
    report = await retrieval.index(caller, order(docs))
    assert report.embedded == 1
    assert len(gateway.embedded) == 2
    assert counts(report) == (1, 0, 0, 0)


async def test_vectors_that_were_not_stored_are_stored_by_the_next_indexing(
    retrieval, caller, docs, store, gateway, monkeypatch
):
    (docs / "guide.md").write_text(GUIDE)

    async def broken(collection, records):
        raise StepFault("the store is away", retryable=True)

    monkeypatch.setattr(store, "upsert", broken)
    with pytest.raises(StepFault, match="away"):
        await retrieval.index(caller, order(docs))
    monkeypatch.undo()
    asked = len(gateway.embedded)
    report = await retrieval.index(caller, order(docs))
    assert counts(report) == (0, 0, 0, 1)
    assert len(gateway.embedded) == asked
    assert (await retrieval.verify("default", "docs")).sound


async def test_a_batch_that_a_service_does_not_take_is_halved_until_it_does(
    retrieval, caller, gateway
):
    gateway.most_texts = 3
    many = [Document(f"n{n}", f"note number {n} about subject {n}") for n in range(16)]
    report = await retrieval.index(caller, IndexOrder("docs", many, scope="notes"))
    assert report.embedded == 16
    assert max(map(len, gateway.embedded)) <= 3
    assert sorted(text for batch in gateway.embedded for text in batch) == sorted(
        f"{each.source}\n{each.text}" for each in many
    )


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(lambda v: v[:-1], "vectors came back", id="too-few"),
        pytest.param(lambda v: [each[:-1] for each in v], "255 numbers", id="too-short"),
        pytest.param(lambda v: [[float("nan")] * 256 for _ in v], "no number", id="nan"),
        pytest.param(lambda v: [[float("inf")] * 256 for _ in v], "no number", id="infinite"),
    ],
)
async def test_nonsense_from_an_embedder_is_never_kept(
    retrieval, caller, docs, gateway, door, spoil, told
):
    (docs / "guide.md").write_text(GUIDE)
    gateway.spoil = spoil
    with pytest.raises(ModelFault, match=told):
        await retrieval.index(caller, order(docs))
    assert await door.read(lambda: EmbeddingRow.select().count()) == 0


async def test_a_document_without_a_word_is_kept_and_stored_nowhere(retrieval, caller):
    report = await retrieval.index(caller, IndexOrder("docs", [Document("!", "?!")], scope="x"))
    assert report.chunks == 1
    assert (await retrieval.verify("default", "docs")).sound


async def test_two_do_not_change_a_collection_at_once(retrieval, caller, docs, door, monkeypatch):
    monkeypatch.setattr("codex32.services.retrieval.retrieval.WAIT_SECONDS", 0.0)
    (docs / "guide.md").write_text(GUIDE)
    await retrieval.index(caller, order(docs))
    collection = await door.read(keeping.get, "default", "docs")
    async with retrieval.held(collection, "indexing by exe_1"):
        with pytest.raises(CollectionBusy, match="indexing by exe_1"):
            await retrieval.index(caller, order(docs))
    await retrieval.index(caller, order(docs))


async def test_whoever_lost_a_collection_writes_nothing_more(retrieval, caller, docs, door):
    (docs / "guide.md").write_text(GUIDE)
    await retrieval.index(caller, order(docs))
    collection = await door.read(keeping.get, "default", "docs")
    async with retrieval.held(collection, "the first") as hold:
        await door.write(lambda: CollectionRow.update(holder="the second").execute())
        with pytest.raises(CollectionBusy):
            await door.write(hold.check)
    assert await door.read(lambda: CollectionRow.get().holder) == "the second"


async def test_how_far_an_indexing_has_come_is_shown_while_it_runs(
    retrieval, caller, docs, door, gateway, lines
):
    for n in range(148):
        (docs / f"bird-{n:03}.md").write_text(f"# Bird {n}\n\nBird {n} waits near pond {n * n}.\n")
    seen = []
    embed = gateway.embed

    async def watched(*given, **more):
        seen.append(await shown(door))
        return await embed(*given, **more)

    gateway.embed = watched
    await retrieval.index(caller, order(docs))
    by = {"by": "indexing by a test", "stage": "index", "total": 148}
    assert seen == [
        {**by, "done": 0, "document": "bird-000.md"},
        {**by, "done": 128, "document": "bird-128.md"},
    ]
    assert sentence(seen[1]) == "indexing by a test: index, 128 of 148 documents, at bird-128.md"
    assert lines[-2:] == [
        "128 of 148 documents (86 %), 128 chunks embedded; bird-127.md is done",
        "148 of 148 documents (100 %), 148 chunks embedded; bird-147.md is done",
    ]
    assert await shown(door) is None


async def test_how_far_one_large_document_has_come_is_shown_too(
    retrieval, caller, docs, door, gateway, lines
):
    (docs / "birds.csv").write_text("bird,pond\n" + "".join(f"b{n},{n}\n" for n in range(8000)))
    seen = []
    embed = gateway.embed

    async def watched(*given, **more):
        seen.append(await shown(door))
        return await embed(*given, **more)

    gateway.embed = watched
    await retrieval.index(caller, order(docs))
    batches = [len(each) for each in gateway.embedded]
    assert len(batches) > 2
    embedding = {"by": "indexing by a test", "stage": "embed", "document": "birds.csv"}
    assert seen[1:] == [
        {**embedding, "done": sum(batches[:at]), "total": sum(batches)}
        for at in range(1, len(batches))
    ]
    assert f"{batches[0]} of {sum(batches)} chunks embedded, from birds.csv on" in lines


async def test_small_documents_are_embedded_together_and_large_ones_by_sixteen(
    retrieval, caller, docs, lines
):
    for n in range(40):
        (docs / f"bird-{n:02}.md").write_text(
            f"# Bird {n}\n\n" + f"It waits near pond {n}. " * 200
        )
    await retrieval.index(caller, order(docs))
    assert [line.split(" (")[0] for line in lines[-3:]] == [
        f"{done} of 40 documents" for done in (16, 32, 40)
    ]


async def test_what_a_dead_process_told_of_its_progress_is_forgotten_with_its_hold(
    retrieval, caller, docs, door
):
    (docs / "guide.md").write_text(GUIDE)
    await retrieval.index(caller, order(docs))
    collection = await door.read(keeping.get, "default", "docs")
    async with retrieval.held(collection, "the first") as dead:
        assert sentence(await shown(door)) == "the first"
        dead.progress = Progress("embed", 3, 7)
        await door.write(dead.check)
        assert sentence(await shown(door)) == "the first: embed, 3 of 7 chunks"
        await door.write(lambda: CollectionRow.update(held_until=0).execute())
        assert await shown(door) is None
        async with retrieval.held(collection, "the second"):
            assert sentence(await shown(door)) == "the second"


async def shown(door):
    now = SystemClock().micros()
    return (await door.read(keeping.show, "default", "docs", now))["changing"]


async def test_a_step_that_is_tried_again_does_not_wait_for_the_dead_that_tried_it_before(
    retrieval, caller, docs, door, me, monkeypatch
):
    monkeypatch.setattr("codex32.services.retrieval.retrieval.WAIT_SECONDS", 0.0)
    (docs / "guide.md").write_text(GUIDE)
    step = replace(caller, models=replace(me, execution_id="exe_1", step="learn"))
    await retrieval.index(step, order(docs))
    collection = await door.read(keeping.get, "default", "docs")
    async with retrieval.held(collection, "indexing by exe_1 (learn)") as dead:
        await retrieval.index(step, order(docs))
        with pytest.raises(CollectionBusy):  # should it live after all, it writes nothing more
            await door.write(dead.check)
    async with retrieval.held(collection, "indexing by exe_1 (other)"):
        with pytest.raises(CollectionBusy, match=r"exe_1 \(other\)"):
            await retrieval.index(step, order(docs))


async def test_whoever_makes_a_collection_is_told_that_its_embedder_knows_words_alone(
    retrieval, caller, lines
):
    note = Document("note", "Kestrels hover.")
    await retrieval.index(caller, IndexOrder("docs", [note]))
    assert [line for line in lines if "knows words and not what they mean" in line] == [lines[0]]
    lines.clear()
    await retrieval.index(caller, IndexOrder("docs", [note]))
    assert not any("words" in line for line in lines)


async def test_those_who_come_at_once_wait_for_each_other(retrieval, caller):
    orders = [
        IndexOrder("docs", [Document(f"n{n}", f"note {n} of all notes")], scope=f"s{n}")
        for n in range(3)
    ]
    reports = await asyncio.gather(*(retrieval.index(caller, each) for each in orders))
    assert [counts(each) for each in reports] == [(1, 0, 0, 0)] * 3
    assert await sources(retrieval, caller, "notes") == {"n0", "n1", "n2"}


async def test_another_embedder_is_refused_and_the_way_is_told(retrieval, caller):
    note = [Document("note", "Kestrels hover.")]
    await retrieval.index(caller, IndexOrder("docs", note))
    with pytest.raises(EmbedderChanged, match="codex32 collections reindex docs --embedder other"):
        await retrieval.index(caller, IndexOrder("docs", note, embedder="other"))


async def test_only_files_that_the_bot_may_read_are_read(retrieval, caller, docs, tmp_path):
    (tmp_path / "secret.md").write_text("the password is swordfish")
    (docs / "link.md").symlink_to(tmp_path / "secret.md")
    (docs / ".hidden.md").write_text("hidden swordfish")
    (docs / "open.md").write_text(GUIDE)
    report = await retrieval.index(caller, order(docs))
    assert report.added == 1
    for path in (tmp_path, tmp_path / "secret.md", docs / "link.md", docs / ".." / "secret.md"):
        with pytest.raises(CapabilityRefused):
            await retrieval.index(caller, order(path))


async def test_a_folder_that_is_a_link_is_none_that_a_bot_may_read(retrieval, caller, tmp_path):
    """Another bot may have laid it, and to any place that the house may read."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "secret.md").write_text("the password is swordfish")
    laid = tmp_path / "laid"
    laid.symlink_to(tmp_path / "hidden")
    mine = replace(caller, files=(FileGrant(str(laid)),))
    for path in (laid, laid / "secret.md", tmp_path / "hidden"):
        with pytest.raises(CapabilityRefused, match=r"link|add it there"):
            await retrieval.index(mine, order(path))


def test_a_link_that_is_laid_after_a_look_is_not_followed(tmp_path):
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / "sub" / "a.md").write_text("mine")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "a.md").write_text("theirs")
    [item] = found(str(tmp_path / "docs"), [], None)
    assert bytes_of(Path(item.path)) == b"mine"
    (tmp_path / "docs" / "sub").rename(tmp_path / "docs" / "old")
    (tmp_path / "docs" / "sub").symlink_to(tmp_path / "hidden")
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        bytes_of(Path(item.path))
    (tmp_path / "docs" / "a.md").symlink_to(tmp_path / "hidden" / "a.md")
    with pytest.raises(OSError, match="symbolic links"):
        bytes_of(tmp_path / "docs" / "a.md")


async def test_only_what_is_included_is_read(retrieval, caller, docs):
    (docs / "sub").mkdir()
    for name in ("a.md", "b.txt", "sub/c.md", "sub/d.py"):
        (docs / name).write_text(f"about {name}")
    await retrieval.index(caller, order(docs, include=["**/*.md"]))
    assert await sources(retrieval, caller, "about") == {"a.md", "sub/c.md"}


async def test_collections_of_workspaces_do_not_meet(retrieval, caller, me):
    other = replace(caller, models=replace(me, workspace="other"))
    await retrieval.index(caller, IndexOrder("docs", [Document("mine", "a kestrel of mine")]))
    await retrieval.index(other, IndexOrder("docs", [Document("theirs", "a kestrel of theirs")]))
    assert await sources(retrieval, caller, "kestrel") == {"mine"}
    assert await sources(retrieval, other, "kestrel") == {"theirs"}


async def test_a_collection_is_deleted_a_part_at_a_time_and_is_sound_between(
    retrieval, caller, door, person
):
    documents = [Document(f"note {n}", f"a kestrel of pond {n}") for n in range(45)]
    await retrieval.index(caller, IndexOrder("docs", documents))
    left = []
    while await door.write(lambda: keeping.shrink("default", "docs", 1)):
        left.append(len(await door.read(keeping.documents, "default", "docs")))
        collection = await door.read(keeping.get, "default", "docs")
        await retrieval.storing.forget_gone(Index.of(collection))
        assert (await retrieval.verify("default", "docs")).sound
    assert left == [25, 5, 0, 0]
    await retrieval.delete("default", "docs", person)
    tables = (CollectionRow, DocumentRow, ChunkRow, EmbeddingRow, GoneRow)
    assert await door.read(lambda: [row.select().count() for row in tables]) == [0] * 5


async def test_deleting_a_collection_leaves_no_row_and_no_index(
    retrieval, caller, door, store, person
):
    await retrieval.index(caller, IndexOrder("docs", [Document("note", "a kestrel")]))
    collection = await door.read(keeping.get, "default", "docs")
    await retrieval.delete("default", "docs", person)
    tables = (CollectionRow, DocumentRow, ChunkRow, EmbeddingRow, GoneRow)
    assert await door.read(lambda: [row.select().count() for row in tables]) == [0] * 5
    from codex32 import CollectionNotFound

    with pytest.raises(CollectionNotFound):
        await store.count(collection.index_name)


async def test_a_collection_that_is_deleted_under_an_indexing_is_named(
    retrieval, caller, docs, gateway, person, door, store
):
    (docs / "guide.md").write_text(GUIDE)
    (docs / "other.md").write_text(GUIDE)
    embed = gateway.embed

    async def and_then_it_goes(*given, **named):
        vectors = await embed(*given, **named)
        await retrieval.delete("default", "docs", person)
        return vectors

    gateway.embed = and_then_it_goes
    with pytest.raises(StepFault, match="'docs' was deleted meanwhile"):
        await retrieval.index(caller, order(docs))
    tables = (CollectionRow, DocumentRow, ChunkRow, EmbeddingRow, GoneRow)
    assert await door.read(lambda: [row.select().count() for row in tables]) == [0] * 5
    assert not store._collections


async def test_an_index_that_goes_with_its_collection_is_not_called_lost(
    retrieval, caller, docs, person, store
):
    (docs / "guide.md").write_text(GUIDE)
    upsert = store.upsert

    async def it_goes_first(name, records):
        await retrieval.delete("default", "docs", person)
        await upsert(name, records)

    store.upsert = it_goes_first
    with pytest.raises(StepFault, match="'docs' was deleted meanwhile"):
        await retrieval.index(caller, order(docs))


async def test_with_a_collection_goes_what_a_move_left_that_was_cut_off(
    retrieval, caller, docs, person, door, store
):
    (docs / "guide.md").write_text(GUIDE)
    await retrieval.index(caller, order(docs))
    collection = await door.read(keeping.get, "default", "docs")
    await store.ensure_collection(next_index(collection.index_name), dimension=64, metric="cosine")
    await retrieval.delete("default", "docs", person)
    assert not store._collections


async def test_a_number_larger_than_any_holds_up_no_document(retrieval, caller):
    large = 10**400
    documents = [
        Document("large", "The heron waits.", metadata={"n": large, "year": 10**30}),
        Document("small", "The heron sleeps.", metadata={"n": 1}),
    ]
    report = await retrieval.index(caller, IndexOrder("docs", documents))
    assert report.failed == ()

    async def sources(where):
        found = await retrieval.search(caller, SearchOrder("docs", "heron", where=where))
        return [each.source for each in found]

    assert await sources({"n": large}) == ["large"]
    assert await sources({"n": {"$gte": 1}}) == ["small"]
    assert await sources({"year": {"$gt": 1e29}}) == ["large"]
    with pytest.raises(FilterInvalid, match="faults"):
        await sources({"n": {"$lt": large}})
