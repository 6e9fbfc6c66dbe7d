"""The audit log: a chain of entries that the database lets nobody change or take out.

The triggers keep honest programs from it. Against somebody who owns the database stands the chain
itself, whose key is kept elsewhere.
"""

TABLES = """
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    change TEXT,
    key_id TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_workspace ON audit (workspace, seq);
CREATE INDEX audit_subject ON audit (subject, seq);

CREATE TABLE audit_seal (
    last_seq BIGINT PRIMARY KEY,
    first_seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    digest TEXT NOT NULL,
    at BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    mac TEXT NOT NULL
)
"""

# Entries of a sealed part, which was exported and whose digest is kept, may leave.
SQLITE = [
    """
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    WHEN OLD.seq > (SELECT COALESCE(MAX(last_seq), 0) FROM audit_seal)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    # INSERT OR REPLACE would delete without asking the trigger above.
    """
    CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_seal_no_update BEFORE UPDATE ON audit_seal
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_seal_no_delete BEFORE DELETE ON audit_seal
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
]
POSTGRESQL = [
    """
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is append-only';
    END $$
    """,
    """
    CREATE FUNCTION audit_refuse_unsealed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.seq > (SELECT COALESCE(MAX(last_seq), 0) FROM audit_seal) THEN
            RAISE EXCEPTION 'the audit log is append-only';
        END IF;
        RETURN OLD;
    END $$
    """,
    """
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_refuse()
    """,
    """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_unsealed()
    """,
    """
    CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
    """,
    """
    CREATE TRIGGER audit_seal_no_change BEFORE UPDATE OR DELETE ON audit_seal
    FOR EACH ROW EXECUTE FUNCTION audit_refuse()
    """,
    """
    CREATE TRIGGER audit_seal_no_truncate BEFORE TRUNCATE ON audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
    """,
]


def up(migrator, db):
    for statement in TABLES.split(";\n"):
        db.execute_sql(statement)
    for statement in SQLITE if _is_sqlite(db) else POSTGRESQL:
        db.execute_sql(statement)


def down(migrator, db):
    for table in ("audit_seal", "audit"):
        db.execute_sql(f"DROP TABLE {table}")
    if not _is_sqlite(db):
        for function in ("audit_refuse", "audit_refuse_unsealed"):
            db.execute_sql(f"DROP FUNCTION {function}()")


def _is_sqlite(db):
    return type(db).__name__.startswith("Sqlite")
