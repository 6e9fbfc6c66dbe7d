"""Retries know what they repeat, and failures that nobody has looked after can be listed."""

STATEMENTS = """
ALTER TABLE execution ADD COLUMN retry_of TEXT;
ALTER TABLE execution ADD COLUMN lineage TEXT;
ALTER TABLE execution ADD COLUMN settled TEXT;
CREATE INDEX execution_retry_of ON execution (retry_of) WHERE retry_of IS NOT NULL;
-- Dead letters alone stand in it (what failed has a cause, and nothing else has): listing them
-- costs the same however long the history is.
CREATE INDEX execution_dead_letter ON execution (id) WHERE cause IS NOT NULL AND settled IS NULL;
"""


def up(migrator, db):
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def down(migrator, db):
    for index in ("execution_dead_letter", "execution_retry_of"):
        db.execute_sql(f"DROP INDEX {index}")
    for column in ("settled", "lineage", "retry_of"):
        db.execute_sql(f"ALTER TABLE execution DROP COLUMN {column}")
