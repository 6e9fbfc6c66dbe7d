"""The rows of collections. Functions here are called through ``Door.read`` and ``Door.write``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import peewee as pw

from codex32.kernel.batches import Insert, one_of
from codex32.kernel.caller import Caller
from codex32.kernel.database import fetch, is_sqlite
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.models import database_proxy
from codex32.kernel.retrieval_rows import (
    ChunkRow,
    CollectionRow,
    DocumentRow,
    EmbeddingRow,
    GoneRow,
)
from codex32.kernel.vector_errors import CollectionNotFound
from codex32.services.presentation import iso
from codex32.services.retrieval.chunking import Chunk, embedded_text
from codex32.services.retrieval.names import next_index
from codex32.services.retrieval.progress import changing
from codex32.services.retrieval.terms import terms
from codex32.services.safe import audit

_CHUNK = Insert(
    ChunkRow,
    ("id", "collection_id", "document_id", "ordinal", "heading", "text", "sha256", "terms",
     "stored_in"),
)  # fmt: skip
_DOCUMENT = Insert(
    DocumentRow,
    ("id", "collection_id", "source",
     "scope", "digest", "metadata", "characters", "chunks", "indexed_at"),
)  # fmt: skip
_FIND = """
SELECT id, workspace, name, embedder, dimension, store, index_name, fingerprint, former, updated_at
FROM collection WHERE workspace = {mark} AND name = {mark}
"""
#: Documents that one write of a deletion removes, and the root of how many vectors.
_PART = 20
_GONE = Insert(GoneRow, ("store", "index_name", "record"))


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as it stands; see ``CollectionRow``."""

    id: str
    workspace: str
    name: str
    embedder: str
    dimension: int
    store: str
    index_name: str
    fingerprint: str
    former: str | None = None
    #: When its documents changed last, in microseconds.
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """A document as it was read last."""

    id: str
    scope: str
    digest: str


@dataclass(frozen=True, slots=True)
class Read:
    """A document that was read anew, and its chunks."""

    source: str
    scope: str
    digest: str
    metadata: Mapping[str, JSON]
    chunks: Sequence[Chunk]


def find(workspace: str, name: str) -> Collection | None:
    """A collection, or None."""
    # Asked by each query, and as text in a fraction of the time.
    mark = "?" if is_sqlite() else "%s"
    rows = database_proxy.execute_sql(_FIND.format(mark=mark), (workspace, name)).fetchall()
    return Collection(*rows[0]) if rows else None


def get(workspace: str, name: str) -> Collection:
    """A collection.

    Raises:
      CollectionNotFound: The workspace has none of this name.
    """
    found = find(workspace, name)
    if found is None:
        row = CollectionRow
        there = row.select(row.name).where(row.workspace == workspace).limit(500)
        raise CollectionNotFound(name, [known for (known,) in fetch(there.tuples())])
    return found


def create(wish: Collection, now: int) -> Collection:
    """Make a collection, unless it is there; as it then stands."""
    CollectionRow.insert(
        id=wish.id,
        workspace=wish.workspace,
        name=wish.name,
        embedder=wish.embedder,
        dimension=wish.dimension,
        store=wish.store,
        index_name=wish.index_name,
        fingerprint=wish.fingerprint,
        created_at=now,
        updated_at=now,
    ).on_conflict_ignore().execute()
    return get(wish.workspace, wish.name)


def shrink(workspace: str, name: str, now: int) -> bool:
    """Remove a part of a collection that is to be deleted; whether there was one.

    Its largest write is that of some documents, and whatever is left of it is sound.

    Raises:
      CollectionNotFound: The workspace has none of this name.
    """
    found = get(workspace, name)
    mine = DocumentRow.collection_id == found.id
    ids = [each for (each,) in fetch(DocumentRow.select(DocumentRow.id).where(mine).limit(_PART))]
    if ids:
        remove_documents(found, ids, now)
        return True
    row = EmbeddingRow
    here = row.collection_id == found.id
    some = row.select(row.sha256).where(here).distinct().limit(_PART * _PART).tuples()
    digests = [each for (each,) in fetch(some)]
    row.delete().where(here & one_of(row.sha256, digests)).execute()
    return bool(digests)


