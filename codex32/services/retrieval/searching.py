"""What fits a query: the nearest vectors and the rows with its words, their ranks fused.

The fusion is made here, over a list from the vector store and a list from SQL, so every store
finds the same. ``Reciprocal rank fusion``: a chunk has the sum of ``weight / (60 + rank)`` over
both lists, as share of what the first of both would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import peewee as pw

from codex32.kernel.batches import any_of, listed, one_of
from codex32.kernel.contracts.vector_store import Match
from codex32.kernel.database import fetch, is_sqlite
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import database_proxy
from codex32.kernel.retrieval_rows import ChunkRow, DocumentRow
from codex32.kernel.vector_filters import Filter, holds
from codex32.services.retrieval import terms
from codex32.services.retrieval.keeping import Collection

#: Ranks beyond the first few count nearly alike with this constant of the fusion.
RRF = 60
#: How long each of the two lists is, at least.
CANDIDATES = 50
#: A query of one word is the name of something: whoever has that name goes before its like.
EXACT_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk, and how it was found."""

    id: str
    text: str
    heading: str
    source: str
    metadata: Mapping[str, JSON]
    score: float
    similarity: float | None
    coverage: float
    dense_rank: int | None
    keyword_rank: int | None


def candidates(limit: int) -> int:
    """How many each list shall hold."""
    return max(CANDIDATES, limit * 4)


def keyword_list(collection: Collection, text: str, limit: int, where: Filter | None) -> list[str]:
    """Ids of chunks with the query's words, the best first."""
    wanted = terms.query_terms(text)
    if not wanted:
        return []
    among = None if where is None else _documents_of(collection, where)
    if among == []:
        return []
    rows = _sqlite if is_sqlite() else _postgresql
    return rows(collection, wanted, limit, among)


def _documents_of(collection: Collection, where: Filter) -> list[str]:
    row = DocumentRow
    query = row.select(row.id, row.source, row.metadata).where(row.collection_id == collection.id)
    return [
        document_id
        for document_id, source, metadata in fetch(query.tuples())
        if holds(where, {**loads(metadata), "source": source})
    ]


def _sqlite(
    collection: Collection, wanted: Sequence[str], limit: int, among: Sequence[str] | None
) -> list[str]:
    # Terms are letters and digits alone, and ids have an underscore: nothing needs escaping.
    match = f"collection_id : {collection.id} AND terms : ({' OR '.join(wanted)})"
    # Numbers of chunks are row ids of their words, so that only the best are looked up in the
    # table, unless a filter has to see all of them.
    only, values = "", [match]
    if among is not None:
        mine = f"SELECT number FROM chunk WHERE {any_of('document_id')}"  # noqa: S608 - our own
        only, values = f"AND rowid IN ({mine})", [match, listed(among)]
    cursor = database_proxy.execute_sql(
        "SELECT c.id FROM (SELECT rowid AS number, bm25(chunk_words, 0.0, 1.0) AS rank "  # noqa: S608
        f"FROM chunk_words WHERE chunk_words MATCH ? {only} ORDER BY rank, rowid LIMIT ?) AS best "
        "JOIN chunk c ON c.number = best.number ORDER BY best.rank, best.number",
        (*values, limit),
    )
    return [found for (found,) in cursor.fetchall()]


def _postgresql(
    collection: Collection, wanted: Sequence[str], limit: int, among: Sequence[str] | None
) -> list[str]:
    # Ids have an underscore and terms have none, so the collection stands among its words.
    asked = f"'{collection.id}' & ({' | '.join(wanted)})"
    only = "" if among is None else f"WHERE {any_of('document_id')}"
    # PostgreSQL ranks without regard to how rare a word is, so that is weighed in here.
    sql = f"""
    WITH hit AS MATERIALIZED (
        SELECT id, number, document_id, string_to_array(terms, ' ') AS terms FROM chunk
        WHERE array_to_tsvector(string_to_array(btrim(collection_id || ' ' || terms), ' '))
              @@ %s::tsquery
    ),
    found AS (
        SELECT id, number, document_id, word, cardinality(array_positions(terms, word)) AS tf
        FROM hit CROSS JOIN unnest(%s::text[]) AS word WHERE word = ANY(terms)
    ),
    rarity AS MATERIALIZED (
        SELECT word, ln(1 + (SELECT count(*) FROM chunk WHERE collection_id = %s)::float8
                            / (1 + count(*))) AS weight
        FROM found GROUP BY word
    )
    SELECT id FROM found JOIN rarity USING (word) {only}
    GROUP BY id, number ORDER BY sum(weight * tf * 2.2 / (tf + 1.2)) DESC, number LIMIT %s
    """  # noqa: S608 - our own names
    parameters = [asked, list(wanted), collection.id]
    if among is not None:
        parameters.append(listed(among))
    cursor = database_proxy.execute_sql(sql, (*parameters, limit))
    return [found for (found,) in cursor.fetchall()]


