"""What can be wrong with the rows of collections, beside rows that name others not there.

What a vector store holds is held to the rows by ``codex32 collections verify``: only the store
can tell it. Here nobody is asked but the database.
"""

from __future__ import annotations

from typing import Any

import peewee as pw

from codex32.kernel.retrieval_rows import (
    ChunkRow,
    CollectionRow,
    DocumentRow,
    EmbeddingRow,
    GoneRow,
)


def faults() -> list[tuple[pw.ModelSelect[Any], str, str]]:
    """Queries for what should not be, each with its table and what to say of it."""
    return [
        (
            _unembedded(),
            "collection",
            "collections with chunks that have no vector: codex32 collections rebuild NAME",
        ),
        (
            _miscounted(),
            "document",
            "documents that have not as many chunks as they say; index them again",
        ),
        (
            _forgotten(),
            "gone_record",
            "records that are to be deleted from an index which no collection has",
        ),
    ]


def _unembedded() -> pw.ModelSelect[Any]:
    vector = EmbeddingRow.select(pw.SQL("1")).where(
        (EmbeddingRow.collection_id == ChunkRow.collection_id)
        & (EmbeddingRow.fingerprint == CollectionRow.fingerprint)
        & (EmbeddingRow.sha256 == ChunkRow.sha256)
    )
    return (
        ChunkRow.select(CollectionRow.name)
        .join(CollectionRow, on=(CollectionRow.id == ChunkRow.collection_id))
        .where(~pw.fn.EXISTS(vector))
        .distinct()
    )


def _miscounted() -> pw.ModelSelect[Any]:
    mine = ChunkRow.select(pw.fn.COUNT(ChunkRow.number)).where(
        ChunkRow.document_id == DocumentRow.id
    )
    return DocumentRow.select(DocumentRow.id).where(DocumentRow.chunks != mine)


def _forgotten() -> pw.ModelSelect[Any]:
    """Once the record that stands for the whole index is there, all of it will be dropped."""
    whole = GoneRow.alias()
    kept = CollectionRow.select(pw.SQL("1")).where(CollectionRow.index_name == GoneRow.index_name)
    dropped = whole.select(pw.SQL("1")).where(
        (whole.index_name == GoneRow.index_name) & (whole.record == "")
    )
    gone = GoneRow.select(GoneRow.record)
    return gone.where(~pw.fn.EXISTS(kept) & ~pw.fn.EXISTS(dropped))
