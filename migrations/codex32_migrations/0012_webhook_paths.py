"""Which trigger serves which address of a workspace."""

TABLE = """
CREATE TABLE webhook_path (
    trigger_id TEXT PRIMARY KEY,
    bot_id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    path TEXT NOT NULL,
    methods TEXT NOT NULL,
    since BIGINT NOT NULL
){rowid};
-- Each delivery asks this: of those that want an address, who wanted it first.
CREATE INDEX webhook_path_address ON webhook_path (workspace, path, since, trigger_id);
CREATE INDEX webhook_path_bot ON webhook_path (bot_id)
"""


def up(migrator, db):
    rowid = " WITHOUT ROWID" if type(db).__name__.startswith("Sqlite") else ""
    for statement in TABLE.replace("{rowid}", rowid).split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    db.execute_sql("DROP TABLE webhook_path")
