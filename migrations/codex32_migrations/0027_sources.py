"""Triggers remember how far they have read what they watch."""

UP = """
CREATE TABLE source (
    trigger_id TEXT NOT NULL PRIMARY KEY,
    cursor TEXT NOT NULL,
    moved_at BIGINT NOT NULL
)
"""
DOWN = "DROP TABLE source"


def up(migrator, db):
    db.execute_sql(UP)


def down(migrator, db):
    db.execute_sql(DOWN)
