"""Processes tell how busy their pools are, and it stands in rows which models are left alone."""

_UP = """
CREATE TABLE breaker (
    name TEXT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    open_until BIGINT NOT NULL,
    forgotten_at BIGINT NOT NULL
)
"""


def up(migrator, db):
    db.execute_sql("ALTER TABLE process ADD COLUMN pools TEXT")
    db.execute_sql(_UP)


def down(migrator, db):
    db.execute_sql("DROP TABLE breaker")
    db.execute_sql("ALTER TABLE process DROP COLUMN pools")