def delete(workspace: str, name: str, caller: Caller, now: int) -> Collection:
    """Remove a collection and all that is left in it; what its store holds is noted as gone.

    A large one is shrunk first.

    Raises:
      CollectionNotFound: The workspace has none of this name.
    """
    found = get(workspace, name)
    for row in (ChunkRow, DocumentRow, EmbeddingRow):
        row.delete().where(row.collection_id == found.id).execute()
    CollectionRow.delete().where(CollectionRow.id == found.id).execute()
    # Beside it there may be what a rebuild or a move left that was cut off.
    indexes = (found.index_name, next_index(found.index_name))
    _GONE.write([(found.store, each, "") for each in indexes])
    audit.record(caller, "collection.deleted", name, now, workspace=workspace)
    return found


def known(collection_id: str) -> dict[str, Known]:
    """The documents of a collection, by source."""
    row = DocumentRow
    query = row.select(row.source, row.id, row.scope, row.digest)
    found = fetch(query.where(row.collection_id == collection_id).tuples())
    return {source: Known(*rest) for source, *rest in found}


def embedded(collection_id: str, fingerprint: str, digests: Sequence[str]) -> set[str]:
    """Those of the digests whose vectors are there."""
    row = EmbeddingRow
    query = row.select(row.sha256).where(
        (row.collection_id == collection_id)
        & (row.fingerprint == fingerprint)
        & one_of(row.sha256, digests)
    )
    return {digest for (digest,) in fetch(query.tuples())}


def keep_vectors(
    collection_id: str, fingerprint: str, vectors: Iterable[tuple[str, bytes]]
) -> None:
    """Write vectors down, each under the digest of what was embedded."""
    rows = [
        {
            "collection_id": collection_id,
            "fingerprint": fingerprint,
            "sha256": digest,
            "vector": vector,
        }
        for digest, vector in vectors
    ]
    if rows:
        EmbeddingRow.insert_many(rows).on_conflict_ignore().execute()


def forget_vectors(collection_id: str, fingerprint: str, digests: Sequence[str]) -> None:
    """Forget vectors that are none."""
    row = EmbeddingRow
    here = (row.collection_id == collection_id) & (row.fingerprint == fingerprint)
    row.delete().where(here & one_of(row.sha256, digests)).execute()


def write_documents(collection: Collection, documents: Sequence[Read], now: int) -> None:
    """Put documents in place, with their chunks; what is no longer theirs goes."""
    row = DocumentRow
    query = row.select(row.source, row.id, row.metadata).where(
        (row.collection_id == collection.id) & one_of(row.source, [d.source for d in documents])
    )
    there = {source: (known_id, metadata) for source, known_id, metadata in fetch(query.tuples())}
    new = [(new_id("doc"), each) for each in documents if each.source not in there]
    _DOCUMENT.write(
        [
            (document_id, collection.id, each.source, *_told(each, now).values())
            for document_id, each in new
        ]
    )
    _add(collection, [chunk for document_id, each in new for chunk in _chunks(document_id, each)])
    for each in documents:
        if each.source in there:
            _rewrite(collection, each, *there[each.source], now)
    CollectionRow.update(updated_at=now).where(CollectionRow.id == collection.id).execute()


def _rewrite(
    collection: Collection, read: Read, document_id: str, metadata: str, now: int
) -> None:
    told = _told(read, now)
    DocumentRow.update(**told).where(DocumentRow.id == document_id).execute()
    mine = ChunkRow.document_id == document_id
    there = {found for (found,) in fetch(ChunkRow.select(ChunkRow.id).where(mine).tuples())}
    wanted = {chunk[0]: chunk for chunk in _chunks(document_id, read)}
    _drop_chunks(collection, there - wanted.keys())
    fresh = [chunk for chunk_id, chunk in wanted.items() if chunk_id not in there]
    _add(collection, fresh)
    returning = one_of(GoneRow.record, [chunk[0] for chunk in fresh])
    GoneRow.delete().where(returning & (GoneRow.index_name == collection.index_name)).execute()
    if told["metadata"] != metadata:
        ChunkRow.update(stored_in="").where(mine).execute()


