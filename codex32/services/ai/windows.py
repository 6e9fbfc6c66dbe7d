"""Texts that are longer than an embedder reads: cut in windows, of which the mean is taken.

Services differ in what they do with such a text: some refuse it, and some read its beginning and
say nothing. So it is never sent whole where its embedder tells how much it reads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from operator import mul

from codex32.kernel.contracts.embedder import Vector

#: One token at most, as the usual tokenizers cut texts that people wrote: of a long word four
#: letters, of a number two digits, and each other sign by itself, so also those of scripts that a
#: small model has no words of. What a text may cost is reckoned far more carefully: with
#: ``prices.TOKEN_BYTES`` a chunk of usual size would be two windows of a model that reads 512.
_TOKEN = re.compile(r"[a-zA-Z]{1,4}|\d{1,2}|\S")
#: Put around each text.
_AROUND = 2
#: A text that is refused though it is no longer than this is refused for something else.
_SHORTEST = 200


def windows(text: str, context_tokens: int | None) -> list[str]:
    """The text whole, or in parts of which none should have more tokens than are read."""
    if context_tokens is None or len(text) < 2 or _tokens(text) <= context_tokens:
        return [text]
    first, second = halves(text)
    return [*windows(first, context_tokens), *windows(second, context_tokens)]


def _tokens(text: str) -> int:
    return _AROUND + sum(1 for _ in _TOKEN.finditer(text))


def can_be_halved(text: str) -> bool:
    """Whether a text may be too long for a service that did not tell how much it reads."""
    return len(text) > _SHORTEST


def halves(text: str) -> tuple[str, str]:
    """A text of at least two characters in two, between words where there are any near."""
    middle = len(text) // 2
    space = max(text.rfind(" ", middle // 2, middle), text.rfind("\n", middle // 2, middle))
    cut = middle if space < 0 else space + 1
    return text[:cut], text[cut:]


def mean(parts: Sequence[str], vectors: Sequence[Vector]) -> Vector:
    """The vector of a text from those of its parts, the longer counting for more; of length 1."""
    if len(vectors) == 1:
        return vectors[0]
    weights = [float(len(part)) for part in parts]
    total = [sum(map(mul, weights, numbers)) for numbers in zip(*vectors, strict=True)]
    length = math.hypot(*total)
    return [number / length for number in total] if length else total
