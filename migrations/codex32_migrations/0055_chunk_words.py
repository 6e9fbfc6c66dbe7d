"""PostgreSQL looks for words within one collection, and by nothing but the index.

With the collection beside the words and not among them, a database that had not counted its rows
lately took all the rows of the collection apart again for each word of a query: seconds, for a
thousand.
"""

import peewee as pw

UP = """
CREATE INDEX chunk_words ON chunk USING gin (
    array_to_tsvector(string_to_array(btrim(collection_id || ' ' || terms), ' '))
)
"""
DOWN = "CREATE INDEX chunk_words ON chunk USING gin (to_tsvector('simple', terms))"


def _replace(db, statement):
    if not isinstance(db, pw.SqliteDatabase):
        db.execute_sql("DROP INDEX chunk_words")
        db.execute_sql(statement)


def up(migrator, db):
    _replace(db, UP)


def down(migrator, db):
    _replace(db, DOWN)
