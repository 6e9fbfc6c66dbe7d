"""Where executions stand in the traces of those who asked for them."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE execution ADD COLUMN traceparent TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE execution DROP COLUMN traceparent")
