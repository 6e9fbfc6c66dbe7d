"""Documents cut into chunks: parts of a size that an embedder grasps and a person reads.

A chunk stays below one heading, ends at the end of a paragraph or of a sentence where one is
near, and shares some words with the next, so that what stands at a cut is found from both sides.
Its text is a piece of the document, to the letter: quotes can be checked against it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from codex32.services.retrieval.sections import Section

#: Changes with everything below that changes what chunks are made.
CHUNKER = "1"
DEFAULT_WORDS = 180
DEFAULT_OVERLAP = 27
#: A section of fewer words joins the next one below the same parent.
_SMALL = 40
#: Scripts without spaces count by characters, and nothing is one word for ever.
_SPACELESS = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\s{_SPACELESS}]{{1,40}}")
_SENTENCE_END = re.compile(r"[.!?:;\u3002\uff01\uff1f]['\")\]]*\s")


@dataclass(frozen=True, slots=True)
class Cut:
    """How large chunks are, in words."""

    words: int = DEFAULT_WORDS
    overlap: int = DEFAULT_OVERLAP


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a document.

    Attributes:
      embedded: What is turned into a vector: where it stands, then the text.
      sha256: Of ``embedded``.
    """

    heading: str
    text: str
    embedded: str
    sha256: str


def chunks(source: str, sections: Sequence[Section], cut: Cut) -> list[Chunk]:
    """The chunks of a document, in order."""
    found = []
    for section in _joined(sections):
        heading = " > ".join(section.heading)
        for text in _parts(section.text, cut):
            embedded = embedded_text(source, heading, text)
            digest = hashlib.sha256(embedded.encode(errors="surrogatepass")).hexdigest()
            found.append(Chunk(heading, text, embedded, digest))
    return found


def embedded_text(source: str, heading: str, text: str) -> str:
    """What is turned into a vector: where a chunk stands, then its text."""
    return f"{source} > {heading}\n{text}" if heading else f"{source}\n{text}"


def _joined(sections: Sequence[Section]) -> Iterator[Section]:
    """Sections, small ones together with their next sibling."""
    held: Section | None = None
    for section in sections:
        if held is not None and held.heading and held.heading[:-1] == section.heading[:-1]:
            title = "" if section.heading == held.heading else "".join(section.heading[-1:])
            below = f"{title}\n{section.text}" if title else section.text
            section = Section(held.heading, f"{held.text}\n\n{below}")
        elif held is not None:
            yield held
        held = None
        if section.joins and len(_WORD.findall(section.text[: _SMALL * 41])) < _SMALL:
            held = section
        else:
            yield section
    if held is not None:
        yield held


def _parts(text: str, cut: Cut) -> Iterator[str]:
    found = _WORD.finditer(text)
    # Of a long text no more words are held than one chunk is chosen from.
    spans: list[tuple[int, int]] = []
    while True:
        spans += [match.span() for match in islice(found, _most(cut) + 1 - len(spans))]
        if not spans:
            return
        last = _end(text, spans, cut)
        yield text[spans[0][0] : spans[last - 1][1]]
        if last == len(spans):
            return
        # Always forward, however much two are to share.
        del spans[: max(last - cut.overlap, 1)]


def _most(cut: Cut) -> int:
    return cut.words * 4 // 3


def _end(text: str, spans: Sequence[tuple[int, int]], cut: Cut) -> int:
    """The word before which a chunk that begins with the first one ends."""
    least, most = cut.words * 2 // 3, _most(cut)
    if len(spans) <= most:
        return len(spans)
    ends = range(max(least, cut.overlap + 1), most + 1)
    return min(ends, key=lambda end: _cost(text, spans, end, cut.words))


def _cost(text: str, spans: Sequence[tuple[int, int]], end: int, words: int) -> tuple[float, int]:
    """How bad it is to end before the word ``end``: an open sentence is as bad as a third off."""
    between = text[spans[end - 1][1] - 2 : spans[end][0]]
    if "\n\n" in between:
        tear = 0.0
    elif _SENTENCE_END.search(between) or "\n" in between:
        tear = 0.15
    else:
        tear = 0.34
    return tear + abs(end - words) / words, end
