"""Steps that ask and change a real database, over a wire that is cut at the worst moments."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import pytest
from codex32_postgres import PostgresServer
from codex32_wire import PostgresWire, open_wire

from codex32.engine.running.environment import Destination
from codex32.outside.addresses import GuardedAddresses

_numbers = itertools.count()


class Shop:
    """A database with a table of goods, as a bot reaches it."""

    def __init__(self, server: PostgresServer, url: str, wire: PostgresWire) -> None:
        self.url, self.wire = url, wire
        self._server = PostgresServer(url)

    def ask(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        return self._server.execute(sql, *params)

    def names(self) -> list[object]:
        return [name for (name,) in self.ask("SELECT name FROM goods ORDER BY name")]


@pytest.fixture
async def shop(postgres_server: PostgresServer, engine) -> AsyncIterator[Shop]:
    url = await asyncio.to_thread(postgres_server.create)
    async with open_wire(url) as wire:
        parts = urlsplit(url)
        engine.secrets["SHOP_PW"] = unquote(parts.password or "hush-hush")
        engine.connections["shop"] = Destination(
            "postgresql",
            "127.0.0.1",
            wire.port,
            {
                "database": parts.path.removeprefix("/"),
                "user": parts.username or "postgres",
                "sslmode": "disable",
            },
            {"password": "SHOP_PW"},
        )
        shop = Shop(postgres_server, url, wire)
        shop.ask("CREATE TABLE goods (name text PRIMARY KEY, price numeric(8, 2))")
        yield shop
    await asyncio.to_thread(postgres_server.drop, url)


def bot(**params: object) -> str:
    """A bot of one `sql` step; JSON is YAML."""
    step = {"id": "q", "type": "sql", "with": {"connection": "shop", **params}}
    name = f"bot-{next(_numbers)}"
    return json.dumps({"name": name, "allow": {"connections": ["shop"]}, "steps": [step]})


async def answer(engine, **params: object):
    """What the step gave, or its error."""
    ended = await engine.run(bot(**params))
    (step,) = ended.steps
    if step.error is not None:
        return json.loads(step.error)
    return await asyncio.to_thread(engine.env.payloads.unpack, ended.execution.id, step.output)


async def test_rows_come_as_json(engine, shop):
    query = """
        SELECT 1 AS whole, 9007199254740993::bigint AS great, 1.5::float8 AS half,
               'NaN'::float8 AS nan, 12.50::numeric AS exact, true AS yes, NULL AS nothing,
               'ä'::text AS letter, DATE '2026-02-28' AS day,
               TIMESTAMPTZ '2026-02-28 12:00:00.5+02' AS moment,
               TIMESTAMP '2026-02-28 12:00' AS local, TIMESTAMPTZ 'infinity' AS never,
               INTERVAL '1 day 2 hours' AS span, '{"a": [1, null]}'::jsonb AS tree,
               ARRAY[1.10, 2]::numeric[] AS many, ARRAY[DATE '2026-01-01'] AS days,
               '\\x00ff'::bytea AS raw, '0b5f1f3a-58e1-4b1c-9c39-6d2a3e6a7f10'::uuid AS id,
               int4range(1, 5) AS span_of_numbers
    """
    assert await answer(engine, query=query) == [
        {
            "whole": 1,
            "great": 9007199254740993,
            "half": 1.5,
            "nan": "nan",
            "exact": "12.50",
            "yes": True,
            "nothing": None,
            "letter": "ä",
            "day": "2026-02-28",
            "moment": "2026-02-28T10:00:00.5+00:00",
            "local": "2026-02-28T12:00:00",
            "never": "infinity",
            "span": "P1DT2H",
            "tree": {"a": [1, None]},
            "many": ["1.10", "2"],
            "days": ["2026-01-01"],
            "raw": "AP8=",
            "id": "0b5f1f3a-58e1-4b1c-9c39-6d2a3e6a7f10",
            "span_of_numbers": "[1, 5)",
        }
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("'; DROP TABLE goods; --", "text"),
        ("\\'; DROP TABLE goods; --", "text"),
        ("100 %s %(name)s :name", "text"),
        ("$$ ; DROP TABLE goods $$", "text"),
        (None, "text"),
        (True, "boolean"),
        (-3, "integer"),
        (2.5, "float8"),
        (-(2**63), "bigint"),
        ({"a": ["'", '"', "\\"]}, "jsonb"),
        ([{"a": 1}, {"b": [2]}], "jsonb"),
    ],
)
async def test_what_is_given_as_a_value_stays_one(engine, shop, value, kind):
    query = f"SELECT to_jsonb(:value::{kind}) AS same, ':value' AS text -- :value"
    found = await answer(engine, query=query, params={"value": value})
    assert found == [{"same": value, "text": ":value"}]
    assert shop.names() == []


async def test_a_list_is_an_array(engine, shop):
    query = "SELECT count(*) AS n FROM generate_series(1, 9) AS x WHERE x = ANY(:wanted)"
    assert await answer(engine, query=query, params={"wanted": [2, 3, 99]}) == [{"n": 2}]
    assert await answer(engine, query=query, params={"wanted": []}) == [{"n": 0}]
    error = await answer(engine, query="SELECT :wanted::jsonb", params={"wanted": []})
    assert "syntax for type json" in error["message"]  # and not {}


async def test_a_change_tells_how_many_rows_and_what_it_returns(engine, shop):
    query = "INSERT INTO goods VALUES (:name, :price) RETURNING name, price"
    made = await answer(engine, query=query, write=True, params={"name": "tea", "price": 7.32})
    assert made == {"changed": 1, "rows": [{"name": "tea", "price": "7.32"}]}
    raised = await answer(engine, query="UPDATE goods SET price = price + 1", write=True)
    assert raised == {"changed": 1}


async def test_a_list_of_values_is_written_whole_or_not_at_all(engine, shop):
    query = "INSERT INTO goods VALUES (:name, 1)"
    names = [{"name": f"n{number}"} for number in range(500)]
    assert await answer(engine, query=query, write=True, params=names) == {"changed": 500}
    error = await answer(engine, query=query, write=True, params=[{"name": "new"}, {"name": "n7"}])
    assert "duplicate key" in error["message"]
    assert len(shop.names()) == 500


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO goods VALUES ('x', 1)",
        "WITH w AS (INSERT INTO goods VALUES ('x', 1) RETURNING 1) SELECT * FROM w",
        "EXPLAIN ANALYZE INSERT INTO goods VALUES ('x', 1)",
        "COPY goods FROM PROGRAM 'echo x'",
        "SELECT set_config('transaction_read_only', 'off', true)",
    ],
)
async def test_what_only_asks_changes_nothing(engine, shop, query):
    await answer(engine, query=query)
    assert shop.names() == []


async def test_a_change_without_write_tells_the_remedy(engine, shop):
    error = await answer(engine, query="DELETE FROM goods")
    assert (
        "read-only transaction; a statement that changes something needs write: true"
        in (error["message"])
    )


async def test_more_than_may_be_handed_on_fails_the_step(engine, shop):
    query = "SELECT repeat('x', 1000) AS x FROM generate_series(1, :n)"
    assert len(await answer(engine, query=query, params={"n": 1000})) == 1000
    error = await answer(engine, query=query, params={"n": 10_000_000})
    assert "more than 1000 rows" in error["message"]
    error = await answer(engine, query=query, params={"n": 1000}, max_bytes="500KiB")
    assert "more than 512000 bytes" in error["message"]


CELL = "SELECT repeat('x', 60000000) AS x"
RETURNED = "INSERT INTO goods VALUES (1, 1), (2, 2) RETURNING repeat(name, 30000000)"
NOTICES = """
    DO $$ BEGIN
        FOR i IN 1..60 LOOP RAISE NOTICE '%', repeat('x', 1000000); END LOOP;
    END $$
