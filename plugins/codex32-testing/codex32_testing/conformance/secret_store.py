"""The contract of secret stores as tests."""

from __future__ import annotations

from typing import ClassVar

import pytest

from codex32 import SecretStore
from codex32_testing.conformance.shared import faults


class SecretStoreSuite:
    """Subclass it and give the fixture ``secret_store``, which holds one known secret.

    Attributes:
      name: The known secret's name.
      value: Its value.
    """

    name: ClassVar[str] = "SUITE_TOKEN"
    value: ClassVar[str] = "s3cret ünïcode"

    @pytest.fixture
    def secret_store(self) -> SecretStore:
        """The store to try; it knows ``name``."""
        pytest.fail(f"{type(self).__name__} needs a fixture called secret_store")

    def test_the_house_takes_it(self, secret_store: SecretStore) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("secret_stores", secret_store) == []

    @pytest.mark.asyncio
    async def test_a_known_secret_is_read_as_it_is(self, secret_store: SecretStore) -> None:
        """Every character of it, each time."""
        assert await secret_store.read(self.name) == self.value
        assert await secret_store.read(self.name) == self.value

    @pytest.mark.asyncio
    async def test_an_unknown_name_is_none(self, secret_store: SecretStore) -> None:
        """The next store is asked then."""
        assert await secret_store.read("NO_SUCH_SECRET") is None

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../../etc/passwd", "/etc/passwd", "A\0B", "x" * 5000]
    )
    async def test_a_strange_name_is_unknown_and_leads_nowhere(
        self, secret_store: SecretStore, name: str
    ) -> None:
        """Names come from bot files and must not become paths."""
        assert await secret_store.read(name) is None

    @pytest.mark.asyncio
    async def test_what_it_lists_can_be_read(self, secret_store: SecretStore) -> None:
        """It lists names alone, and either all that it knows or none."""
        names = await secret_store.names()
        assert all([isinstance(await secret_store.read(each), str) for each in names])
        assert self.value not in names
        if names:
            assert self.name in names

    def test_showing_the_store_shows_no_secret(self, secret_store: SecretStore) -> None:
        """Objects end up in logs and tracebacks."""
        assert self.value not in repr(secret_store)
