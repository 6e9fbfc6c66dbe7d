"""Accounts have a home: the workspace they work in where a request names none.

Who belongs to one workspace alone has worked there without naming it, and goes on to.
"""

UP = """
ALTER TABLE account ADD COLUMN home TEXT;
UPDATE account SET home = (SELECT MIN(workspace) FROM member WHERE account_id = account.id)
    WHERE NOT admin AND (SELECT COUNT(*) FROM member WHERE account_id = account.id) = 1
"""


def up(migrator, db):
    for statement in UP.strip().split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    db.execute_sql("ALTER TABLE account DROP COLUMN home")
