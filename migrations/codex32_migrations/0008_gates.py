"""Whom a gate lets in next is found at once, however many it holds back."""

UP = """
DROP INDEX execution_gate;
CREATE INDEX execution_inside ON execution (gate, id)
    WHERE gate IS NOT NULL AND finished_at IS NULL AND admitted;
CREATE INDEX execution_held ON execution (gate, priority DESC, id)
    WHERE gate IS NOT NULL AND finished_at IS NULL AND NOT admitted
"""
DOWN = """
DROP INDEX execution_held;
DROP INDEX execution_inside;
CREATE INDEX execution_gate ON execution (gate, id)
    WHERE gate IS NOT NULL AND finished_at IS NULL
"""


def up(migrator, db):
    for statement in UP.split(";\n"):
        db.execute_sql(statement)


def down(migrator, db):
    for statement in DOWN.split(";\n"):
        db.execute_sql(statement)
