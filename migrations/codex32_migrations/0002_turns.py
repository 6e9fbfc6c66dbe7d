"""Fair turns between bots."""

UP = """
ALTER TABLE execution ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;
DROP INDEX execution_ready;
CREATE INDEX execution_ready ON execution (priority DESC, turn)
    WHERE status = 'queued' AND ready_at IS NOT NULL;
CREATE INDEX execution_turn ON execution (bot_id, turn)
    WHERE status = 'queued' AND ready_at IS NOT NULL
"""
DOWN = """
DROP INDEX execution_turn;
DROP INDEX execution_ready;
CREATE INDEX execution_ready ON execution (priority DESC, ready_at)
    WHERE status = 'queued' AND ready_at IS NOT NULL;
ALTER TABLE execution DROP COLUMN turn
"""


def up(migrator, db):
    for statement in UP.split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for statement in DOWN.split(";\n"):
        db.execute_sql(statement)
