"""Keeping what looks like a secret out of what the house says of itself.

What bots use is masked by its value, by :mod:`codex32.kernel.masking`. Here it is the shape that
counts: tokens and keys of the house and of others, credentials in headers and in URLs. It is the
second line, for texts that come from libraries, errors and callers.
"""

from __future__ import annotations

import logging
import re

from codex32.kernel.masking import handed_out

MASK = "***"

_SHAPES = (
    # Our own tokens and keys, and secrets of webhooks: what they are stays readable.
    (re.compile(r"\b(cx32_|whsec_)[A-Za-z0-9_+/=-]{8,}"), rf"\1{MASK}"),
    # Keys of services of models, and of others that begin alike.
    (re.compile(r"\b(sk-|pcsk_|gsk_|xai-|AIza)[A-Za-z0-9_-]{12,}"), rf"\1{MASK}"),
    (re.compile(r"\b(Bearer)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1\2{MASK}"),
    # Prose about "basic information" has no digit, no sign and no capital within its words.
    (
        re.compile(
            r"\b((?i:Basic))(\s+)(?=[A-Za-z._~-]*([0-9+/=]|[a-z][A-Z]))[A-Za-z0-9._~+/=-]{8,}"
        ),
        rf"\1\2{MASK}",
    ),
    # Keys of services, such as those of models.
    (re.compile(r"\b(sk-|pk-|gsk_|AIza)[A-Za-z0-9_-]{8,}"), rf"\1{MASK}"),
    # Of those where code, clouds and talk live.
    (re.compile(r"\b((?:AKIA|ASIA)[A-Z0-9]{2})[A-Z0-9]{14}\b"), rf"\1{MASK}"),
    (
        re.compile(r"\b(gh[oprsu]_|github_pat_|glpat-|xox[abeoprs]-)[A-Za-z0-9_-]{10,}"),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        rf"\1{MASK}\2",
    ),
    # A signed token in three parts (JWT).
    # It is sought once from where a word begins: not from each "-eyJ" to the end of its word.
    (
        re.compile(
            r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]{9,}+\.[A-Za-z0-9_-]{6,}+\.)"
            r"((?:[A-Za-z0-9_-]*?-)??)\b"
            r"eyJ[A-Za-z0-9_-]{6,}+\.[A-Za-z0-9_-]{6,}+\.[A-Za-z0-9_-]*+"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(://[^/\s:@\"']*:)[^/\s@\"']+(?=@)"), rf"\1{MASK}"),
    # Addresses that are the right to write: whoever knows one of these writes as the bot.
    (
        re.compile(
            r"(://(?:hooks\.slack\.com/(?:services|workflows|triggers)"
            r"|(?:\w+\.)?discord(?:app)?\.com/api/webhooks"
            r"|(?:[\w-]+\.webhook|outlook)\.office\.com/webhook(?:b2)?"
            r"|hooks\.zapier\.com/hooks/catch|hook\.(?:\w+\.)?make\.com"
            r"|api\.telegram\.org/bot|maker\.ifttt\.com/trigger)/?)(?!/)[^\s\"'<>?#*]+"
        ),
        rf"\1{MASK}",
    ),
    # What a query calls a key. A name of what is looked up has no such length.
    (
        re.compile(
            r"([?&](?:[\w-]*(?:token|secret|password|signature)|sig|(?:[\w-]*[_-])?key)=)"
            r"[^\s&\"'<>${}*]{16,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # A key of the key ring.
    (re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])"), MASK),
)


def scrub(text: str) -> str:
    """``text`` without what looks like a secret."""
    for shape, instead in _SHAPES:
        # Nearly always nothing is there, and to look costs far less than to replace.
        if shape.search(text):
            text = shape.sub(instead, text)
    return text


def unsaid(text: str) -> str:
    """``text`` without the secrets this process was handed, and without what looks like one."""
    return scrub(handed_out.mask(text))


class Unbroken(logging.Formatter):
    """Makes a line also of a record that cannot be put together, as where values do not fit.

    ``logging`` itself would print where that was and all that was given, secrets too, as lines of
    no form.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one text; if need be with its bare message, or without its error."""
        try:
            return super().format(record)
        except Exception as error:
            fault = type(error).__name__
        bare = logging.LogRecord(
            record.name,
            record.levelno,
            record.pathname,
            record.lineno,
            f"{record.msg if isinstance(record.msg, str) else type(record.msg).__name__} "
            f"({fault}: what was given with it cannot be put in)",
            None,
            record.exc_info,
        )
        bare.created = record.created
        try:
            return super().format(bare)
        except Exception:
            bare.exc_info = None
            return super().format(bare)


class ScrubbingFormatter(Unbroken):
    """Formats log records, tracebacks and all, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one text."""
        return unsaid(super().format(record))
