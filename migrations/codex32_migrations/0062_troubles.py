"""The few executions of a bot that went wrong are found as quickly beside a million others."""

UP = """
CREATE INDEX execution_trouble ON execution (bot_id, status, id)
    WHERE status IN ('failed', 'cancelled', 'skipped')
"""


def up(migrator, db):
    db.execute_sql(UP)


def down(migrator, db):
    db.execute_sql("DROP INDEX execution_trouble")
