"""A message of mail as what bots see of it: bounded, decoded, and trusted in nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import EmailPolicy
from email.utils import getaddresses
from typing import Any

from codex32 import JSON

_MOST_HEADERS, _LONGEST_HEADER = 200, 2000
_MOST_ATTACHMENTS = 50
_LONGEST_TEXT = 256 * 1024
#: Characters of a header as it is written that are looked at: taking one apart takes time that
#: grows with its square and worse.
_LONGEST_WRITTEN = 4000
#: Of all attachments together that are handed over with their content.
_ATTACHED_BYTES = 256 * 1024


class _Bounded(EmailPolicy):
    """As the standard policy, with headers of a length that somebody means."""

    def header_source_parse(self, sourcelines: Sequence[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(list(sourcelines))
        return name, value[:_LONGEST_WRITTEN]


_POLICY = _Bounded()


def read_message(raw: bytes, size: int) -> dict[str, Any]:
    """``event`` and ``headers`` of what ``trigger`` holds.

    Args:
      raw: The message, or as much of its begin as was read.
      size: How long it is as a whole.
    """
    message = _parsed(raw)
    headers = _headers(message)
    event = {
        "from": _addresses(message, "from"),
        "to": _addresses(message, "to"),
        "cc": _addresses(message, "cc"),
        "reply_to": _addresses(message, "reply-to"),
        "subject": headers.get("subject", ""),
        "date": headers.get("date", ""),
        "message_id": headers.get("message-id", "").strip(),
        "in_reply_to": headers.get("in-reply-to", "").strip(),
        "references": headers.get("references", "").split(),
        "automatic": headers.get("auto-submitted", "no").strip().lower() != "no",
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
        "attachments": _attachments(message),
        "size": size,
        "truncated": len(raw) < size,
    }
    return {"event": event, "headers": headers}


def _parsed(raw: bytes) -> Any:
    try:
        return message_from_bytes(raw, policy=_POLICY)
    except RecursionError:  # parts within parts, deeper than anybody nests them
        return BytesHeaderParser(policy=_POLICY).parsebytes(raw)


def _headers(message: Any) -> dict[str, str]:
    """Lower-case names; of several of one name the first."""
    found: dict[str, str] = {}
    for name, value in list(message.raw_items())[:_MOST_HEADERS]:
        if name.lower() in found:
            continue
        try:
            told = str(message.policy.header_fetch_parse(name, value))
        except Exception:  # the parser of headers fails on some that nobody should send
            told = str(value)
        found[name.lower()] = _clean(told)[:_LONGEST_HEADER]
    return found


def _addresses(message: Any, name: str) -> list[dict[str, str]]:
    try:
        # There is one of each name, says RFC 5322; a thousand would all be taken apart.
        pairs = getaddresses([str(message.get(name, ""))])
    except Exception:
        return []
    return [{"name": _clean(n), "address": _clean(a)} for n, a in pairs[:100] if a]


def _body(message: Any, kind: str) -> str:
    if not isinstance(message, EmailMessage):
        return ""
    part = None
    try:
        part = message.get_body((kind,))
        text = "" if part is None else part.get_content()
    except Exception:  # an unknown charset, or a part that is not what it says
        payload = None if part is None else part.get_payload(decode=True)
        text = payload.decode(errors="replace") if isinstance(payload, bytes) else ""
    return _clean(text if isinstance(text, str) else "")[:_LONGEST_TEXT]


def _attachments(message: Any) -> list[JSON]:
    found: list[JSON] = []
    left = _ATTACHED_BYTES
    try:
        parts = list(message.iter_attachments())
    except Exception:
        return found
    for part in parts[:_MOST_ATTACHMENTS]:
        try:
            content = part.get_payload(decode=True)
            name = part.get_filename() or ""
        except Exception:
            content, name = None, ""
        data = content if isinstance(content, bytes) else b""
        fits = len(data) <= left
        left -= len(data) if fits else 0
        found.append(
            {
                "name": _clean(name).replace("/", "_").replace("\\", "_")[:255],
                "type": part.get_content_type(),
                "size": len(data),
                "content": base64.b64encode(data).decode() if fits else None,
            }
        )
    return found


def _clean(text: str) -> str:
    """Text that both databases take."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")
