"""The errors of Qdrant's client in the words of the house."""

from __future__ import annotations

from json import JSONDecodeError

from codex32 import (
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)


def translated(error: Exception) -> Exception:
    """The error as the house tells it; itself where it is none of Qdrant's."""
    from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, ResourceExhaustedResponse):
        return ProviderRateLimited(
            "Qdrant asks for patience", retry_after_seconds=float(error.retry_after_s)
        )
    if isinstance(error, UnexpectedResponse):
        return _of_status(error.status_code or 0)
    if isinstance(error, ResponseHandlingException):
        return ProviderUnavailable(f"Qdrant could not answer: {type(error.source).__name__}")
    if isinstance(error, QdrantException):
        return ProviderRateLimited("Qdrant asks for patience")
    # An answer that is no JSON, or lacks the part that the client looks for.
    if isinstance(error, JSONDecodeError | AssertionError | AttributeError | TypeError | KeyError):
        return ProviderUnavailable("Qdrant answered with something that is none of its answers")
    return error


def _of_status(status: int) -> Exception:
    if status == 429:
        return ProviderRateLimited("Qdrant asks for patience")
    if status in (401, 403):
        return ProviderUnauthorized("Qdrant does not accept the key")
    if status >= 500 or status in (0, 408):
        return ProviderUnavailable(f"Qdrant answered {status}")
    return ProviderRejected(f"Qdrant answered {status}")