def _told(read: Read, now: int) -> dict[str, JSON]:
    """What a row says of a document, in the order of ``_DOCUMENT``."""
    return {
        "scope": read.scope,
        "digest": read.digest,
        "metadata": dumps(dict(read.metadata)),
        "characters": sum(len(each.text) for each in read.chunks),
        "chunks": len(read.chunks),
        "indexed_at": now,
    }


#: A chunk as it is written: its id, its document, its place in that, and itself.
_Placed: TypeAlias = tuple[str, str, int, Chunk]


def _chunks(document_id: str, read: Read) -> list[_Placed]:
    return [
        (_chunk_id(document_id, at, each), document_id, at, each)
        for at, each in enumerate(read.chunks)
    ]


def _add(collection: Collection, chunks: Sequence[_Placed]) -> None:
    _CHUNK.write(
        [
            (chunk_id, collection.id, document_id, at, chunk.heading, chunk.text, chunk.sha256,
             " ".join(terms(chunk.embedded)), "")
            for chunk_id, document_id, at, chunk in chunks
        ]
    )  # fmt: skip


def _chunk_id(document_id: str, ordinal: int, chunk: Chunk) -> str:
    digest = hashlib.sha256(f"{document_id} {ordinal} {chunk.sha256}".encode())
    return f"chk_{digest.hexdigest()[:32]}"


def _drop_chunks(collection: Collection, ids: Iterable[str]) -> None:
    ids = list(ids)
    if ids:
        ChunkRow.delete().where(one_of(ChunkRow.id, ids)).execute()
        _GONE.write([(collection.store, collection.index_name, each) for each in ids])


def remove_documents(collection: Collection, ids: Sequence[str], now: int) -> None:
    """Remove documents with their chunks."""
    row = ChunkRow
    query = row.select(row.id).where(one_of(row.document_id, ids)).tuples()
    _drop_chunks(collection, [found for (found,) in fetch(query)])
    DocumentRow.delete().where(one_of(DocumentRow.id, ids)).execute()
    CollectionRow.update(updated_at=now).where(CollectionRow.id == collection.id).execute()


def note(
    collection: Collection, action: str, sources: Sequence[str], by: Caller, now: int
) -> None:
    """Put down what somebody did to documents."""
    change = {"sources": list(sources)}
    audit.record(by, action, collection.name, now, change=change, workspace=collection.workspace)


def sweep(collection: Collection) -> None:
    """Forget vectors that no chunk has any more."""
    row = EmbeddingRow
    used = ChunkRow.select(pw.SQL("1")).where(
        (ChunkRow.collection_id == row.collection_id) & (ChunkRow.sha256 == row.sha256)
    )
    row.delete().where((row.collection_id == collection.id) & ~pw.fn.EXISTS(used)).execute()


def sort_words() -> None:
    """Have PostgreSQL sort in what its keyword index put aside: queries read all of that."""
    if not is_sqlite():
        database_proxy.execute_sql(
            "SELECT gin_clean_pending_list(oid) FROM pg_class "
            "WHERE oid = 'chunk_words'::regclass AND pg_has_role(relowner, 'USAGE')"
        )


