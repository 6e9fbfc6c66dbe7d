"""What processes count is added up in rows."""

_UP = """
CREATE TABLE metric (
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    part TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (name, labels, part)
)
"""


def up(migrator, db):
    db.execute_sql(_UP)


def down(migrator, db):
    db.execute_sql("DROP TABLE metric")
