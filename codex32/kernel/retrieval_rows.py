"""The rows of collections: documents, their chunks, and the vectors of these.

SQL keeps the truth. What a vector store holds is made from these rows and can be made again.
"""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class CollectionRow(Row):
    """Documents that are searched together, by one embedder."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    name = pw.TextField()
    embedder = pw.TextField()
    dimension = pw.IntegerField()
    #: The vector store, and what the collection is called there.
    store = pw.TextField()
    index_name = pw.TextField()
    #: Digest of all that decides what a vector means; vectors of another one are never compared.
    fingerprint = pw.TextField()
    #: The embedder before the last change: its vectors are kept, so that one can go back.
    former = pw.TextField(null=True)
    #: Who changes it just now, and until when unless they say that they still do.
    holder = pw.TextField(null=True)
    held_until = pw.BigIntegerField(null=True)
    #: How far the holder has come, as JSON, where it told.
    progress = pw.TextField(null=True)
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "collection"
        indexes = ((("workspace", "name"), True),)


class DocumentRow(Row):
    """A document as it was read last."""

    id = pw.TextField(primary_key=True)
    collection_id = pw.TextField()
    #: A path below the indexed folder, a URL, or a name.
    source = pw.TextField()
    #: Which indexing it belongs to: what that no longer finds, it removes.
    scope = pw.TextField()
    #: SHA-256 of the content and of all that decides how it is cut up.
    digest = pw.TextField()
    #: What queries may filter by, as JSON.
    metadata = pw.TextField()
    characters = pw.IntegerField()
    chunks = pw.IntegerField()
    indexed_at = pw.BigIntegerField()

    class Meta:
        table_name = "document"
        indexes = ((("collection_id", "source"), True), (("collection_id", "scope"), False))


class ChunkRow(Row):
    """A part of a document: what is found."""

    number = pw.BigAutoField()
    #: Of the record in the vector store.
    id = pw.TextField(unique=True)
    collection_id = pw.TextField()
    document_id = pw.TextField()
    #: From 0, in its document.
    ordinal = pw.IntegerField()
    #: The headings above it, joined with `` > ``.
    heading = pw.TextField()
    #: As it stands in the document, to the letter.
    text = pw.TextField()
    #: Of what is embedded: where it stands, and the text.
    sha256 = pw.TextField()
    #: Its words as the keyword index has them.
    terms = pw.TextField()
    #: The index that holds its vector; empty while none does.
    stored_in = pw.TextField(default="")

    class Meta:
        table_name = "chunk"
        indexes = (
            (("document_id", "ordinal"), True),
            (("collection_id", "stored_in"), False),
            (("collection_id", "sha256"), False),
        )


class EmbeddingRow(Row):
    """A vector that was paid for: 32-bit floats, little-endian."""

    collection_id = pw.TextField()
    fingerprint = pw.TextField()
    sha256 = pw.TextField()
    vector = pw.BlobField()

    class Meta:
        table_name = "embedding"
        primary_key = pw.CompositeKey("collection_id", "fingerprint", "sha256")


class GoneRow(Row):
    """A record that must still be deleted from an index, or an index that must be dropped."""

    store = pw.TextField()
    index_name = pw.TextField()
    #: Of the chunk; empty for the whole index.
    record = pw.TextField()

    class Meta:
        table_name = "gone_record"
        primary_key = pw.CompositeKey("store", "index_name", "record")


RETRIEVAL_ROWS: tuple[type[Row], ...] = (
    CollectionRow,
    DocumentRow,
    ChunkRow,
    EmbeddingRow,
    GoneRow,
)
