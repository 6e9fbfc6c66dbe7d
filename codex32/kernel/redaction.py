"""Keeping what looks like a secret out of what the house says of itself.

What bots use is masked by its value (``engine.masking``). Here it is the shape that counts: tokens
and keys of the house and of others, credentials in headers and in URLs. It is the second line, for
texts that come from libraries, errors and callers.
"""

from __future__ import annotations

import logging
import re

MASK = "***"

_SHAPES = (
    # Our own tokens and keys, and secrets of webhooks: what they are stays readable.
    (re.compile(r"\b(cx32_|whsec_)[A-Za-z0-9_+/=-]{8,}"), rf"\1{MASK}"),
    # Keys of services of models, and of others that begin alike.
    (re.compile(r"\b(sk-|pcsk_|gsk_|xai-|AIza)[A-Za-z0-9_-]{12,}"), rf"\1{MASK}"),
    (re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1\2{MASK}"),
    # Keys of services, such as those of models.
    (re.compile(r"\b(sk-|pk-|gsk_|AIza)[A-Za-z0-9_-]{8,}"), rf"\1{MASK}"),
    # A signed token in three parts (JWT).
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"(://[^/\s:@\"']*:)[^/\s@\"']+(?=@)"), rf"\1{MASK}"),
    # A key of the key ring.
    (re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])"), MASK),
)


def scrub(text: str) -> str:
    """``text`` without what looks like a secret."""
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


class ScrubbingFormatter(logging.Formatter):
    """Formats log records, tracebacks and all, without what looks like a secret."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one text."""
        return scrub(super().format(record))
