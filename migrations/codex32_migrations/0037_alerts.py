"""Alerts, and counting the events of one name."""

UP = """
CREATE TABLE alert (
    id TEXT NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL,
    bot_id TEXT NOT NULL,
    bot_name TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    event TEXT,
    state TEXT NOT NULL,
    state_since BIGINT NOT NULL,
    turning_since BIGINT,
    told TEXT NOT NULL,
    detail TEXT NOT NULL,
    silenced_until BIGINT,
    silenced_by TEXT,
    acknowledged_by TEXT,
    acknowledged_at BIGINT,
    note TEXT NOT NULL,
    notices TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX alert_bot_name ON alert (bot_id, name);
CREATE INDEX alert_workspace ON alert (workspace, id);
CREATE INDEX event_name ON event (workspace, name, id)
"""
DOWN = """
DROP INDEX event_name;
DROP TABLE alert
"""


def up(migrator, db):
    for statement in UP.split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for statement in DOWN.split(";\n"):
        db.execute_sql(statement)
