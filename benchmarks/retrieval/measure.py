"""Recall, ranks and gain over the project's own documents; speed over ten thousand chunks.

Nothing here is judged by a model. The documents are those of ``docs``; ``queries.jsonl`` names
for each query the documents that answer it, and for some that none does. Answers come from a
stand-in that quotes the sentence with most of the question's words, so the share of citations
that hold tells of the checking, and nothing of any model.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.report import Progress
from benchmarks.servers import Servers
from codex32.kernel.contracts.collections import (
    AnswerOrder,
    CollectionCaller,
    Document,
    IndexOrder,
    SearchOrder,
)
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.llm import Completion, CompletionRequest
from codex32.kernel.contracts.program import FileGrant
from codex32.runtime import Runtime, open_runtime, upgrade_schema
from codex32.services.retrieval import keeping, terms
from codex32.services.retrieval.quality import first_rank, gain
from codex32.services.retrieval.retrieval import Retrieval
from codex32.services.retrieval.storing import Index
from codex32_config.settings import load_settings

_AMONG = 5
_QUERIES = Path(__file__).with_name("queries.jsonl")
_SOURCE = re.compile(r"--- \w+ source (\d+): [^\n]*\n(.*?)\n--- \w+ end \1", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]{20,}[.!?]?")


def measure(servers: Servers, progress: Progress, *, chunks: int) -> dict[str, Any]:
    """Quality and speed, on SQLite and on PostgreSQL."""
    found: dict[str, Any] = {}
    for name in ("sqlite", "postgresql"):
        folder = servers.new_folder()
        with servers.database(name, folder) as url:
            found[name] = asyncio.run(_measure(url, folder, chunks))
        progress.tell(f"retrieval on {name}: {json.dumps(found[name])}")
    return found


async def _measure(url: str, home: Path, chunks: int) -> dict[str, Any]:
    from codex32.installed import load_plugins

    settings = load_settings(
        folder=home, overrides={"database_url": url, "home": str(home), "log.level": "error"}
    )
    plugins = load_plugins(settings)
    upgrade_schema(settings, plugins)
    runtime = open_runtime(settings, "cli", plugins=plugins)
    programs = runtime.programs()
    try:
        retrieval = runtime.retrieval(programs)
        later = datetime.now(UTC) + timedelta(hours=1)
        caller = CollectionCaller(
            ModelCaller("default", later, purpose="benchmark"), (FileGrant(str(ROOT / "docs")),)
        )
        return {
            **await _quality(retrieval, runtime, caller),
            **await _speed(retrieval, runtime, caller, chunks),
        }
    finally:
        await programs.close()
        for store in runtime.components.vector_stores.values():
            await store.close()
        await runtime.models.close()
        runtime.close()


async def _quality(
    retrieval: Retrieval, runtime: Runtime, caller: CollectionCaller
) -> dict[str, Any]:
    began = time.perf_counter()
    report = await retrieval.index(caller, IndexOrder("docs", path=str(ROOT / "docs")))
    seconds = time.perf_counter() - began
    collection = await runtime.door.read(keeping.get, "default", "docs")
    recalls, ranks, gains, refused, cited = [], [], [], [], []
    retrieval._models = _Quoting(retrieval._models)  # type: ignore[assignment]
    for line in _QUERIES.read_text().splitlines():
        entry = json.loads(line)
        text, wanted = entry["query"], entry["sources"]
        order = AnswerOrder("docs", text, "stand-in:quotes", limit=_AMONG)
        answer = await retrieval.answer(caller, order)
        if not wanted:
            refused.append(not answer.found)
            continue
        cited += [each.status == "supported" for each in answer.citations]
        hits = await retrieval.search(caller, SearchOrder("docs", text, 10))
        sources = [each.source for each in hits]
        rank = first_rank(sources, wanted)
        recalls.append(rank is not None and rank <= _AMONG)
        ranks.append(1 / rank if rank else 0.0)
        gains.append(gain(sources, wanted))
    return {
        "embedder": collection.embedder,
        "store": collection.store,
        "documents": report.added,
        "chunks": report.chunks,
        "index_seconds": round(seconds, 2),
        "queries": len(recalls),
        "recall_at_5": round(mean(recalls), 3),
        "mrr_at_10": round(mean(ranks), 3),
        "ndcg_at_10": round(mean(gains), 3),
        "citations_that_hold": round(mean(cited), 3) if cited else None,
        "unanswerable_refused": round(mean(refused), 3),
    }


async def _speed(
    retrieval: Retrieval, runtime: Runtime, caller: CollectionCaller, chunks: int
) -> dict[str, Any]:
    chance = random.Random(32)
    words = [f"{a}{b}" for a in "bcdfghklmnprstvz" for b in ("ada", "evi", "omu", "iral", "usk")]
    texts = [" ".join(chance.choices(words, k=150)) for _ in range(chunks)]
    documents = [Document(f"note {at}", text) for at, text in enumerate(texts)]
    began = time.perf_counter()
    report = await retrieval.index(caller, IndexOrder("many", documents))
    indexing = time.perf_counter() - began
    collection = await runtime.door.read(keeping.get, "default", "many")
    index = Index.of(collection)
    store = retrieval.storing.store(index)
    asked = [" ".join(chance.choices(words, k=6)) for _ in range(60)]
    await retrieval.search(caller, SearchOrder("many", asked[0]))
    embedder = runtime.components.embedder(collection.embedder)
    vectors = [
        (await embedder.embed([q], purpose="query", timeout_seconds=60, key=None)).vectors[0]
        for q in asked
    ]
    whole, bare = [], []
    # One after the other, so that both meet the same machine.
    for query, vector in zip(asked, vectors, strict=True):
        began = time.perf_counter()
        await retrieval.search(caller, SearchOrder("many", query))
        whole.append(time.perf_counter() - began)
        began = time.perf_counter()
        await store.query(index.name, vector, limit=50)
        bare.append(time.perf_counter() - began)
    return {
        "many_chunks": report.chunks,
        "many_index_seconds": round(indexing, 2),
        "query_ms": _percentiles(whole),
        "store_alone_ms": _percentiles(bare),
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1e3, 2), "p99": round(cuts[98] * 1e3, 2)}


class _Quoting:
    """Embeds as the gateway does, and answers with the sentence that has most of the words."""

    def __init__(self, gateway: Any) -> None:
        self.embed = gateway.embed

    async def complete(
        self, caller: ModelCaller, request: CompletionRequest, **_: Any
    ) -> Completion:
        prompt = request.messages[-1].text
        question = prompt.rpartition(" question\n")[2].partition("\n--- ")[0]
        asked = set(terms.query_terms(question))
        best = max(
            (
                (len(asked & set(terms.terms(sentence))), int(number), sentence)
                for number, text in _SOURCE.findall(prompt)
                for sentence in _SENTENCE.findall(text)
            ),
            default=(0, 0, ""),
        )
        claims = [{"text": best[2], "source": best[1], "quote": best[2]}] if best[0] else []
        return Completion("", value={"found": bool(claims), "claims": claims})