def fused(
    text: str, dense: Sequence[Match], keyword: Sequence[str]
) -> list[tuple[str, float, int | None, int | None]]:
    """Ids with their score, their place among the nearest and among those with the words."""
    weight = EXACT_WEIGHT if terms.is_exact(text) else 1.0
    by_vector = {match.id: at for at, match in enumerate(dense, 1)}
    by_words = {chunk_id: at for at, chunk_id in enumerate(keyword, 1)}
    whole = (1.0 + weight) / (RRF + 1)
    scored = []
    for chunk_id in dict.fromkeys((*by_vector, *by_words)):
        near, worded = by_vector.get(chunk_id), by_words.get(chunk_id)
        score = (1.0 / (RRF + near) if near else 0.0) + (
            weight / (RRF + worded) if worded else 0.0
        )
        scored.append((chunk_id, score / whole, near, worded))
    return sorted(scored, key=lambda each: (-each[1], each[2] or len(scored), each[0]))


def hits(
    collection: Collection,
    text: str,
    dense: Sequence[Match],
    keyword: Sequence[str],
    limit: int,
) -> list[Hit]:
    """The best of both lists, as the rows have them: what SQL no longer holds is not found."""
    ranked = fused(text, dense, keyword)
    similar = {match.id: match.score for match in dense}
    asked = frozenset(terms.query_terms(text))
    found: list[Hit] = []
    # The store may hold what is gone already, so a few more are looked up than are wanted.
    for start in range(0, len(ranked), limit * 2):
        part = ranked[start : start + limit * 2]
        rows = _rows(collection, [chunk_id for chunk_id, *_ in part])
        for chunk_id, score, near, worded in part:
            if chunk_id in rows and len(found) < limit:
                found.append(
                    _hit(
                        chunk_id, rows[chunk_id], asked, score, similar.get(chunk_id), near, worded
                    )
                )
        if len(found) == limit:
            break
    return found


def _hit(
    chunk_id: str,
    row: tuple[str, str, str, str, str],
    asked: frozenset[str],
    score: float,
    similarity: float | None,
    near: int | None,
    worded: int | None,
) -> Hit:
    text, heading, source, metadata, words = row
    return Hit(
        id=chunk_id,
        text=text,
        heading=heading,
        source=source,
        metadata=loads(metadata),
        score=score,
        similarity=similarity,
        coverage=len(asked & set(words.split())) / len(asked) if asked else 0.0,
        dense_rank=near,
        keyword_rank=worded,
    )


def _rows(collection: Collection, ids: Sequence[str]) -> dict[str, tuple[str, str, str, str, str]]:
    # The collection is compared here: told of it, SQLite goes through all its chunks instead of
    # looking up the few that are named.
    query = (
        ChunkRow.select(
            ChunkRow.id,
            ChunkRow.collection_id,
            ChunkRow.text,
            ChunkRow.heading,
            DocumentRow.source,
            DocumentRow.metadata,
            ChunkRow.terms,
        )
        .join(DocumentRow, pw.JOIN.INNER, on=DocumentRow.id == ChunkRow.document_id)
        .where(one_of(ChunkRow.id, ids))
        .tuples()
    )
    return {
        chunk_id: rest  # type: ignore[misc]
        for chunk_id, whose, *rest in fetch(query)
        if whose == collection.id
    }
