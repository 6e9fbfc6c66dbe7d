"""Steps tell in which sandbox their program ran."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE step ADD COLUMN sandbox TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE step DROP COLUMN sandbox")
