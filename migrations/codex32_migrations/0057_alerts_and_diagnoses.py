"""Alerts about other bots, files that hold nothing else, and what failures suffered from."""

UP = """
ALTER TABLE bot ADD COLUMN alerts_only {boolean};
ALTER TABLE alert ADD COLUMN owner_id TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN owner_name TEXT NOT NULL DEFAULT '';
UPDATE alert SET owner_id = bot_id, owner_name = bot_name;
DROP INDEX alert_bot_name;
CREATE UNIQUE INDEX alert_owner ON alert (owner_id, name, bot_name);
CREATE INDEX alert_bot ON alert (bot_id);
CREATE TABLE alert_rule (
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    workspace TEXT NOT NULL,
    definition TEXT NOT NULL,
    bots TEXT NOT NULL,
    PRIMARY KEY (owner_id, name)
);
ALTER TABLE execution ADD COLUMN diagnosis TEXT;
CREATE INDEX execution_undiagnosed ON execution (id) WHERE status = 'failed' AND diagnosis IS NULL
"""
DOWN = """
DROP INDEX execution_undiagnosed;
ALTER TABLE execution DROP COLUMN diagnosis;
DROP TABLE alert_rule;
DROP INDEX alert_bot;
DROP INDEX alert_owner;
DELETE FROM alert WHERE owner_id <> bot_id;
CREATE UNIQUE INDEX alert_bot_name ON alert (bot_id, name);
ALTER TABLE alert DROP COLUMN owner_name;
ALTER TABLE alert DROP COLUMN owner_id;
ALTER TABLE bot DROP COLUMN alerts_only
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    boolean = "INTEGER NOT NULL DEFAULT 0" if sqlite else "BOOLEAN NOT NULL DEFAULT FALSE"
    for statement in UP.replace("{boolean}", boolean).split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for statement in DOWN.split(";\n"):
        db.execute_sql(statement)
