"""All that a house leaves behind: rows, values in Redis, files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import redis
from codex32_houses import House

from codex32.outside.redis_server import BundledRedis


def rows(house: House) -> Iterator[tuple[str, bytes]]:
    """Every row of every table, as text."""
    url = house.environment.get("CODEX32_DATABASE_URL")
    if url is None:
        path = house.folder / ".codex32" / "codex32.db"
        database = sqlite3.connect(path)
        yield "the file", "\n".join(database.iterdump()).encode()
        database.close()
        return
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')
            yield table, "\n".join(text for (text,) in cursor.fetchall()).encode()
    connection.close()


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()


def in_redis(house: House) -> Iterator[tuple[str, bytes]]:
    """Every value that Redis holds, as its own dump of it."""
    url = house.environment.get("CODEX32_REDIS_URL")
    if url is None:
        url = BundledRedis(house.folder / ".codex32").url
    with closing(redis.Redis.from_url(url)) as client:
        for key in client.scan_iter():
            yield f"redis {key!r}", key + (client.dump(key) or b"")
