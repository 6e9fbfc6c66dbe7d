"""An event keeps who published it, as an execution keeps who started it."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE event ADD COLUMN published_by TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE event DROP COLUMN published_by")
