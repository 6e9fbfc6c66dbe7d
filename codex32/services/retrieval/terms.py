"""Words as the keyword index has them: the same on SQLite and on PostgreSQL.

An identifier is found whole and by its parts: ``retry.max_attempts`` gives itself, ``retry``,
``max`` and ``attempts``. Each term is written in letters and digits alone, so that no database
takes it apart once more or drops what its locale does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"\w+(?:[.\-/:]+\w+)*")
_PART = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LONGEST = 64
#: Words that say nothing about what is sought.
STOPWORDS = frozenset(
    [
        "a", "about", "an", "and", "are", "as", "at", "be", "by", "can", "do",
        "does", "for", "from", "has", "have", "how", "i", "if", "in", "is", "it",
        "its", "my", "of", "on", "or", "so", "than", "that", "the", "then", "there",
        "these", "they", "this", "to", "was", "we", "what", "when", "where", "which", "who",
        "why", "will", "with", "you", "your",
    ]
)  # fmt: skip


def terms(text: str) -> list[str]:
    """The terms of a text, in order, repeated as often as they stand there."""
    return [written(each) for each in words(text)]


def query_terms(text: str) -> list[str]:
    """The terms of a query, each once; words that say nothing only where there are no others."""
    found = list(dict.fromkeys(words(text)))
    telling = [each for each in found if each not in STOPWORDS]
    return [written(each) for each in telling or found]


def is_exact(text: str) -> bool:
    """Whether a query is one word: then somebody knows what it is called."""
    return len(text.split()) == 1


def words(text: str) -> Iterator[str]:
    """Words in small letters, identifiers also by their parts."""
    for match in _WORD.finditer(text):
        whole = match.group()
        parts = [_stem(each.casefold()) for each in _PART.findall(_CAMEL.sub(" ", whole))]
        if len(parts) != 1 or parts[0] != _stem(whole.casefold()):
            yield whole.casefold()[:_LONGEST]
        for part in parts:
            yield from _short(part)


def _short(part: str) -> Iterator[str]:
    if _WITHOUT_SPACES.search(part) and len(part) > 1:
        yield from (part[at : at + 2] for at in range(len(part) - 1))
    else:
        yield part[:_LONGEST]


def _stem(word: str) -> str:
    """Without the ending of a plural, as far as one can tell without a dictionary."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def written(word: str) -> str:
    """A word as the index has it."""
    if word.isascii() and word.isalnum():
        return f"w{word}"
    return f"x{word.encode(errors='surrogatepass').hex()}"
