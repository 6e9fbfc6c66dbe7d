"""Events are counted in the order they were written; who follows them; webhooks that go out."""

EVENT = """
CREATE TABLE event_counted (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL,
    chain TEXT NOT NULL,
    key TEXT,
    delivered_at BIGINT
);
INSERT INTO event_counted (id, workspace, name, at, data, chain, key, delivered_at)
    SELECT id, workspace, name, at, data, chain, key, delivered_at FROM event ORDER BY id;
DROP TABLE event;
ALTER TABLE event_counted RENAME TO event;
CREATE UNIQUE INDEX event_id ON event (id);
"""
EVENT_BACK = """
CREATE TABLE event_uncounted (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL,
    chain TEXT NOT NULL,
    key TEXT,
    delivered_at BIGINT
);
INSERT INTO event_uncounted
    SELECT id, workspace, name, at, data, chain, key, delivered_at FROM event;
DROP TABLE event;
ALTER TABLE event_uncounted RENAME TO event;
"""
# Dropped with the table.
EVENT_INDEXES = """
CREATE INDEX event_undelivered ON event (id) WHERE delivered_at IS NULL;
CREATE INDEX event_delivered ON event (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE UNIQUE INDEX event_workspace_key ON event (workspace, key) WHERE key IS NOT NULL;
"""
EVENT_POSTGRESQL = """
ALTER TABLE event DROP CONSTRAINT event_pkey;
ALTER TABLE event ADD COLUMN seq BIGSERIAL PRIMARY KEY;
CREATE UNIQUE INDEX event_id ON event (id);
"""
EVENT_POSTGRESQL_BACK = """
ALTER TABLE event DROP COLUMN seq;
DROP INDEX event_id;
ALTER TABLE event ADD PRIMARY KEY (id);
"""

TABLES = """
CREATE TABLE feed (
    workspace TEXT NOT NULL,
    pattern TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    kept_until BIGINT NOT NULL,
    whole_from BIGINT,
    PRIMARY KEY (workspace, pattern)
){rowid};

CREATE TABLE endpoint (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    patterns TEXT NOT NULL,
    secrets TEXT NOT NULL,
    enabled {boolean} NOT NULL,
    disabled_because TEXT NOT NULL,
    failing_since BIGINT,
    resume_at BIGINT,
    delivered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX endpoint_workspace_id ON endpoint (workspace, id);

CREATE TABLE delivery (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL,
    round_from INTEGER NOT NULL,
    next_at BIGINT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE UNIQUE INDEX delivery_endpoint_id_event_id ON delivery (endpoint_id, event_id);
CREATE INDEX delivery_endpoint_id_id ON delivery (endpoint_id, id);
CREATE INDEX delivery_endpoint_id_status_id ON delivery (endpoint_id, status, id);
-- What the schedulers ask twice a second: nothing but what is left to send.
CREATE INDEX delivery_due ON delivery (endpoint_id, next_at) WHERE status = 'pending';
CREATE INDEX delivery_finished ON delivery (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE delivery_attempt (
    delivery_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    sender TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    outcome TEXT NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL,
    PRIMARY KEY (delivery_id, number)
){rowid};
"""


def _run(db, text):
    for statement in text.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)


def up(migrator, db):
    if type(db).__name__.startswith("Sqlite"):
        _run(db, EVENT + EVENT_INDEXES)
        words = {"{rowid}": " WITHOUT ROWID", "{boolean}": "SMALLINT"}
    else:
        _run(db, EVENT_POSTGRESQL)
        words = {"{rowid}": "", "{boolean}": "BOOLEAN"}
    tables = TABLES
    for mark, word in words.items():
        tables = tables.replace(mark, word)
    _run(db, tables)


def down(migrator, db):
    for table in ("delivery_attempt", "delivery", "endpoint", "feed"):
        db.execute_sql(f"DROP TABLE {table}")
    if type(db).__name__.startswith("Sqlite"):
        _run(db, EVENT_BACK + EVENT_INDEXES)
    else:
        _run(db, EVENT_POSTGRESQL_BACK)
