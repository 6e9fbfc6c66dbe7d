"""The bot type ``feed``: the text of an RSS or Atom feed becomes a list of entries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from codex32 import JSON, BotType, Failed, Outcome, StepContext, Succeeded

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_TEXT_OR_NULL = {"type": ["string", "null"]}


class Feed(BotType):
    """Reads feeds; what it is given was fetched by a step before it."""

    name = "feed"
    summary = "Turn the text of an RSS or Atom feed into a list of entries"
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "The feed, as an http step fetched it"},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "default": 100,
                "description": "At most this many entries, from the top",
            },
        },
        "required": ["text"],
        "additionalProperties": False,
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "title": {"type": "string"},
                "link": {"type": "string"},
                "summary": {"type": "string"},
                "published_at": _TEXT_OR_NULL,
            },
        },
    }

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Read the feed, on a thread: a large one must not hold up the worker's event loop."""
        try:
            entries = await asyncio.to_thread(read_feed, params["text"])
        except ValueError as error:
            return Failed(str(error), code="no-feed")
        context.log(f"read {len(entries)} entries")
        return Succeeded(entries[: params.get("limit", 100)])


def read_feed(text: str) -> list[dict[str, JSON]]:
    """The entries of a feed, in its own order, times in UTC.

    Raises:
      ValueError: The text is no RSS and no Atom, or defines entities, which feeds have no need
        of and attackers do.
    """
    from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import (  # type: ignore[import-untyped]
        ParseError,
        fromstring,
    )

    try:
        root = fromstring(text)
    except ParseError as error:
        raise ValueError(f"this is no feed: {error}") from None
    except DefusedXmlException as error:
        raise ValueError(f"this feed is not safe to read: {error}") from None
    entries = [_entry(node) for node in root.iter() if _tag(node) in ("item", "entry")]
    if not entries and _tag(root) not in ("rss", "feed", "RDF"):
        raise ValueError(f"this is no feed: its outermost element is <{_tag(root)}>")
    return entries


def _entry(node: Element) -> dict[str, JSON]:
    fields: dict[str, str] = {}
    for name, value in _fields(node):
        fields.setdefault(name, value)
    link = fields.get("link", "")
    return {
        "id": fields.get("guid") or fields.get("id") or link or fields.get("title", ""),
        "title": fields.get("title", ""),
        "link": link,
        "summary": fields.get("description") or fields.get("summary", ""),
        "published_at": _utc(
            fields.get("pubDate") or fields.get("published") or fields.get("updated") or ""
        ),
    }


def _fields(node: Element) -> Iterator[tuple[str, str]]:
    for child in node:
        value = "".join(child.itertext()).strip()
        if _tag(child) == "link" and child.get("rel", "alternate") == "alternate":
            value = value or child.get("href", "")
        if value:
            yield _tag(child), value


def _tag(node: Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _utc(text: str) -> str | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
        except (ValueError, OverflowError):
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None
