"""Sessions in which bots are built are rows."""

_UP = """
CREATE TABLE build (
    id TEXT NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL,
    owner TEXT NOT NULL,
    parent_id TEXT,
    bot TEXT,
    base_version_id TEXT,
    status TEXT NOT NULL,
    stage TEXT NOT NULL,
    work TEXT NOT NULL,
    version INTEGER NOT NULL,
    budget_nano BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    lease_until BIGINT,
    message TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
)
"""
_INDEXES = (
    "CREATE INDEX build_workspace_id ON build (workspace, id)",
    "CREATE INDEX build_status_lease_until ON build (status, lease_until)",
)


def up(migrator, db):
    db.execute_sql(_UP)
    for index in _INDEXES:
        db.execute_sql(index)


def down(migrator, db):
    db.execute_sql("DROP TABLE build")
