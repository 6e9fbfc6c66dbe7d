"""How far whoever changes a collection has come."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE collection ADD COLUMN progress TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE collection DROP COLUMN progress")
