"""What was there before 0014 has its description, labels and origins afterwards."""

import hashlib
import importlib
import json

import pytest

from codex32.kernel.database import connect
from codex32.kernel.models import database_proxy

script = importlib.import_module("codex32_migrations.0014_versions")


@pytest.fixture
def database(database_url):
    database = connect(database_url)
    database_proxy.initialize(database)
    yield database
    database.close()


def put(database, table, **values):
    mark = "?" if type(database).__name__.startswith("Sqlite") else "%s"
    marks = ", ".join([mark] * len(values))
    database.execute_sql(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
    )


def test_bots_of_before_are_found_by_what_their_definitions_say(database):
    script.down(None, database)
    code = "def main(): pass"
    document = {
        "name": "a",
        "description": "tells",
        "labels": {"team": "x", "b": "y"},
        "steps": [{"id": "s", "type": "python", "with": {"code": code}}],
    }
    put(database, "bot", id="bot_1", workspace="default", name="a", origin="file", enabled=True,
        paused=False, active_version_id="ver_2", created_at=1, updated_at=1)  # fmt: skip
    for number, text in ((1, {"name": "a", "type": "set"}), (2, document)):
        put(database, "bot_version", id=f"ver_{number}", bot_id="bot_1", number=number,
            digest=f"d{number}", document=json.dumps(text), text="", origin="file",
            source="/a.yaml", created_at=number)  # fmt: skip

    script.up(None, database)

    (bot,) = database.execute_sql("SELECT description, labels, owner FROM bot").fetchall()
    assert bot == ("tells", '{"b":"y","team":"x"}', "")
    known = database.execute_sql("SELECT digest, version_id FROM provenance").fetchall()
    digest = hashlib.sha256(code.encode()).hexdigest()
    assert set(known) == {("d1", "ver_1"), ("d2", "ver_2"), (digest, "ver_2")}
