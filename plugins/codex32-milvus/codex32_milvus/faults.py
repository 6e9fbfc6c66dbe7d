"""Milvus' errors in the words of the house."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex32 import (
    CollectionNotFound,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)

if TYPE_CHECKING:
    import grpc

#: Milvus' codes: no such collection; not loaded, or not yet ready; limits of rate and memory.
_NOT_FOUND = {100}
_NOT_READY = {1, 2, 3, 5, 101, 102, 103, 503}
_RELEASED = 101
_LIMITED = {8, 9}
_UNAUTHORIZED = {1400, 1401}


def is_unreachable(error: Exception) -> bool:
    """Whether the connection itself is gone, so that another must be made."""
    import grpc
    from pymilvus.exceptions import ConnectionConfigException, MilvusUnavailableException

    if isinstance(error, MilvusUnavailableException | ConnectionConfigException):
        return True
    status = _status(error)
    return status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED) or (
        status is None and "Fail connecting to server" in str(error)
    )


def is_released(error: Exception) -> bool:
    """Whether the collection is there, and somebody has to load it first."""
    from pymilvus.exceptions import MilvusException

    return isinstance(error, MilvusException) and error.code == _RELEASED


def translated(error: Exception) -> Exception:
    """The error as the house tells it; itself where it is none of Milvus'."""
    import grpc
    from pymilvus.exceptions import MilvusException

    status = _status(error)
    if status is not None:
        if status is grpc.StatusCode.UNAUTHENTICATED:
            return ProviderUnauthorized("Milvus does not accept the token")
        if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return ProviderRateLimited("Milvus asks for patience")
        if status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED):
            return ProviderRejected(f"Milvus refused the request: {status.name}")
        return ProviderUnavailable(f"Milvus could not answer: {status.name}")
    if is_unreachable(error):
        return ProviderUnavailable("Milvus could not be reached")
    if not isinstance(error, MilvusException):
        return error
    if error.code in _NOT_FOUND or "collection not found" in error.message:
        return CollectionNotFound("that was asked for")
    if error.code in _LIMITED:
        return ProviderRateLimited(f"Milvus asks for patience (code {error.code})")
    if error.code in _UNAUTHORIZED:
        return ProviderUnauthorized("Milvus does not accept the token")
    if error.code in _NOT_READY:
        return ProviderUnavailable(f"Milvus could not answer: {error.message[:200]}")
    return ProviderRejected(f"Milvus refused the request: {error.message[:200]}")


def _status(error: Exception | None) -> grpc.StatusCode | None:
    """GRPC's status, of the error or of what it was raised from."""
    import grpc

    seen: list[Exception] = []
    while error is not None and error not in seen:  # pymilvus raises errors from themselves
        seen.append(error)
        if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
            status = error.code()
            return status if isinstance(status, grpc.StatusCode) else None
        code = getattr(error, "code", None)
        if isinstance(code, grpc.StatusCode):
            return code
        error = error.__cause__ if isinstance(error.__cause__, Exception) else None
    return None
