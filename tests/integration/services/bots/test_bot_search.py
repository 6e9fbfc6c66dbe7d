"""Lists of many bots stay cheap: few questions, each answered by an index."""

import pytest

from codex32.kernel.database import is_sqlite
from codex32.kernel.models import database_proxy
from codex32.services.bots.bot_search import Search, search, selected
from codex32.services.bots.written import Written


@pytest.fixture
def many(door, registry, reader, now):
    """Makes as many bots as are wanted, each with a trigger."""

    def make(count):
        def written(number):
            text = "triggers: [{every: 1h}]\ntype: set\nwith: {values: {}}\n"
            text = f"name: b{number:04}\n{text}"
            return Written.of(reader.read_text(text).only_bot(), text, "api")

        items = [written(number) for number in range(count)]
        door.write_now(lambda: registry.store_many(items, now))

    return make


def plan(query):
    sql, values = query.sql()
    if is_sqlite():
        rows = database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
        return "\n".join(row[-1] for row in rows)
    database_proxy.execute_sql("SET enable_seqscan = off")
    rows = database_proxy.execute_sql(f"EXPLAIN {sql}", values).fetchall()
    database_proxy.execute_sql("SET enable_seqscan = on")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("order", ["name", "-name", "updated_at", "-updated_at", "-created_at"])
@pytest.mark.parametrize("after", [False, True])
def test_a_page_is_read_from_an_index_wherever_it_lies(door, many, order, after):
    many(300)
    place = ("b0100" if "name" in order else "5.b0100") if after else None
    wish = Search("default", order=order, after=place)
    told = door.read_now(lambda: plan(selected(wish)))
    index = "name" if "name" in order else order.lstrip("-")
    assert f"bot_workspace_{index}" in told
    assert "SCAN" not in told
    assert "TEMP B-TREE" not in told
    assert "Sort" not in told


def test_a_page_of_many_asks_as_often_as_a_page_of_few(door, many, monkeypatch):
    many(120)
    asked = []
    real = type(database_proxy.obj).execute_sql

    def counted(self, sql, *arguments, **more):
        asked.append(sql)
        return real(self, sql, *arguments, **more)

    monkeypatch.setattr(type(database_proxy.obj), "execute_sql", counted)
    times = []
    for limit in (1, 100):
        asked.clear()
        assert len(door.read_now(search, Search("default", limit=limit)).items) == limit
        times.append(len(asked))
    assert times[0] == times[1] <= 6
