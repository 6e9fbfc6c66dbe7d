"""Workspaces have their own lists, rate limits and idempotency keys."""

UP = """
ALTER TABLE execution ADD COLUMN request_digest TEXT;
UPDATE rate_limit SET key = 'default:' || key;
DROP INDEX execution_status;
DROP INDEX execution_trigger_kind;
DROP INDEX execution_cause;
DROP INDEX execution_dead_letter;
CREATE INDEX execution_workspace ON execution (workspace, id);
CREATE INDEX execution_status ON execution (workspace, status, id);
CREATE INDEX execution_trigger_kind ON execution (workspace, trigger_kind, id);
CREATE INDEX execution_cause ON execution (workspace, cause, id) WHERE cause IS NOT NULL;
CREATE INDEX execution_dead_letter ON execution (workspace, id)
    WHERE cause IS NOT NULL AND settled IS NULL;
-- Recovery looks for what waits without a time; the rest of what it asks is answered already.
CREATE INDEX execution_paused ON execution (id) WHERE status = 'waiting' AND ready_at IS NULL;
CREATE INDEX approval_workspace ON approval (workspace, id);
CREATE INDEX event_workspace ON event (workspace, id)
"""
DOWN = """
DROP INDEX event_workspace;
DROP INDEX approval_workspace;
DROP INDEX execution_paused;
DROP INDEX execution_dead_letter;
DROP INDEX execution_cause;
DROP INDEX execution_trigger_kind;
DROP INDEX execution_status;
DROP INDEX execution_workspace;
CREATE INDEX execution_status ON execution (status, id);
CREATE INDEX execution_trigger_kind ON execution (trigger_kind, id);
CREATE INDEX execution_cause ON execution (cause, id) WHERE cause IS NOT NULL;
CREATE INDEX execution_dead_letter ON execution (id) WHERE cause IS NOT NULL AND settled IS NULL;
UPDATE rate_limit SET key = substr(key, 9) WHERE substr(key, 1, 8) = 'default:';
ALTER TABLE execution DROP COLUMN request_digest
"""


def up(migrator, db):
    for statement in UP.strip().split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for statement in DOWN.strip().split(";\n"):
        db.execute_sql(statement)