def move(old: Collection, new: Collection, guard: Callable[[], None]) -> None:
    """Have queries ask another index from now on; all chunks are in it. The old one goes.

    Vectors are kept of the present embedder and of the one before it.
    """
    guard()
    CollectionRow.update(
        embedder=new.embedder,
        dimension=new.dimension,
        store=new.store,
        index_name=new.index_name,
        fingerprint=new.fingerprint,
        former=new.former,
    ).where(CollectionRow.id == old.id).execute()
    ChunkRow.update(stored_in=new.index_name).where(ChunkRow.collection_id == old.id).execute()
    if new.fingerprint != old.fingerprint:
        row = EmbeddingRow
        kept = row.fingerprint.in_([old.fingerprint, new.fingerprint])
        row.delete().where((row.collection_id == old.id) & ~kept).execute()
    here = (GoneRow.store == old.store) & (GoneRow.index_name == old.index_name)
    GoneRow.delete().where(here).execute()
    _GONE.write([(old.store, old.index_name, "")])


@dataclass(frozen=True, slots=True)
class Texts:
    """A chunk that lacks a vector of some fingerprint."""

    sha256: str
    embedded: str


def lacking(collection: Collection, fingerprint: str, limit: int) -> list[Texts]:
    """Chunks without a vector of this fingerprint."""
    row = EmbeddingRow
    there = row.select(pw.SQL("1")).where(
        (row.collection_id == ChunkRow.collection_id)
        & (row.fingerprint == fingerprint)
        & (row.sha256 == ChunkRow.sha256)
    )
    query = (
        ChunkRow.select(ChunkRow.sha256, DocumentRow.source, ChunkRow.heading, ChunkRow.text)
        .join(DocumentRow, on=DocumentRow.id == ChunkRow.document_id)
        .where((ChunkRow.collection_id == collection.id) & ~pw.fn.EXISTS(there))
        .order_by(ChunkRow.number)
        .limit(limit)
        .tuples()
    )
    found = {sha: embedded_text(*rest) for sha, *rest in fetch(query)}
    return [Texts(sha, text) for sha, text in found.items()]


def listing(workspace: str, now: int, after: str = "", limit: int = 100) -> list[dict[str, JSON]]:
    """Collections of a workspace by name, those behind ``after``, as they stand ``now``."""
    rows = (
        CollectionRow.select()
        .where((CollectionRow.workspace == workspace) & (CollectionRow.name > after))
        .order_by(CollectionRow.name)
        .limit(limit)
    )
    return [_shown(row, now) for row in rows]


def show(workspace: str, name: str, now: int) -> dict[str, JSON]:
    """One collection, as it stands ``now``.

    Raises:
      CollectionNotFound: The workspace has none of this name.
    """
    get(workspace, name)
    here = (CollectionRow.workspace == workspace) & (CollectionRow.name == name)
    return _shown(CollectionRow.get(here), now)


def _shown(row: CollectionRow, now: int) -> dict[str, JSON]:
    mine = ChunkRow.collection_id == row.id
    return {
        "name": row.name,
        "embedder": row.embedder,
        "dimension": row.dimension,
        "store": row.store,
        "documents": DocumentRow.select().where(DocumentRow.collection_id == row.id).count(),
        "chunks": ChunkRow.select().where(mine).count(),
        "pending": ChunkRow.select().where(mine & (ChunkRow.stored_in != row.index_name)).count(),
        "former_embedder": row.former,
        "changing": changing(row, now),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def documents(
    workspace: str, name: str, after: str = "", limit: int = 100
) -> list[dict[str, JSON]]:
    """Documents of a collection by source, those behind ``after``.

    Raises:
      CollectionNotFound: The workspace has none of this name.
    """
    found = get(workspace, name)
    rows = (
        DocumentRow.select()
        .where((DocumentRow.collection_id == found.id) & (DocumentRow.source > after))
        .order_by(DocumentRow.source)
        .limit(limit)
    )
    return [
        {
            "source": row.source,
            "chunks": row.chunks,
            "characters": row.characters,
            "metadata": loads(row.metadata),
            "indexed_at": iso(row.indexed_at),
        }
        for row in rows
    ]


def count_chunks(collection_id: str) -> int:
    """How many chunks a collection holds."""
    return int(ChunkRow.select().where(ChunkRow.collection_id == collection_id).count())