"""


@pytest.mark.parametrize(("query", "write"), [(CELL, False), (RETURNED, True), (NOTICES, False)])
async def test_what_is_too_much_is_not_even_taken_in(engine, shop, query, write):
    error = await answer(engine, query=query, write=write, max_bytes="64KiB")
    assert "more than 65536 bytes" in error["message"]
    assert shop.wire.answered < 30_000_000


async def test_a_database_that_reads_texts_in_the_old_way_is_refused(engine, shop):
    ((name,),) = shop.ask("SELECT current_database()")
    shop.ask(f'ALTER DATABASE "{name}" SET standard_conforming_strings = off')
    value = "\\'; COMMIT; DROP TABLE goods; --"
    error = await answer(engine, query="SELECT :value AS x", params={"value": value})
    assert (error["code"], "ALTER ROLE" in error["message"]) == ("connection", True)
    assert shop.names() == []


@pytest.mark.parametrize(
    "cell", ["('1' || repeat('0', 5000))::jsonb", "(repeat('[', 6000) || repeat(']', 6000))::json"]
)
async def test_a_cell_that_cannot_be_read_tells_the_remedy(engine, shop, cell):
    error = await answer(engine, query=f"SELECT {cell} AS x")
    assert (error["code"], "AS text" in error["message"]) == ("sql", True)


async def test_nothing_of_the_workers_own_environment_goes_along(engine, shop, monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=77MB")
    found = await answer(engine, query="SELECT current_setting('work_mem') AS memory")
    assert found != [{"memory": "77MB"}]
    assert len(found) == 1


async def test_a_connection_without_a_password_is_made_in_silence(engine, shop, capfd):
    engine.connections["shop"] = replace(engine.connections["shop"], secrets={})
    assert await answer(engine, query="SELECT 1 AS x") == [{"x": 1}]
    assert "password file" not in capfd.readouterr().err


async def test_where_the_answer_to_a_commit_is_lost_nobody_knows_and_nothing_is_repeated(
    engine, shop
):
    shop.wire.cut_after = b"COMMIT"
    ended = await engine.run(
        bot(query="INSERT INTO goods VALUES ('tea', 1)", write=True).replace(
            '"steps"', '"retry": {"attempts": 5, "first": "1s"}, "steps"'
        )
    )
    assert (ended.execution.status, ended.steps[0].status) == ("waiting", "unknown")
    assert "codex32 executions resolve" in ended.execution.message
    assert (shop.names(), shop.wire.cuts) == (["tea"], 1)


async def test_what_was_cut_before_its_commit_left_nothing_and_is_tried_again(
    engine, shop, manual_clock
):
    shop.wire.cut_before = b"INSERT"
    text = bot(query="INSERT INTO goods VALUES ('tea', 1)", write=True)
    execution_id = await engine.start(
        await engine.add(
            text.replace('"steps"', '"retry": {"attempts": 2, "first": "1s"}, "steps"')
        )
    )
    await engine.work()
    assert shop.names() == []
    manual_clock.advance(60)
    await engine.work()
    ended = await engine.inspect(execution_id)
    assert (ended.execution.status, shop.wire.cuts) == ("succeeded", 1)
    assert shop.names() == ["tea"]


async def test_the_key_of_the_step_makes_a_repeated_change_harmless(engine, shop):
    shop.ask("CREATE TABLE done (key text PRIMARY KEY)")
    query = "INSERT INTO done VALUES (:idempotency_key) ON CONFLICT DO NOTHING"
    assert await answer(engine, query=query, write=True) == {"changed": 1}
    assert len(shop.ask("SELECT key FROM done WHERE key LIKE 'exe_%%:q'")) == 1


async def test_a_statement_is_stopped_with_its_step(engine, shop):
    text = json.loads(bot(query="SELECT pg_sleep(:s)", params={"s": 600}))
    text["steps"][0]["timeout"] = "2s"
    asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    running = asyncio.create_task(engine.run(json.dumps(text)))
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(shop.ask, asleep):
            await asyncio.sleep(0.02)
        ended = await running
        assert json.loads(ended.steps[0].error)["code"] == "timeout"
        while await asyncio.to_thread(shop.ask, asleep):
            await asyncio.sleep(0.02)


async def test_where_no_session_can_be_made_the_error_names_connection_and_remedy(engine, shop):
    async def told(**changes: object) -> dict[str, object]:
        there = engine.connections["shop"]
        options = {**there.options, **changes.pop("options", {})}  # type: ignore[dict-item]
        engine.connections["shop"] = replace(there, options=options, **changes)  # type: ignore[arg-type]
        try:
            return await answer(engine, query="SELECT 1")
        finally:
            engine.connections["shop"] = there

    assert "sslmode=disable" in (await told(options={"sslmode": "require"}))["message"]
    assert "nowhere" in (await told(options={"database": "nowhere"}))["message"]
    assert "sslmode 'off'" in (await told(options={"sslmode": "off"}))["message"]
    assert "sslmode=verify-full" in (await told(options={"sslrootcert": "x"}))["message"]
    assert "no option 'dbname'" in (await told(options={"dbname": "x"}))["message"]
    assert "lacks the option user" in (await told(options={"user": None}))["message"]
    assert "of the type http" in (await told(type="http"))["message"]
    closed = await told(port=1)
    assert closed["retryable"]
    assert closed["message"] == "the connection shop cannot be made: Connection refused"
    shop.ask("DROP ROLE IF EXISTS full_up")
    shop.ask("CREATE ROLE full_up LOGIN CONNECTION LIMIT 0")
    full = await told(options={"user": "full_up"})
    assert (full["retryable"], "too many connections" in full["message"]) == (True, True)
    shop.ask("DROP ROLE full_up")
    unknown = await told(host="nowhere.invalid")
    assert unknown["message"] == "nowhere.invalid cannot be found: the name has no address"


async def test_a_private_address_is_reached_only_where_the_operator_permits_it(engine, shop):
    engine.env = replace(engine.env, address=GuardedAddresses(["10.0.0.0/8"]))
    error = await answer(engine, query="SELECT 1")
    assert error["code"] == "capability"
    assert f"private_hosts: ['127.0.0.1:{shop.wire.port}']" in error["message"]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"query": "SELECT ${{ inputs.x }}"}, "with.query: is no place for expressions"),
        ({"query": "SELECT 1; DROP TABLE goods"}, "more than one statement"),
        ({"query": "SELECT 'x"}, "' in line 1 is never closed"),
        (
            {"query": "SELECT 1", "connection": "shpo"},
            "with.connection: shpo is not in allow.connections; add it there to permit it "
            "(did you mean 'shop'?)",
        ),
        ({"query": "commit"}, "COMMIT is not for a step, which makes its own transaction"),
        ({"query": "SELECT $1"}, "values are written :name, not $1"),
        ({"query": "SELECT :a", "params": {"b": 1}}, "with.params: lacks a"),
        ({"query": "SELECT :a", "params": {"a": 1, "b": 1}}, "with.params.b: the query has no :b"),
        ({"query": "SELECT :a", "params": [{"a": 1}]}, "a list needs write: true"),
        ({"query": "SELECT 1", "max_bytes": "much"}, "with.max_bytes"),
    ],
)
async def test_faults_are_told_when_the_file_is_read(engine, params, told):
    reading = engine.reader.read_text(bot(**params), file="test.yaml", default_name="test")
    assert told in "\n".join(map(str, reading.problems))
