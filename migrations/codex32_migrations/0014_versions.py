"""Versions tell who wrote them and wait for approval; lists of bots read no definitions."""

import hashlib
import json

UP = """
ALTER TABLE bot ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE bot ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE bot ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE bot ADD COLUMN pending_version_id TEXT;
CREATE INDEX bot_workspace_updated_at_name ON bot (workspace, updated_at, name);
CREATE INDEX bot_workspace_created_at_name ON bot (workspace, created_at, name);
ALTER TABLE bot_version ADD COLUMN author TEXT NOT NULL DEFAULT '';
ALTER TABLE bot_version ADD COLUMN message TEXT NOT NULL DEFAULT '';
ALTER TABLE bot_version ADD COLUMN widens TEXT;
ALTER TABLE bot_version ADD COLUMN approved_by TEXT;
ALTER TABLE bot_version ADD COLUMN approved_at BIGINT;
CREATE TABLE provenance (
    workspace TEXT NOT NULL,
    digest TEXT NOT NULL,
    origin TEXT NOT NULL,
    source TEXT,
    version_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, digest)
){rowid}
"""
DOWN = """
DROP TABLE provenance;
ALTER TABLE bot_version DROP COLUMN approved_at;
ALTER TABLE bot_version DROP COLUMN approved_by;
ALTER TABLE bot_version DROP COLUMN widens;
ALTER TABLE bot_version DROP COLUMN message;
ALTER TABLE bot_version DROP COLUMN author;
DROP INDEX bot_workspace_created_at_name;
DROP INDEX bot_workspace_updated_at_name;
ALTER TABLE bot DROP COLUMN pending_version_id;
ALTER TABLE bot DROP COLUMN owner;
ALTER TABLE bot DROP COLUMN labels;
ALTER TABLE bot DROP COLUMN description
"""
SECTIONS = ("steps", "on_failure", "finally")


def pieces(document):
    """The texts of code in a definition."""
    steps = [document] + [step for name in SECTIONS for step in document.get(name) or ()]
    for step in steps:
        code = (step.get("with") or {}).get("code")
        if isinstance(code, str):
            yield code


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in UP.split(";\n"):
        db.execute_sql(statement.replace("{rowid}", " WITHOUT ROWID" if sqlite else ""))
    mark = "?" if sqlite else "%s"
    marks = ", ".join([mark] * 6)
    known = f"INSERT INTO provenance VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
    labelled = f"UPDATE bot SET description = {mark}, labels = {mark} WHERE id = {mark}"  # noqa: S608
    versions = db.execute_sql(
        "SELECT v.id, v.digest, v.document, v.origin, v.source, v.created_at, b.id, b.workspace,"
        " b.active_version_id FROM bot_version v JOIN bot b ON b.id = v.bot_id ORDER BY v.id"
    ).fetchall()
    for version, digest, text, origin, source, created_at, bot, workspace, live in versions:
        document = json.loads(text)
        digests = [digest]
        digests += [hashlib.sha256(code.encode()).hexdigest() for code in pieces(document)]
        for each in digests:
            db.execute_sql(known, (workspace, each, origin, source, version, created_at))
        if version == live:
            labels = json.dumps(
                document.get("labels") or {}, sort_keys=True, separators=(",", ":")
            )
            db.execute_sql(labelled, (document.get("description") or "", labels, bot))


def down(migrator, db):
    for statement in DOWN.split(";\n"):
        db.execute_sql(statement)
