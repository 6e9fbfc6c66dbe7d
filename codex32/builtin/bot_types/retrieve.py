"""Parts of documents that fit a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from codex32 import JSON, BotType, Found, Outcome, SearchOrder, StepContext, Succeeded
from codex32.builtin.bot_types.index import COLLECTION

WHERE = {
    "type": "object",
    "description": "What must hold of a document: source, and its metadata, as "
    "{team: ops, year: {$gte: 2025}}.",
}


class RetrieveBotType(BotType):
    """Searches a collection by meaning and by words."""

    name: ClassVar[str] = "retrieve"
    summary: ClassVar[str] = "Find parts of documents that fit a query."
    only_reads: ClassVar[bool] = True
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["collection", "query"],
        "properties": {
            "collection": COLLECTION,
            "query": {"type": "string", "description": "What is sought."},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "description": "How many parts; default 5.",
            },
            "where": WHERE,
            "explain": {
                "type": "boolean",
                "description": "true adds how each was found: its ranks, its similarity.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "source": {"type": "string"},
                "score": {"type": "number"},
                "heading": {"type": "string"},
                "metadata": {"type": "object"},
                "explain": {"type": "object"},
            },
            "required": ["text", "source", "score"],
        },
    }

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Search once."""
        found = await context.collections.search(
            SearchOrder(
                params["collection"],
                params["query"],
                params.get("limit", 5),
                params.get("where"),
            )
        )
        explain = params.get("explain", False)
        return Succeeded([_told(each, explain=explain) for each in found])


def _told(found: Found, *, explain: bool) -> dict[str, JSON]:
    told: dict[str, JSON] = {
        "text": found.text,
        "source": found.source,
        "score": round(found.score, 4),
        "heading": found.heading,
        "metadata": dict(found.metadata),
    }
    if explain:
        told["explain"] = {
            "id": found.id,
            "similarity": found.similarity,
            "coverage": found.coverage,
            "dense_rank": found.dense_rank,
            "keyword_rank": found.keyword_rank,
        }
    return told
