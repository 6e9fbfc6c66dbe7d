"""PostgreSQL ranks by what its keyword index alone tells.

A word that a chunk has often is there under a name for that as well, so that no chunk is taken
apart for a query. Nothing is put aside to be sorted in later: a query would read all of that.
"""

import peewee as pw

FUNCTION = """
CREATE FUNCTION chunk_lexemes(collection_id TEXT, terms TEXT) RETURNS tsvector
LANGUAGE sql IMMUTABLE COST 1000 AS $$
    SELECT array_to_tsvector(array_agg(lexeme)) FROM (
        SELECT word || suffix AS lexeme
        FROM (
            SELECT word, count(*) AS times
            FROM unnest(string_to_array(btrim($2), ' ')) AS word GROUP BY word
        ) AS counted
        JOIN (VALUES (1, ''), (2, '_2'), (3, '_3'), (5, '_5')) AS grade (least, suffix)
          ON times >= least
        UNION ALL SELECT $1
    ) AS lexemes
$$
"""
INDEX = """
CREATE INDEX chunk_words ON chunk USING gin (chunk_lexemes(collection_id, terms))
WITH (gin_pending_list_limit = 256)
"""
BEFORE = """
CREATE INDEX chunk_words ON chunk USING gin (
    array_to_tsvector(string_to_array(btrim(collection_id || ' ' || terms), ' '))
)
"""


def up(migrator, db):
    if not isinstance(db, pw.SqliteDatabase):
        db.execute_sql("DROP INDEX chunk_words")
        db.execute_sql(FUNCTION)
        db.execute_sql(INDEX)


def down(migrator, db):
    if not isinstance(db, pw.SqliteDatabase):
        db.execute_sql("DROP INDEX chunk_words")
        db.execute_sql("DROP FUNCTION chunk_lexemes")
        db.execute_sql(BEFORE)
