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
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median, quantiles
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
from codex32.kernel.contracts.embedder import Embedded, Embedder, EmbeddingPurpose, Vector
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.llm import Completion, CompletionRequest
from codex32.kernel.contracts.program import FileGrant
from codex32.kernel.contracts.vector_store import VectorStore
from codex32.runtime import Runtime, open_runtime
from codex32.services.retrieval import keeping, terms
from codex32.services.retrieval.quality import first_rank, gain
from codex32.services.retrieval.retrieval import Retrieval
from codex32.services.retrieval.searching import candidates
from codex32.services.retrieval.storing import Index
from codex32.tables import upgrade_schema
from codex32_config.settings import load_settings
from codex32_milvus.store import MilvusVectorStore

_AMONG = 5
#: Questions whose time is taken.
_ASKED = 150
_HEADS = tuple("bcdfghklmnprstvz")
_TAILS = ("ada", "evi", "omu", "iral", "usk", "ento", "yth", "oor")
_QUERIES = Path(__file__).with_name("queries.jsonl")
_SOURCE = re.compile(r"--- \w+ source (\d+): [^\n]*\n(.*?)\n--- \w+ end \1", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]{20,}[.!?]?")


def measure(servers: Servers, progress: Progress, *, chunks: int) -> dict[str, Any]:
    """Quality and speed, on SQLite and on PostgreSQL."""
    found: dict[str, Any] = {}
    known: dict[tuple[str, str], Vector] = {}
    for name in ("sqlite", "postgresql"):
        folder = servers.new_folder()
        with servers.database(name, folder) as url:
            found[name] = asyncio.run(_measure(url, folder, chunks, known))
        progress.tell(f"retrieval on {name}: {json.dumps(found[name])}")
    return found


async def _measure(
    url: str, home: Path, chunks: int, known: dict[tuple[str, str], Vector]
) -> dict[str, Any]:
    from codex32.installed import load_plugins

    settings = load_settings(
        folder=home, overrides={"database_url": url, "home": str(home), "log.level": "error"}
    )
    plugins = load_plugins(settings)
    upgrade_schema(settings, plugins)
    runtime = open_runtime(settings, "cli", plugins=plugins)
    programs = runtime.programs()
    retrieval = runtime.retrieval(programs)
    _remember(runtime.components.embedder(retrieval._defaults.embedder), known)
    try:
        later = datetime.now(UTC) + timedelta(hours=1)
        caller = CollectionCaller(
            ModelCaller("default", later, purpose="benchmark"), (FileGrant(str(ROOT / "docs")),)
        )
        return {
            **await _quality(retrieval, runtime, caller),
            **await _speed(retrieval, runtime, caller, chunks, url),
        }
    finally:
        await programs.close()
        await retrieval.close()
        await runtime.models.close()
        runtime.close()


def _remember(embedder: Embedder, known: dict[tuple[str, str], Vector]) -> None:
    """Have it compute each text once, whichever database asks: it is not what is measured."""
    compute = embedder.embed

    async def embed(texts: Sequence[str], *, purpose: EmbeddingPurpose, **how: Any) -> Embedded:
        new = [text for text in texts if (purpose, text) not in known]
        if new:
            made = await compute(new, purpose=purpose, **how)
            known.update(zip(((purpose, text) for text in new), made.vectors, strict=True))
        return Embedded([known[purpose, text] for text in texts])

    embedder.embed = embed  # type: ignore[method-assign]


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
    retrieval: Retrieval, runtime: Runtime, caller: CollectionCaller, chunks: int, url: str
) -> dict[str, Any]:
    """Ten thousand chunks, found by the store's own client and by the house.

    The embedder is the cheapest there is: a dearer one costs both the same and would hide the
    rest. Both ask for as many neighbours, by the same vectors, in the same index. ``by_hand`` is
    what whoever wants words besides would do without the house: the store's client, then the
    database's own full-text query.
    """
    chance = random.Random(32)
    words = _words(chance)
    texts = [" ".join(next(words) for _ in range(150)) for _ in range(chunks)]
    documents = [Document(f"note {at}", text) for at, text in enumerate(texts)]
    began = time.perf_counter()
    report = await retrieval.index(caller, IndexOrder("many", documents, embedder="hash"))
    indexing = time.perf_counter() - began
    collection = await runtime.door.read(keeping.get, "default", "many")
    index = Index.of(collection)
    store, embedder = retrieval.storing.store(index), runtime.components.embedder("hash")
    find = direct(store, index.name)
    # Questions have words of a document among others.
    asked = [
        " ".join([*chance.sample(chance.choice(texts).split(), 4), next(words), next(words)])
        for _ in range(_ASKED)
    ]
    count = candidates(SearchOrder("many", "").limit)

    async def alone(question: str) -> int:
        found = await embedder.embed([question], purpose="query", timeout_seconds=60, key=None)
        return await asyncio.to_thread(find, found.vectors[0], count)

    worded = in_words(url, collection.id)

    async def by_hand(question: str) -> int:
        return await alone(question) + await asyncio.to_thread(worded, question, count)

    async def dense(question: str) -> int:
        return len(await retrieval.nearest(caller.models, collection, question, count, None))

    async def hybrid(question: str) -> int:
        return len(await retrieval.search(caller, SearchOrder("many", question)))

    ways = {"alone": alone, "by_hand": by_hand, "dense": dense, "hybrid": hybrid}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # whatever is loaded or opened once
        await way(asked[0])
    for question in asked:
        # None always after the same other: what has just run leaves its mark on the caches.
        for name in chance.sample(list(ways), len(ways)):
            began = time.perf_counter()
            await ways[name](question)
            seconds[name].append(time.perf_counter() - began)
    return {
        "many_chunks": report.chunks,
        "many_index_seconds": round(indexing, 2),
        "candidates": count,
        **{f"{name}_ms": _figures(each) for name, each in seconds.items()},
        "dense_overhead_percent": _overhead(seconds["dense"], seconds["alone"]),
        "hybrid_overhead_percent": _overhead(seconds["hybrid"], seconds["alone"]),
        "hybrid_overhead_by_hand_percent": _overhead(seconds["hybrid"], seconds["by_hand"]),
    }


