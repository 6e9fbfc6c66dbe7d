"""A PostgreSQL from a wheel, which brings pgvector."""

import os

import pytest
from codex32_postgres import PostgresServer, private_postgres


@pytest.fixture(scope="session")
def postgres_server():
    if given := os.environ.get("CODEX32_TEST_POSTGRES_URL"):
        yield PostgresServer(given)
        return
    with private_postgres() as server:
        yield server
