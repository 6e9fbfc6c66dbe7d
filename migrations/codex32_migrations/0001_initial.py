"""The first tables."""

TABLES = """
CREATE TABLE bot (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    origin TEXT NOT NULL,
    source TEXT,
    enabled {boolean} NOT NULL,
    paused {boolean} NOT NULL,
    active_version_id TEXT,
    pinned_digest TEXT,
    problems TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE UNIQUE INDEX bot_workspace_name ON bot (workspace, name);

CREATE TABLE bot_version (
    id TEXT PRIMARY KEY,
    bot_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    document TEXT NOT NULL,
    text TEXT NOT NULL,
    origin TEXT NOT NULL,
    source TEXT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX bot_version_bot_id_number ON bot_version (bot_id, number);

CREATE TABLE trigger (
    id TEXT PRIMARY KEY,
    bot_id TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    definition TEXT NOT NULL,
    enabled {boolean} NOT NULL,
    next_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX trigger_bot_id_key ON trigger (bot_id, key);
CREATE INDEX trigger_due ON trigger (next_at) WHERE enabled AND next_at IS NOT NULL;

CREATE TABLE occurrence (
    id TEXT PRIMARY KEY,
    trigger_id TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    key TEXT NOT NULL,
    scheduled_at BIGINT NOT NULL,
    evaluated_at BIGINT NOT NULL,
    decision TEXT NOT NULL,
    detail TEXT NOT NULL,
    execution_id TEXT
);
CREATE UNIQUE INDEX occurrence_trigger_id_key ON occurrence (trigger_id, key);
CREATE INDEX occurrence_bot_id_evaluated_at ON occurrence (bot_id, evaluated_at);

CREATE TABLE execution (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    bot_name TEXT NOT NULL,
    version_id TEXT NOT NULL,
    version_number INTEGER NOT NULL,
    status TEXT NOT NULL,
    cause TEXT,
    message TEXT NOT NULL DEFAULT '',
    inputs TEXT NOT NULL,
    trigger TEXT NOT NULL,
    trigger_kind TEXT NOT NULL,
    trigger_id TEXT,
    parent_id TEXT,
    depth INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT,
    priority INTEGER NOT NULL DEFAULT 0,
    ready_at BIGINT,
    gate TEXT,
    gate_limit INTEGER,
    admitted {boolean} NOT NULL DEFAULT {true},
    attempt INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    lease_at BIGINT,
    cancel_at BIGINT,
    active_micros BIGINT NOT NULL DEFAULT 0,
    closing TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    attempt_at BIGINT,
    finished_at BIGINT,
    output TEXT
){fill};
-- Partial indexes hold live executions alone, so that history costs the engine nothing.
CREATE INDEX execution_ready ON execution (priority DESC, ready_at)
    WHERE status = 'queued' AND ready_at IS NOT NULL;
CREATE INDEX execution_waking ON execution (ready_at)
    WHERE status = 'waiting' AND ready_at IS NOT NULL;
CREATE INDEX execution_leased ON execution (worker, lease_at) WHERE status = 'running';
CREATE INDEX execution_gate ON execution (gate, id)
    WHERE gate IS NOT NULL AND finished_at IS NULL;
CREATE UNIQUE INDEX execution_idempotency_key ON execution (idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX execution_live_trigger ON execution (trigger_id)
    WHERE trigger_id IS NOT NULL AND finished_at IS NULL;
CREATE INDEX execution_bot ON execution (bot_id, id);
CREATE INDEX execution_status ON execution (status, id);
CREATE INDEX execution_parent ON execution (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX execution_finished ON execution (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE attempt (
    execution_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    worker TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (execution_id, number)
){rowid};

CREATE TABLE step (
    execution_id TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL,
    input TEXT,
    output TEXT,
    error TEXT,
    effect TEXT NOT NULL,
    note TEXT,
    started_at BIGINT,
    finished_at BIGINT,
    PRIMARY KEY (execution_id, step, item)
){rowid};

CREATE TABLE log_line (
    id {serial},
    execution_id TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    at BIGINT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    fields TEXT
);
CREATE INDEX log_line_execution_id_id ON log_line (execution_id, id);

CREATE TABLE state (
    bot_id TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (bot_id, key)
){rowid};

CREATE TABLE seen (
    bot_id TEXT NOT NULL,
    step TEXT NOT NULL,
    digest TEXT NOT NULL,
    owner TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (bot_id, step, digest)
){rowid};
CREATE INDEX seen_expires_at ON seen (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE process (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
"""

DIALECTS = {
    "sqlite": {
        "boolean": "SMALLINT",
        "true": "1",
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "rowid": " WITHOUT ROWID",
        "fill": "",
    },
    "postgresql": {
        "boolean": "BOOLEAN",
        "true": "true",
        "serial": "BIGSERIAL PRIMARY KEY",
        "rowid": "",
        # Claims and finishes update rows in place while a page has room for the new copy.
        "fill": " WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)",
    },
}


def up(migrator, db):
    dialect = "sqlite" if type(db).__name__.startswith("Sqlite") else "postgresql"
    text = TABLES
    for name, words in DIALECTS[dialect].items():
        text = text.replace("{" + name + "}", words)
    for statement in text.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def down(migrator, db):
    for statement in reversed(TABLES.split(";\n")):
        if statement.strip().startswith("CREATE TABLE"):
            db.execute_sql(f"DROP TABLE {statement.split()[2]}")
