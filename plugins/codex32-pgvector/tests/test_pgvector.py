"""The suite over a real PostgreSQL with the real extension."""

import psycopg2
import pytest

from codex32 import (
    Equals,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    VectorRecord,
)
from codex32_pgvector.store import PgVectorStore
from codex32_testing.conformance import VectorStoreSuite
from codex32_testing.conformance.vector_data import random_records, truly_nearest
from codex32_testing.loading import load_plugin


@pytest.fixture(scope="module")
def dsn(postgres_server):
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


class TestPgVector(VectorStoreSuite):
    @pytest.fixture
    def vector_store(self, dsn):
        store = PgVectorStore(dsn, timeout_seconds=120)
        yield store
        store.shut()

    @pytest.fixture
    def reopened(self, dsn):
        return lambda: PgVectorStore(dsn, timeout_seconds=120)


async def test_a_flush_builds_an_index_once_there_are_enough_records(dsn):
    store = PgVectorStore(dsn, index_from=300, timeout_seconds=120)
    records = random_records(400, 16)
    await store.ensure_collection("indexed", dimension=16, metric="euclidean")
    await store.upsert("indexed", records[:200])
    await store.flush("indexed")
    assert indexes(dsn) == []
    await store.upsert("indexed", records[200:])
    await store.flush("indexed")
    await store.flush("indexed")
    assert indexes(dsn) == ["c_indexed_near"]
    asked = random_records(1, 16, seed=3)[0].vector
    near = await store.query("indexed", asked, limit=10)
    best = truly_nearest("euclidean", asked, records, 10)
    assert len({match.id for match in near} & set(best)) >= 9
    # A filter that few records pass still finds as many as are asked for.
    few = await store.query("indexed", asked, limit=20, where=Equals("part", "p7"))
    assert len(few) == 20
    await store.drop_collection("indexed")
    await store.close()


def indexes(dsn):
    connection = psycopg2.connect(dsn)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'codex32_vectors' "
            "AND indexname LIKE '%_near'"
        )
        found = [name for (name,) in cursor.fetchall()]
    connection.close()
    return found


async def test_connections_that_the_server_closed_are_opened_again(dsn, postgres_server):
    store = PgVectorStore(dsn, timeout_seconds=120)
    await store.ensure_collection("cut", dimension=2, metric="cosine")
    await store.upsert("cut", [VectorRecord("a", [1.0, 0.0])])
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'codex32-pgvector'"
    )
    assert await store.count("cut") == 1
    await store.drop_collection("cut")
    await store.close()


async def test_a_server_that_is_not_there_is_told_and_worth_trying_again():
    store = PgVectorStore("postgresql://u:S3CRET@127.0.0.1:1/x", timeout_seconds=10)
    with pytest.raises(ProviderUnavailable) as raised:
        await store.count("c")
    assert raised.value.retryable
    assert "S3CRET" not in str(raised.value)


async def test_without_a_database_the_setting_is_named():
    with pytest.raises(ProviderRejected, match=r"plugins\.pgvector\.dsn"):
        await PgVectorStore("").count("c")


async def test_a_user_who_is_not_let_in_is_told_so(dsn, postgres_server):
    postgres_server.execute("DROP ROLE IF EXISTS nobody_here")
    wrong = psycopg2.extensions.make_dsn(dsn, user="nobody_here")
    with pytest.raises(ProviderUnauthorized):
        await PgVectorStore(wrong, timeout_seconds=30).count("c")


async def test_statements_end_within_the_time_limit(dsn):
    store = PgVectorStore(dsn, timeout_seconds=1)
    await store.ensure_collection("held", dimension=2, metric="cosine")
    holder = psycopg2.connect(dsn)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE codex32_vectors.c_held")
        with pytest.raises(ProviderUnavailable):
            await store.count("held")
    holder.rollback()
    holder.close()
    assert await PgVectorStore(dsn, timeout_seconds=60).count("held") == 0


def test_wrong_settings_are_named_with_their_place():
    with pytest.raises(Exception, match=r"under_test\.dsnn: .*did you mean 'dsn'"):
        load_plugin("codex32_pgvector", {"dsnn": "x"})
    with pytest.raises(Exception, match=r"under_test\.schema: 'a;b' names no schema"):
        load_plugin("codex32_pgvector", {"schema": "a;b"})