def _overhead(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, int]:
    return {
        "p50": round((median(ours) / median(theirs) - 1) * 100),
        "min": round((min(ours) / min(theirs) - 1) * 100),
    }


def in_words(url: str, collection_id: str) -> Callable[[str, int], int]:
    """The database's own full-text query over the same words, by its own driver."""
    if url.startswith("sqlite"):
        import sqlite3

        path = url.removeprefix("sqlite:///")
        lite = sqlite3.connect(path, check_same_thread=False)
        sql = (
            "SELECT c.id, c.text FROM (SELECT rowid AS number, rank FROM chunk_words "
            "WHERE chunk_words MATCH ? ORDER BY rank LIMIT ?) AS best "
            "JOIN chunk c ON c.number = best.number ORDER BY best.rank"
        )

        def find_lite(question: str, count: int) -> int:
            asked = " OR ".join(terms.query_terms(question))
            match = f"collection_id : {collection_id} AND terms : ({asked})"
            return len(lite.execute(sql, (match, count)).fetchall())

        return find_lite
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:  # whoever writes it by hand sees to it that it is used
        cursor.execute("SET enable_seqscan = off")
    query = (
        "SELECT id, text FROM chunk WHERE chunk_lexemes(collection_id, terms) @@ %s::tsquery "
        "ORDER BY ts_rank(array_to_tsvector(string_to_array(terms, ' ')), %s::tsquery) DESC "
        "LIMIT %s"
    )

    def find(question: str, count: int) -> int:
        asked = f"'{collection_id}' & ({' | '.join(terms.query_terms(question))})"
        with connection.cursor() as cursor:
            cursor.execute(query, (asked, asked, count))
            return len(cursor.fetchall())

    return find


def _words(chance: random.Random) -> Iterator[str]:
    """Words as texts have them: a few in every text, most in hardly any."""
    made = [f"{a}{b}{c}" for a in _HEADS for b in _TAILS for c in _HEADS + _TAILS]
    chance.shuffle(made)
    known = [*sorted(terms.STOPWORDS), *made]
    weights = [1 / rank for rank in range(1, len(known) + 1)]
    while True:
        yield from chance.choices(known, weights, k=10_000)


def direct(store: VectorStore, name: str) -> Callable[[Vector, int], int]:
    """The store's own client, asked for as much as the house asks of it; how many it found.

    Raises:
      LookupError: Nobody has said how this store is asked.
    """
    if isinstance(store, MilvusVectorStore):
        client = store._connected()

        def find(vector: Vector, count: int) -> int:
            (hits,) = client.search(
                name, data=[list(vector)], limit=count, output_fields=["id", "text", "metadata"]
            )
            return len(hits)

        return find
    raise LookupError(f"how {store.name} is asked directly is not known")


def _figures(seconds: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=100)
    told = {"min": min(seconds), "p50": cuts[49], "p99": cuts[98]}
    return {name: round(value * 1e3, 2) for name, value in told.items()}


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
