"""A question answered from documents, with quotes that were checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from codex32 import JSON, AnswerOrder, BotType, Outcome, StepContext, Succeeded
from codex32.builtin.bot_types.index import COLLECTION
from codex32.builtin.bot_types.retrieve import WHERE


class AnswerBotType(BotType):
    """Has a model answer from a collection; what it cannot quote, it did not say."""

    name: ClassVar[str] = "answer"
    summary: ClassVar[str] = "Answer a question from a collection, with checked quotes."
    only_reads: ClassVar[bool] = True
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["collection", "question", "model"],
        "properties": {
            "collection": COLLECTION,
            "question": {"type": "string", "description": "What is asked."},
            "model": {"type": "string", "description": "provider:model, named in allow.models."},
            "fallback": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 8,
                "description": "Models that are asked where the one before does not answer.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 30,
                "description": "How many parts of documents the model is given; default 6.",
            },
            "where": WHERE,
            "threshold": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "Where nothing fits the question as well as this, no model is "
                "asked and nothing is found; default 0.35.",
            },
            "instructions": {
                "type": "string",
                "description": "What the answer should be like.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "found": {"type": "boolean"},
            "sources": {"type": "array", "items": {"type": "string"}},
            "citations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "claim": {"type": "string"},
                        "quote": {"type": "string"},
                        "source": {"type": "string"},
                        "status": {"enum": ["supported", "misattributed", "stitched", "absent"]},
                    },
                },
            },
        },
        "required": ["answer", "citations", "found"],
    }

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Search, ask, check."""
        answer = await context.collections.answer(
            AnswerOrder(
                collection=params["collection"],
                question=params["question"],
                model=params["model"],
                fallback=params.get("fallback", ()),
                limit=params.get("limit", 6),
                where=params.get("where"),
                threshold=params.get("threshold", 0.35),
                instructions=params.get("instructions", ""),
            )
        )
        return Succeeded(
            {
                "answer": answer.text,
                "found": answer.found,
                "sources": list(answer.sources),
                "citations": [
                    {
                        "claim": each.claim,
                        "quote": each.quote,
                        "source": each.source,
                        "status": each.status,
                    }
                    for each in answer.citations
                ],
            }
        )
