"""Collections: documents, chunks with a keyword index, and vectors.

The keyword index is the database's own. On SQLite it is a table of FTS5 beside the chunks, which
triggers keep; on PostgreSQL an index of the same words. The words are made by the house, so both
find the same.
"""

import peewee as pw

UP = """
CREATE TABLE collection (
    id TEXT NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    embedder TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    store TEXT NOT NULL,
    index_name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    former TEXT,
    holder TEXT,
    held_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX collection_workspace_name ON collection (workspace, name);
CREATE TABLE document (
    id TEXT NOT NULL PRIMARY KEY,
    collection_id TEXT NOT NULL,
    source TEXT NOT NULL,
    scope TEXT NOT NULL,
    digest TEXT NOT NULL,
    metadata TEXT NOT NULL,
    characters INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    indexed_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX document_collection_id_source ON document (collection_id, source);
CREATE INDEX document_collection_id_scope ON document (collection_id, scope);
CREATE TABLE chunk (
    number {serial},
    id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    terms TEXT NOT NULL,
    stored_in TEXT NOT NULL
);
CREATE UNIQUE INDEX chunk_id ON chunk (id);
CREATE UNIQUE INDEX chunk_document_id_ordinal ON chunk (document_id, ordinal);
CREATE INDEX chunk_collection_id_stored_in ON chunk (collection_id, stored_in);
CREATE INDEX chunk_collection_id_sha256 ON chunk (collection_id, sha256);
CREATE TABLE embedding (
    collection_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    vector {bytes} NOT NULL,
    PRIMARY KEY (collection_id, fingerprint, sha256)
);
CREATE TABLE gone_record (
    store TEXT NOT NULL,
    index_name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (store, index_name, record)
)
"""
SQLITE = """
CREATE VIRTUAL TABLE chunk_words USING fts5 (
    collection_id, terms, content='chunk', content_rowid='number',
    tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE TRIGGER chunk_written AFTER INSERT ON chunk BEGIN
    INSERT INTO chunk_words (rowid, collection_id, terms)
    VALUES (new.number, new.collection_id, new.terms);
END;
CREATE TRIGGER chunk_deleted AFTER DELETE ON chunk BEGIN
    INSERT INTO chunk_words (chunk_words, rowid, collection_id, terms)
    VALUES ('delete', old.number, old.collection_id, old.terms);
END
"""
POSTGRESQL = "CREATE INDEX chunk_words ON chunk USING gin (to_tsvector('simple', terms))"


def _run(db, statements):
    # Triggers hold semicolons of their own, at the ends of indented lines.
    for statement in statements.strip().replace(";\nCREATE", "\0CREATE").split("\0"):
        db.execute_sql(statement)


def up(migrator, db):
    if isinstance(db, pw.SqliteDatabase):
        _run(db, UP.format(serial="INTEGER NOT NULL PRIMARY KEY", bytes="BLOB"))
        _run(db, SQLITE)
    else:
        _run(db, UP.format(serial="BIGSERIAL NOT NULL PRIMARY KEY", bytes="BYTEA"))
        _run(db, POSTGRESQL)


def down(migrator, db):
    if isinstance(db, pw.SqliteDatabase):
        db.execute_sql("DROP TRIGGER chunk_written")
        db.execute_sql("DROP TRIGGER chunk_deleted")
        db.execute_sql("DROP TABLE chunk_words")
    for table in ("gone_record", "embedding", "chunk", "document", "collection"):
        db.execute_sql(f"DROP TABLE {table}")
