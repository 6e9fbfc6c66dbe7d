"""Rate limits, and when an execution's bot lets it start."""


def up(migrator, db):
    rowid = " WITHOUT ROWID" if type(db).__name__.startswith("Sqlite") else ""
    db.execute_sql(
        "CREATE TABLE rate_limit ("
        "key TEXT NOT NULL PRIMARY KEY, "
        "rule_limit INTEGER NOT NULL, "
        "rule_micros BIGINT NOT NULL, "
        "slots TEXT NOT NULL, "
        "asked_at BIGINT NOT NULL, "
        "free_at BIGINT NOT NULL"
        f"){rowid}"
    )
    db.execute_sql("ALTER TABLE execution ADD COLUMN rate_at BIGINT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE execution DROP COLUMN rate_at")
    db.execute_sql("DROP TABLE rate_limit")
