"""Vector stores behind HTTP: what they make of a service's bad days."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar

import pytest

from codex32 import ProviderError, ProviderUnauthorized, VectorRecord, VectorStore
from codex32_testing.conformance.vector_store import VectorStoreSuite
from codex32_testing.loopback_service import FAULTS, TOLD, LoopbackService

#: What the service takes; whatever else it is given is wrong.
KEY = "S3CRET-key"
_WRONG = "S3CRET-wrong"
_PATIENCE_SECONDS = 60.0
_CALLS: Mapping[str, Callable[[VectorStore], Awaitable[Any]]] = {
    "upsert": lambda store: store.upsert("docs", [VectorRecord("a", [1.0, 0.0])]),
    "query": lambda store: store.query("docs", [1.0, 0.0], limit=1),
    "delete": lambda store: store.delete("docs", ["a"]),
    "list": lambda store: store.list_ids("docs"),
    "count": lambda store: store.count("docs"),
    "ensure": lambda store: store.ensure_collection("new", dimension=2, metric="dot"),
}


class ServedVectorStoreSuite(VectorStoreSuite):
    """Subclass it, give the fixture ``service``, which knows :data:`KEY`, and :meth:`store_of`.

    The store has an attribute ``timeout_seconds``, which holds for the calls that follow.

    Attributes:
      empty_is_nothing: Calls for which an empty object is an answer: that nothing is there.
    """

    empty_is_nothing: ClassVar[Collection[str]] = ()

    def store_of(self, service: LoopbackService, timeout_seconds: float, key: str) -> Any:
        """A store that asks this service with this key."""
        raise NotImplementedError

    @pytest.fixture
    def vector_store(self, service: LoopbackService) -> Any:
        """The store to try."""
        store = self.store_of(service, 2 * _PATIENCE_SECONDS, KEY)
        yield store
        store.shut()

    @pytest.fixture
    def reopened(self, service: LoopbackService) -> Callable[[], VectorStore]:
        """Another store over the same service."""
        return lambda: self.store_of(service, 2 * _PATIENCE_SECONDS, KEY)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("call", sorted(_CALLS))
    @pytest.mark.parametrize("fault", sorted(FAULTS))
    async def test_a_fault_is_told_by_its_type_and_in_time(
        self, service: LoopbackService, fault: str, call: str
    ) -> None:
        """Asked once, with the key kept to itself; and the next call goes through."""
        store = self.store_of(service, _PATIENCE_SECONDS, KEY)
        await store.ensure_collection("docs", dimension=2, metric="cosine")
        await store.count("docs")  # whatever is looked up once is known
        asked = len(service.requests)
        service.faults.append(FAULTS[fault])
        if fault == "silent":
            store.timeout_seconds = 1  # less than the service is silent for
        if fault == "empty" and call in self.empty_is_nothing:
            await _CALLS[call](store)
            await store.close()
            return
        with pytest.raises(ProviderError) as raised:
            await _CALLS[call](store)
        assert type(raised.value).__name__ == TOLD[fault]
        assert raised.value.retryable
        assert KEY not in str(raised.value)
        assert len(service.requests) == asked + 1, "the SDK repeats by itself"
        assert ("within 1 s" in str(raised.value)) is (fault == "silent")
        if fault == "busy":
            assert raised.value.retry_after_seconds == 7
        store.timeout_seconds = _PATIENCE_SECONDS
        await _CALLS[call](store)  # and after it all is well
        await store.close()

    @pytest.mark.asyncio
    async def test_a_wrong_key_is_told_and_never_shown(self, service: LoopbackService) -> None:
        """As what it is, and not as a service that is down."""
        store = self.store_of(service, _PATIENCE_SECONDS, _WRONG)
        with pytest.raises(ProviderUnauthorized) as raised:
            await store.count("docs")
        assert "S3CRET" not in str(raised.value)
        await store.close()
