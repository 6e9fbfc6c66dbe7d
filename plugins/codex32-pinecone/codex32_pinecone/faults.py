"""Pinecone's errors in the words of the house."""

from __future__ import annotations

from codex32 import (
    CollectionNotFound,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)


def translated(error: Exception) -> Exception:
    """The error as the house tells it; itself where it is none of Pinecone's."""
    from pinecone import errors

    if isinstance(error, errors.RateLimitError):
        return ProviderRateLimited(
            "Pinecone asks for patience", retry_after_seconds=_seconds(error)
        )
    if isinstance(error, errors.NotFoundError):
        return CollectionNotFound("that was asked for")
    if isinstance(error, errors.UnauthorizedError | errors.ForbiddenError):
        return ProviderUnauthorized("Pinecone does not accept the key")
    if isinstance(error, errors.ApiError):
        status = error.status_code
        if status >= 500 or status == 408:
            return ProviderUnavailable(f"Pinecone answered {status}")
        return ProviderRejected(f"Pinecone answered {status}")
    if isinstance(error, errors.PineconeError):
        return ProviderUnavailable(f"Pinecone could not answer: {type(error).__name__}")
    # An answer without the part that the SDK looks for.
    if isinstance(error, AttributeError | TypeError | KeyError | ValueError):
        return ProviderUnavailable("Pinecone answered with something that is none of its answers")
    return error


def _seconds(error: Exception) -> float | None:
    """What ``Retry-After`` says, where it was kept and is a number."""
    headers = getattr(error, "headers", None) or {}
    for name, value in dict(headers).items():
        if str(name).lower() == "retry-after":
            try:
                return max(0.0, float(value))
            except ValueError:
                return None
    return None
