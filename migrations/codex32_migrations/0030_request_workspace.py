"""Requests that came with an idempotency key belong to a workspace, and go with it."""

UP = """
ALTER TABLE request_key ADD COLUMN workspace TEXT NOT NULL DEFAULT '';
CREATE INDEX request_key_workspace ON request_key (workspace)
"""
DOWN = """
DROP INDEX request_key_workspace;
ALTER TABLE request_key DROP COLUMN workspace
"""


def up(migrator, db):
    for statement in UP.strip().split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for statement in DOWN.strip().split(";\n"):
        db.execute_sql(statement)
