"""Events are delivered in the order in which they were written, whatever the clocks said."""


def up(migrator, db):
    db.execute_sql("DROP INDEX event_undelivered")
    db.execute_sql("CREATE INDEX event_undelivered ON event (seq) WHERE delivered_at IS NULL")


def down(migrator, db):
    db.execute_sql("DROP INDEX event_undelivered")
    db.execute_sql("CREATE INDEX event_undelivered ON event (id) WHERE delivered_at IS NULL")
