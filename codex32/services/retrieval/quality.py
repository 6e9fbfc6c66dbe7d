"""How well a collection finds what is known to be in it: measured, without a model as judge."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.database import fetch
from codex32.kernel.retrieval_rows import ChunkRow, DocumentRow
from codex32.services.retrieval import keeping
from codex32.services.retrieval.keeping import Collection

if TYPE_CHECKING:
    from codex32.services.retrieval.retrieval import Retrieval

#: Among the first of so many the document must be; of a small collection they are fewer, since
#: whoever answers at random finds the one document of four among the first five.
AMONG, _OF_EACH = 5, 8
SAMPLES = 60
_SENTENCE = re.compile(r"[^.!?\n]{40,300}[.!?\n]")
#: What is sought of a chunk that has no such sentence, as tables and lists have none.
_PIECE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and the documents that answer it; none where nothing does."""

    text: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """How many questions were asked, and how many found their document among the first."""

    asked: int
    found: int
    reciprocal_rank: float

    @property
    def share(self) -> float:
        """Of the questions that found it; 1 where none was asked."""
        return self.found / self.asked if self.asked else 1.0


def sampled(collection: Collection) -> list[Question]:
    """Sentences of the collection, each to be found in the document it was taken from."""
    query = (
        ChunkRow.select(ChunkRow.id, ChunkRow.text, DocumentRow.source)
        .join(DocumentRow, on=DocumentRow.id == ChunkRow.document_id)
        .where(ChunkRow.collection_id == collection.id)
        .order_by(ChunkRow.number)
        .tuples()
    )
    rows = fetch(query)
    # The same sample each time, so that a move that is tried again is judged alike.
    chance = random.Random(collection.id)  # noqa: S311 - nothing is kept secret by it
    asked = []
    for _, text, source in chance.sample(rows, min(SAMPLES, len(rows))):
        sentences = _SENTENCE.findall(text) or [text[:_PIECE_CHARACTERS]]
        asked.append(Question(chance.choice(sentences).strip(), (source,)))
    return asked


def among(collection: Collection) -> int:
    """Among the first of how many chunks a document must be."""
    return min(AMONG, 1 + keeping.count_chunks(collection.id) // _OF_EACH)


async def recall(
    retrieval: Retrieval,
    caller: ModelCaller,
    collection: Collection,
    asked: Sequence[Question],
    among: int = AMONG,
) -> Recall:
    """How many of the questions find their document by the vectors of ``collection`` alone.

    Words are left out: they find the same whatever the embedder.
    """
    found, ranks = 0, 0.0
    for question in asked:
        matches = await retrieval.nearest(caller, collection, question.text, among, None)
        sources = [str(each.metadata["source"]) for each in matches]
        rank = first_rank(sources, question.sources)
        if rank is not None:
            found += 1
            ranks += 1 / rank
    return Recall(len(asked), found, ranks / len(asked) if asked else 1.0)


def first_rank(found: Sequence[str], wanted: Sequence[str]) -> int | None:
    """The place of the first that is wanted, from 1."""
    return next((at for at, each in enumerate(found, 1) if each in wanted), None)


def gain(found: Sequence[str], wanted: Sequence[str]) -> float:
    """Normalised discounted cumulative gain of a list in which each document counts once."""
    seen: set[str] = set()
    value = 0.0
    for at, each in enumerate(found, 1):
        if each in wanted and each not in seen:
            seen.add(each)
            value += 1 / math.log2(at + 1)
    best = sum(1 / math.log2(at + 1) for at in range(1, min(len(wanted), len(found)) + 1))
    return value / best if best else 0.0
