"""Events, the steps that wait for them, and the files that triggers have seen."""

TABLES = """
CREATE TABLE event (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL,
    chain TEXT NOT NULL,
    key TEXT,
    delivered_at BIGINT
);
-- What the scheduler asks twice a second: nothing but what is left to deliver.
CREATE INDEX event_undelivered ON event (id) WHERE delivered_at IS NULL;
CREATE INDEX event_delivered ON event (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE UNIQUE INDEX event_workspace_key ON event (workspace, key) WHERE key IS NOT NULL;

CREATE TABLE subscription (
    execution_id TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    pattern TEXT NOT NULL,
    condition TEXT,
    given TEXT NOT NULL,
    earlier TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    answer TEXT,
    PRIMARY KEY (execution_id, step, item)
){rowid};
CREATE INDEX subscription_open ON subscription (pattern) WHERE answer IS NULL;

CREATE TABLE file_seen (
    trigger_id TEXT NOT NULL,
    path TEXT NOT NULL,
    size BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    PRIMARY KEY (trigger_id, path)
){rowid};

-- Kinds that answer events and files are few among many schedules.
CREATE INDEX trigger_kind ON trigger (kind);
"""


def up(migrator, db):
    rowid = " WITHOUT ROWID" if type(db).__name__.startswith("Sqlite") else ""
    for statement in TABLES.replace("{rowid}", rowid).split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def down(migrator, db):
    db.execute_sql("DROP INDEX trigger_kind")
    for table in ("file_seen", "subscription", "event"):
        db.execute_sql(f"DROP TABLE {table}")
