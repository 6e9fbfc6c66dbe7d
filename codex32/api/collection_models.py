"""What the API takes and answers of collections."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from codex32.api.models import Out
from codex32.api.reading import WITHOUT_NUL, Strict

_Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
_Source = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=WITHOUT_NUL)]
_Model = Annotated[str, StringConstraints(pattern=r"^[^:\s]+:\S+$", max_length=200)]


class CollectionsQuery(Strict):
    """Which collections, by name."""

    cursor: str = Field("", max_length=63, pattern=WITHOUT_NUL)
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class DocumentsQuery(Strict):
    """Which documents, by source."""

    cursor: str = Field("", max_length=1000, pattern=WITHOUT_NUL)
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class DocumentQuery(Strict):
    """One document."""

    source: _Source


class ChangingOut(Out):
    """Who changes a collection, and how far that is."""

    by: str
    stage: Literal["index", "embed", "store"] | None = Field(
        description="`index` counts documents, the others chunks; null where nothing was told yet."
    )
    done: int | None
    total: int | None
    document: str | None = Field(description="The first of those that are taken in just now.")


class CollectionOut(Out):
    """Documents that are searched together."""

    name: str
    embedder: str
    dimension: int
    store: str
    documents: int
    chunks: int
    pending: int = Field(description="Chunks that are not in the vector store yet.")
    former_embedder: str | None = Field(description="That before the last move, if there was one.")
    changing: ChangingOut | None = Field(description="Who changes it just now, if anybody does.")
    caution: str | None = Field(description="What to know before trusting what is found.")
    created_at: datetime
    updated_at: datetime


class DocumentOut(Out):
    """A document as it was read last."""

    source: str
    chunks: int
    characters: int
    metadata: dict[str, Any]
    indexed_at: datetime


class DocumentIn(Strict):
    """A document, or another text in its place; the collection is made if it is not there."""

    source: _Source
    text: str = Field(max_length=5_000_000, description="Markdown.")
    metadata: dict[str, str | int | float | bool] = Field(
        {}, description="What `where` of queries can ask for."
    )


class IndexedOut(Out):
    """What became of a document."""

    result: Literal["added", "changed", "unchanged"]
    chunks: int = Field(description="Of the whole collection.")
    embedded: int = Field(description="How many had to be embedded.")


class QueryIn(Strict):
    """What is sought."""

    text: _Text
    limit: Annotated[int, Field(ge=1, le=100)] = 5
    where: dict[str, Any] | None = Field(
        None, description="What must hold of a document: `source`, and its metadata."
    )


class FoundOut(Out):
    """A part of a document that fits, and how it was found."""

    source: str
    heading: str
    text: str
    score: float = Field(description="0 to 1: the ranks in both lists, fused.")
    similarity: float | None = Field(description="Cosine; null where its words alone were found.")
    coverage: float = Field(description="Share of the query's telling words that stand in it.")
    dense_rank: int | None
    keyword_rank: int | None
    metadata: dict[str, Any]


class FoundsOut(Out):
    """Parts of documents, the best first."""

    items: list[FoundOut]


class QuestionIn(Strict):
    """What is asked, and which model may answer."""

    question: _Text
    model: _Model
    fallback: list[_Model] = Field([], max_length=8)
    limit: Annotated[int, Field(ge=1, le=30)] = 6
    where: dict[str, Any] | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        0.35, description="Where nothing fits the question as well, no model is asked."
    )


class CitationOut(Out):
    """A claim of the answer, and whether its quote stands where the model says."""

    claim: str
    quote: str
    source: str
    status: Literal["supported", "misattributed", "stitched", "absent"]


class AnswerOut(Out):
    """What the documents say."""

    answer: str = Field(description="The claims that hold, with the numbers of their sources.")
    found: bool
    sources: list[str]
    citations: list[CitationOut]
    model: str = Field(description="What answered; empty where none was asked.")
    cost_usd: float
