"""Whether what a model says it read stands where it says: computed, never judged by a model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

Status: TypeAlias = Literal["supported", "misattributed", "stitched", "absent"]

#: A quote of fewer letters and digits proves nothing, wherever it stands.
_SHORTEST: Final = 8
#: Pieces of a stitched quote are at least so many words.
_PIECE_WORDS: Final = 3
_MARKS = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',
                        "\u2013": "-", "\u2014": "-", "\u00ad": ""})  # fmt: skip
_SPACES = re.compile(r"\s+")
#: What models leave out or put around a quote, and what Markdown puts into it.
_DECORATION = re.compile(r"[*_`]+")
#: Scripts that write words without spaces between them: any letter may begin one.
_WITHOUT_SPACES = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
_GAP = re.compile(r"\.\.\.|\u2026|\[\.\.\.\]")
#: Accents that one letter may bear; the longest that any language writes is far below this.
_MOST_ACCENTS: Final = 30


def normal(text: str) -> str:
    """A text without what a quote may differ in: white space, case, kinds of quotation marks."""
    text = unicodedata.normalize("NFKC", _stream_safe(text)).translate(_MARKS)
    return _SPACES.sub(" ", _DECORATION.sub("", text)).casefold().strip(" \"'")


def _stream_safe(text: str) -> str:
    """A text without the accents that no letter bears (UAX #15, Stream-Safe Text Format).

    To put them in order takes the square of how many there are.
    """
    if text.isascii():
        return text
    kept, accents = [], 0
    for letter in text:
        accents = accents + 1 if unicodedata.combining(letter) else 0
        if accents <= _MOST_ACCENTS:
            kept.append(letter)
    return "".join(kept)


def status_of(quote: str, cited: int | None, texts: Sequence[str]) -> tuple[Status, int | None]:
    """What a quote is, and the place of the text that holds it.

    Args:
      quote: As the model wrote it.
      cited: The place in ``texts`` that it names; None where it names none that is there.
      texts: The parts of documents it was given.
    """
    wanted = normal(quote)
    if sum(map(str.isalnum, wanted)) < _SHORTEST:
        return "absent", None
    sources = [normal(text) for text in texts]
    if cited is not None and _stands(wanted, sources[cited]):
        return "supported", cited
    for place, source in enumerate(sources):
        if _stands(wanted, source):
            return "misattributed", place
    return ("stitched" if _is_stitched(quote, wanted, sources) else "absent"), None


def _stands(words: str, source: str) -> bool:
    """Whether a source has these words: "reliable" does not stand in "unreliable"."""
    at = source.find(words)
    while at >= 0:
        end = at + len(words)
        torn = _one_word(source[max(at - 1, 0) : at], words[0])
        if not torn and not _one_word(words[-1], source[end : end + 1]):
            return True
        at = source.find(words, at + 1)
    return False


def _one_word(before: str, after: str) -> bool:
    """Whether two neighbours belong to one word."""
    both = before + after
    return before.isalnum() and after.isalnum() and _WITHOUT_SPACES.search(both) is None


def _is_stitched(quote: str, wanted: str, sources: Sequence[str]) -> bool:
    """Whether all of it stands in the sources, in pieces that nobody wrote together."""
    if len(parts := [part for each in _GAP.split(quote) if (part := normal(each))]) > 1:
        return all(any(_stands(part, source) for source in sources) for part in parts)
    words = wanted.split()
    at = 0
    while at < len(words):
        longest = max((_run(words, at, source) for source in sources), default=0)
        if longest < min(_PIECE_WORDS, len(words)):
            return False
        at += longest
    return True


def _run(words: Sequence[str], at: int, source: str) -> int:
    """How many words from ``at`` on stand together in a source."""
    count = 0
    while at + count < len(words) and _stands(" ".join(words[at : at + count + 1]), source):
        count += 1
    return count
