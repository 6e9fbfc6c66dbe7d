"""Listing by kind of trigger and by cause costs the same however long the history is."""

UP = """
-- Nothing asked for it: retention goes bot by bot.
DROP INDEX execution_finished;
CREATE INDEX execution_trigger_kind ON execution (trigger_kind, id);
CREATE INDEX execution_cause ON execution (cause, id) WHERE cause IS NOT NULL
"""
DOWN = """
DROP INDEX execution_cause;
DROP INDEX execution_trigger_kind;
CREATE INDEX execution_finished ON execution (finished_at) WHERE finished_at IS NOT NULL
"""


def up(migrator, db):
    for statement in UP.split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for statement in DOWN.split(";\n"):
        db.execute_sql(statement)
