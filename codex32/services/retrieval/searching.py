"""What fits a query: the nearest vectors and the rows with its words, their ranks fused.

The fusion is made here, over a list from the vector store and a list from SQL, so every store
finds the same. ``Reciprocal rank fusion``: a chunk has the sum of ``weight / (60 + rank)`` over
both lists, as share of what the first of both would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codex32.kernel.batches import any_of, listed
from codex32.kernel.contracts.vector_store import Match
from codex32.kernel.database import fetch, is_sqlite
from codex32.kernel.json_values import JSON, loads
from codex32.kernel.models import database_proxy
from codex32.kernel.retrieval_rows import DocumentRow
from codex32.kernel.vector_filters import Filter, holds
from codex32.services.retrieval import terms
from codex32.services.retrieval.keeping import Collection

#: Ranks beyond the first few count nearly alike with this constant of the fusion.
RRF = 60
#: How long each of the two lists is, at least.
CANDIDATES = 50
#: A query of one word is the name of something: whoever has that name goes before its like.
EXACT_WEIGHT = 3.0
#: Of so many chunks and more, a word that half of them have tells none apart; it is looked for
#: only where a query has no other. BM25 gives it no weight.
_MANY = 1000
#: What PostgreSQL's index knows of a chunk: its words, and which of them it has often.
_LEXEMES = "chunk_lexemes(collection_id, terms)"
#: Under which endings it knows a word that stands there twice, three times, five times; and what
#: each adds to ``tf * 2.2 / (tf + 1.2)``, by which BM25 values repetition: that is 1 for once.
_GRADES = "('_2', 0.375::float8), ('_3', 0.196), ('_5', 0.203)"
_ROWS = """
SELECT chunk.id, chunk.collection_id, chunk.text, heading, source, metadata, terms
FROM chunk JOIN document ON document.id = chunk.document_id WHERE """


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
    only, counted, filtered = "", "", []
    if among is not None:
        only, counted = f"AND {any_of('document_id')}", f"FILTER (WHERE {any_of('document_id')})"
        filtered = [listed(among)]
    # Planned for a word it knows, PostgreSQL would rather read all rows of a collection than ask
    # the index for one that most have: inside the lateral joins it knows none.
    sql = f"""
    WITH size AS MATERIALIZED (
        SELECT count(*)::float8 AS chunks FROM chunk WHERE collection_id = %s
    ),
    asked AS MATERIALIZED (
        SELECT word, chunks, numbers FROM unnest(%s::text[]) AS word CROSS JOIN LATERAL (
            SELECT count(*) AS chunks, array_agg(number) {counted} AS numbers FROM chunk
            WHERE {_LEXEMES} @@ (%s || word)::tsquery
        ) AS there WHERE chunks > 0
    ),
    telling AS MATERIALIZED (
        SELECT word, numbers, ln(1 + size.chunks / (1 + asked.chunks)) AS weight FROM asked, size
        WHERE size.chunks < {_MANY} OR asked.chunks < size.chunks / 2
              OR asked.chunks = (SELECT min(chunks) FROM asked)
    ),
    hit AS (
        SELECT unnest(numbers) AS number, weight FROM telling
        UNION ALL
        SELECT again.number, grade.weight FROM (
            SELECT word || suffix AS lexeme, weight * gain AS weight
            FROM telling CROSS JOIN (VALUES {_GRADES}) AS each (suffix, gain)
        ) AS grade CROSS JOIN LATERAL (
            SELECT number FROM chunk WHERE {_LEXEMES} @@ (%s || lexeme)::tsquery {only}
        ) AS again
    ),
    best AS (
        SELECT number, sum(weight) AS score FROM hit
        GROUP BY number ORDER BY score DESC, number LIMIT %s
    )
    SELECT id FROM best JOIN chunk USING (number) ORDER BY score DESC, number
    """  # noqa: S608 - our own names
    # Ids have an underscore at their fourth place and lexemes have none there, so that the
    # collection stands among its words.
    mine = f"'{collection.id}' & "
    parameters = [collection.id, list(wanted), *filtered, mine, mine, *filtered, limit]
    return [found for (found,) in database_proxy.execute_sql(sql, parameters).fetchall()]


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
    # The store may hold what is gone already; then the next are looked up.
    for start in range(0, len(ranked), limit):
        part = ranked[start : start + limit]
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
    there = f" {words} "
    return Hit(
        id=chunk_id,
        text=text,
        heading=heading,
        source=source,
        metadata=loads(metadata),
        score=score,
        similarity=similarity,
        coverage=sum(f" {each} " in there for each in asked) / len(asked) if asked else 0.0,
        dense_rank=near,
        keyword_rank=worded,
    )


def _rows(collection: Collection, ids: Sequence[str]) -> dict[str, tuple[str, str, str, str, str]]:
    # The collection is compared here: told of it, SQLite goes through all its chunks instead of
    # looking up the few that are named.
    rows = database_proxy.execute_sql(_ROWS + any_of("chunk.id"), (listed(ids),)).fetchall()
    return {chunk_id: rest for chunk_id, whose, *rest in rows if whose == collection.id}
