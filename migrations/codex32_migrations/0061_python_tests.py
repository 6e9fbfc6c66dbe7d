"""Versions keep the pytest for their Python, so that whoever changes a bot has it to keep to."""


def up(migrator, db):
    db.execute_sql("ALTER TABLE bot_version ADD COLUMN python_tests TEXT")


def down(migrator, db):
    db.execute_sql("ALTER TABLE bot_version DROP COLUMN python_tests")
