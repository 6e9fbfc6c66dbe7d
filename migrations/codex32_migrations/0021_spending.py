"""What models cost: attempts, budgets, and answers that were bought."""

TABLES = """
CREATE TABLE model_attempt (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    bot TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    model TEXT NOT NULL,
    answered_by TEXT NOT NULL,
    state TEXT NOT NULL,
    budgets TEXT NOT NULL,
    reserved_nano BIGINT NOT NULL,
    cost_nano BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    fault TEXT,
    request_id TEXT NOT NULL,
    day TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    lease_until BIGINT
){rowid};
CREATE INDEX model_attempt_workspace_day ON model_attempt (workspace, day);
CREATE INDEX model_attempt_day ON model_attempt (day);
CREATE INDEX model_attempt_execution_id ON model_attempt (execution_id);
CREATE INDEX model_attempt_lease ON model_attempt (lease_until) WHERE state = 'reserved';

CREATE TABLE budget (
    key TEXT PRIMARY KEY,
    limit_nano BIGINT NOT NULL,
    spent_nano BIGINT NOT NULL,
    reserved_nano BIGINT NOT NULL,
    warned INTEGER NOT NULL,
    updated_at BIGINT NOT NULL
){rowid};
CREATE INDEX budget_updated_at ON budget (updated_at);

CREATE TABLE model_answer (
    key TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL
){rowid};
CREATE INDEX model_answer_execution_id ON model_answer (execution_id);
"""


def up(migrator, db):
    rowid = " WITHOUT ROWID" if type(db).__name__.startswith("Sqlite") else ""
    for statement in TABLES.replace("{rowid}", rowid).split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def down(migrator, db):
    for table in ("model_answer", "budget", "model_attempt"):
        db.execute_sql(f"DROP TABLE {table}")
