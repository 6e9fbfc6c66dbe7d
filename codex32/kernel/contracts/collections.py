"""Documents that steps search in: indexed, found, and quoted in answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from codex32.kernel.caller import Caller
from codex32.kernel.contracts.gateway import ModelCaller
from codex32.kernel.contracts.program import FileGrant
from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class Document:
    """A document to be indexed.

    Attributes:
      source: What it is called in its collection: a name, or a URL.
      text: What it says; Markdown where ``media_type`` is ``text/markdown``. None where
        ``content`` is given.
      content: The bytes of a file.
      media_type: Such as ``application/pdf``; where it is empty, the end of ``source`` decides.
      metadata: What queries may filter by.
    """

    source: str
    text: str | None = None
    content: bytes | None = None
    media_type: str = ""
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndexOrder:
    """What is to be indexed into a collection, which is made if it is not there.

    Attributes:
      failed: Source and reason of each document that should be among them and could not be had:
        what is known of it stays.
      path: A file or a folder of this machine; absolute.
      include: Patterns of the files below a folder that are meant, such as ``**/*.md``; empty
        for all of the known kinds.
      scope: Whose documents they are. Those of the same scope that are not among them any more
        are removed; empty where none shall be.
      embedder: None for the collection's, or, where it is new, for the one of the settings.
      store: The vector store of a new collection; None for the one of the settings.
      words: How many a chunk aims at.
      overlap: How many two neighbours share.
    """

    collection: str
    documents: Sequence[Document] = ()
    failed: Sequence[tuple[str, str]] = ()
    path: str | None = None
    include: Sequence[str] = ()
    scope: str = ""
    embedder: str | None = None
    store: str | None = None
    words: int = 180
    overlap: int = 27


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What became of it, in documents.

    Attributes:
      failed: Source and reason of each that could not be read; what was known of it stays.
      chunks: How many the collection holds now.
      embedded: How many chunks an embedder had to be asked for.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: Sequence[tuple[str, str]] = ()
    chunks: int = 0
    embedded: int = 0


@dataclass(frozen=True, slots=True)
class SearchOrder:
    """What is sought.

    Attributes:
      where: What must hold of ``source`` and the metadata of a document, as ``read_filter``
        reads it.
      limit: From 1 to 100.
    """

    collection: str
    text: str
    limit: int = 5
    where: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A part of a document that fits a query.

    Attributes:
      text: As it stands in the document.
      source: The document.
      heading: The headings above it, joined with `` > ``.
      score: From 0 to 1: the ranks in both lists, fused; the higher the better.
      id: Of the chunk.
      similarity: Cosine to the query; None where only its words were found.
      coverage: Share of the query's telling words that stand in it, 0 to 1.
      dense_rank: Its place among the nearest, from 1; None where it is not among them.
      keyword_rank: Its place among those with the query's words; None likewise.
    """

    text: str
    source: str
    heading: str
    score: float
    id: str
    similarity: float | None = None
    coverage: float = 0.0
    dense_rank: int | None = None
    keyword_rank: int | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnswerOrder:
    """A question to a model that may only say what the documents say.

    Attributes:
      model: ``provider:model``.
      fallback: Models that are asked where that one does not answer.
      limit: How many parts of documents the model is given.
      threshold: A question for which nothing is found that fits as well (0 to 1) is not put to
        the model.
      instructions: What the answer should be like, from the author of the bot.
    """

    collection: str
    question: str
    model: str
    fallback: Sequence[str] = ()
    limit: int = 6
    where: Mapping[str, JSON] | None = None
    threshold: float = 0.35
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim of an answer, and what stands behind it.

    Attributes:
      claim: A sentence of the model.
      quote: What it quoted for it.
      source: The document; where the model named the wrong one, that which holds the quote.
      chunk: Id of the part that holds it; empty where none does.
      status: ``supported``: the quote stands in the part it names, to the letter but for white
        space and case. ``misattributed``: it stands in another. ``stitched``: its pieces stand
        in the parts, the whole in none. ``absent``: it does not stand there.
    """

    claim: str
    quote: str
    source: str
    chunk: str
    status: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the documents say, as a model puts it.

    Attributes:
      text: The claims that hold, each with the number of its source in brackets; empty where
        nothing was found.
      citations: All claims of the model, those that were left out included.
      found: Whether the documents answer the question.
      sources: What the numbers in brackets stand for, from 1.
      model: What answered; empty where none was asked.
      cost_nano_usd: In billionths of a US dollar.
    """

    text: str
    citations: Sequence[Citation]
    found: bool
    sources: Sequence[str] = ()
    model: str = ""
    cost_nano_usd: int = 0


class Collections(ABC):
    """The collections of the workspace whose step this is."""

    @abstractmethod
    async def index(self, order: IndexOrder) -> IndexReport:
        """Bring a collection to what the order says; unchanged documents cost nothing.

        Interrupted, it goes on from the last batch when it is called again.

        Raises:
          CollectionBusy: Somebody else changes it.
          EmbedderChanged: The collection was made with another embedder.
          CapabilityRefused: ``allow.files`` does not name the path.
          ModelFault: The embedder does not answer.
        """

    @abstractmethod
    async def search(self, order: SearchOrder) -> Sequence[Found]:
        """What fits best, the best first: near in meaning or in words.

        Raises:
          CollectionNotFound: The workspace has none of this name.
          ModelFault: The embedder does not answer.
        """

    @abstractmethod
    async def answer(self, order: AnswerOrder) -> Answer:
        """Have a model answer from what is found, and check every quote.

        Raises:
          CollectionNotFound: The workspace has none of this name.
          ModelFault: No model answers.
          CapabilityRefused: ``allow.models`` does not name the model.
        """


@dataclass(frozen=True, slots=True)
class CollectionCaller:
    """On whose behalf collections are used, and what it may.

    Attributes:
      models: Whom calls of models are booked to; the collections of its workspace are meant.
      files: Paths of this machine that may be read.
      hosts: Hosts that an answer may lead to.
      log: Takes a line about how far the work is.
      by: Who asks, for the audit log; None for a step, whose execution tells.
    """

    models: ModelCaller
    files: Sequence[FileGrant] = ()
    hosts: Sequence[str] = ()
    log: Callable[[str], None] = lambda line: None
    by: Caller | None = None


class CollectionKeeper(ABC):
    """Keeps collections, whoever asks; see :class:`Collections`."""

    @abstractmethod
    async def index(self, caller: CollectionCaller, order: IndexOrder) -> IndexReport:
        """As :meth:`Collections.index`, for this caller."""

    @abstractmethod
    async def search(self, caller: CollectionCaller, order: SearchOrder) -> Sequence[Found]:
        """As :meth:`Collections.search`, for this caller."""

    @abstractmethod
    async def answer(self, caller: CollectionCaller, order: AnswerOrder) -> Answer:
        """As :meth:`Collections.answer`, for this caller."""


class CollectionsOf(Collections):
    """What a keeper does for one caller."""

    def __init__(self, keeper: CollectionKeeper, caller: CollectionCaller) -> None:
        self._keeper, self._caller = keeper, caller

    async def index(self, order: IndexOrder) -> IndexReport:
        """Bring a collection to what the order says."""
        return await self._keeper.index(self._caller, order)

    async def search(self, order: SearchOrder) -> Sequence[Found]:
        """What fits best."""
        return await self._keeper.search(self._caller, order)

    async def answer(self, order: AnswerOrder) -> Answer:
        """Have a model answer from what is found."""
        return await self._keeper.answer(self._caller, order)
