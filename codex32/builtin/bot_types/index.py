"""Documents brought into a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from codex32 import (
    JSON,
    BotType,
    Document,
    Effect,
    HttpRequest,
    IndexOrder,
    Outcome,
    Problem,
    StepContext,
    StepFault,
    Succeeded,
)

_GIVEN = ("path", "texts", "urls")
_FETCH_SECONDS, _FETCH_BYTES, _REDIRECTS = 60.0, 50 * 1024 * 1024, 5
COLLECTION = {
    "type": "string",
    "pattern": r"^[a-z][a-z0-9_-]{0,62}$|\$\{\{",
    "description": "Its name; it is of the workspace, and made when it is indexed into first.",
}


class IndexBotType(BotType):
    """Indexes a folder, texts or pages; what has not changed costs nothing."""

    name: ClassVar[str] = "index"
    summary: ClassVar[str] = "Bring documents into a collection."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["collection"],
        "properties": {
            "collection": COLLECTION,
            "path": {
                "type": "string",
                "description": "A file or a folder, absolute, named in allow.files: Markdown, "
                "text, HTML, PDF, DOCX and CSV. What is gone from it leaves the collection.",
            },
            "include": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Only files below path that match one of these, as **/*.md.",
            },
            "texts": {
                "type": "array",
                "description": "Texts, each with its name. Those that the step gave before and "
                "does not give any more leave the collection, but for steps with foreach.",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["source", "text"],
                    "properties": {
                        "source": {"type": "string", "description": "What it is called."},
                        "text": {"type": "string", "description": "Markdown."},
                        "metadata": {
                            "type": "object",
                            "description": "What where can ask for: texts, numbers, true, false.",
                            "additionalProperties": {"type": ["string", "number", "boolean"]},
                        },
                    },
                },
            },
            "urls": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Pages to fetch; their hosts are named in allow.hosts. "
                "As with texts, pages not named any more leave the collection. What is known "
                "of one that cannot be fetched stays; the step fails if none can.",
            },
            "chunk": {
                "type": "object",
                "additionalProperties": False,
                "description": "How documents are cut up.",
                "properties": {
                    "words": {
                        "type": "integer",
                        "minimum": 20,
                        "maximum": 1000,
                        "description": "Words that a chunk aims at; default 180.",
                    },
                    "overlap": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": 500,
                        "description": "Words that neighbours share; default 27.",
                    },
                },
            },
            "embedder": {
                "type": "string",
                "description": "Of a new collection; default: the setting retrieval.embedder.",
            },
            "store": {
                "type": "string",
                "description": "Vector store of a new collection; default: retrieval.store.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            **{name: {"type": "integer"} for name in ("added", "changed", "removed", "unchanged")},
            "failed": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"source": {"type": "string"}, "error": {"type": "string"}},
                },
            },
            "chunks": {"type": "integer"},
            "embedded": {"type": "integer"},
        },
        "required": ["added", "changed", "removed", "unchanged"],
    }

    def effect(self, params: Mapping[str, JSON]) -> Effect:
        """It may be done again: what is there already stays as it is."""
        return Effect.NONE

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """One of path, texts and urls; include only with path."""
        given = [key for key in _GIVEN if key in params]
        if len(given) != 1:
            return [Problem("needs one of path, texts and urls", code="missing")]
        if "include" in params and given != ["path"]:
            return [Problem("include is for path", path="include", code="conflict")]
        return ()

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Hand the documents over."""
        chunk = params.get("chunk", {})
        texts = [
            Document(each["source"], each["text"], metadata=each.get("metadata", {}))
            for each in params.get("texts", ())
        ]
        pages, failed = await _all_fetched(context, params.get("urls", ()))
        words = chunk.get("words", 180)
        report = await context.collections.index(
            IndexOrder(
                collection=params["collection"],
                documents=[*texts, *pages],
                failed=failed,
                path=params.get("path"),
                include=params.get("include", ()),
                scope=_scope(context, params),
                embedder=params.get("embedder"),
                store=params.get("store"),
                words=words,
                overlap=chunk.get("overlap", words * 15 // 100),
            )
        )
        return Succeeded(
            {
                "added": report.added,
                "changed": report.changed,
                "removed": report.removed,
                "unchanged": report.unchanged,
                "failed": [{"source": source, "error": why} for source, why in report.failed],
                "chunks": report.chunks,
                "embedded": report.embedded,
            }
        )


def _scope(context: StepContext, params: Mapping[str, JSON]) -> str:
    """Whose documents these are: a folder's own, whoever indexes it, or this step's."""
    if "path" in params:
        return f"path {params['path']}"
    if context.step.item is not None:
        # Each item would remove what the other items gave.
        return ""
    return f"step {context.execution.bot}/{context.step.id}"


async def _all_fetched(
    context: StepContext, urls: Sequence[str]
) -> tuple[list[Document], list[tuple[str, str]]]:
    """The pages that can be had, and why the others cannot.

    Raises:
      StepFault: Not one of them can.
    """
    pages: list[Document] = []
    faults: dict[str, StepFault] = {}
    for url in dict.fromkeys(urls):
        try:
            pages.append(await _fetched(context, url))
        except StepFault as fault:
            faults[url] = fault
    if faults and not pages:
        told = list(faults.values())
        # Where one of them can be had later on, trying again can help.
        raise next((each for each in told if each.retryable), told[0])
    return pages, [(url, str(fault)) for url, fault in faults.items()]


async def _fetched(context: StepContext, url: str) -> Document:
    request = HttpRequest(
        url, timeout_seconds=_FETCH_SECONDS, max_bytes=_FETCH_BYTES, follow=_REDIRECTS
    )
    response = await context.http.send(request)
    if not 200 <= response.status < 300:
        retryable = response.status in (408, 425, 429) or response.status >= 500
        told = f"{url} answered {response.status}"
        raise StepFault(told, retryable=retryable, code="http-status")
    media = next((v for k, v in response.headers.items() if k.lower() == "content-type"), "")
    return Document(url, content=response.body, media_type=media)
