"""PostgreSQL's errors in the words of the house."""

from __future__ import annotations

import re

from codex32 import (
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)

#: What is told while connecting comes without a code.
_NOT_LET_IN = re.compile(r"authentication failed|role .* does not exist|no pg_hba.conf entry")
_REMEDIES = {
    "0A000": "the server lacks pgvector; install it there, or use an image that brings it",
    "58P01": "the server lacks pgvector; install it there, or use an image that brings it",
    "42501": "the user may not do this; CREATE EXTENSION vector and the schema need an owner once",
}


def translated(error: Exception) -> Exception:
    """The error as the house tells it; itself where it is none of PostgreSQL's."""
    import psycopg2

    if not isinstance(error, psycopg2.Error):
        return error
    code = error.pgcode or ""
    if code.startswith("28") or _NOT_LET_IN.search(str(error)):
        return ProviderUnauthorized("PostgreSQL does not accept the user or the password")
    if code == "53300":
        return ProviderRateLimited("PostgreSQL has no connection left")
    if code in _REMEDIES:
        return ProviderRejected(f"pgvector: {_REMEDIES[code]}")
    if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or code[:2] in (
        "40",
        "53",
        "57",
        "08",
    ):
        return ProviderUnavailable(f"PostgreSQL could not answer ({code or 'no connection'})")
    return ProviderRejected(
        f"PostgreSQL refused the request ({code}): {error.diag.message_primary}"
    )
