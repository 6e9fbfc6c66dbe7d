"""Vectors: in which space they are, whether they may be kept, and how."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Sequence

from codex32.kernel.contracts.embedder import Vector
from codex32.kernel.json_values import canonical
from codex32.kernel.model_errors import ModelFault
from codex32.services.retrieval.chunking import CHUNKER

#: Changes with the way in which vectors are prepared before they are kept; ``windows`` is how the
#: gateway cuts a text that its embedder does not read whole.
PREPARATION = "l2,prefix:source>heading,windows:2"


def fingerprint(embedder: str, dimension: int) -> str:
    """The space of vectors: those of different fingerprints are never compared."""
    parts = [embedder, dimension, PREPARATION, CHUNKER]
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def checked(vectors: Sequence[Vector], count: int, dimension: int) -> list[list[float]]:
    """Vectors as they are kept: as many as were asked for, of length 1 or all zeros.

    Raises:
      ModelFault: There are more or fewer, or one is of another length or no vector at all.
    """
    if len(vectors) != count:
        raise _malformed(f"{count} texts were embedded, and {len(vectors)} vectors came back")
    return [_checked(vector, dimension) for vector in vectors]


def _checked(vector: Vector, dimension: int) -> list[float]:
    if len(vector) != dimension:
        raise _malformed(f"a vector has {len(vector)} numbers and not {dimension}")
    numbers = [float(number) for number in vector]
    length = math.hypot(*numbers)
    if not math.isfinite(length):
        raise _malformed("a vector holds what is no number")
    return [number / length for number in numbers] if length else numbers


def _malformed(what: str) -> ModelFault:
    return ModelFault("malformed", f"the embedder answered with nonsense: {what}", billed="yes")


def pack(vector: Sequence[float]) -> bytes:
    """A vector as its row holds it."""
    return array("f", vector).tobytes()


def unpack(packed: bytes | memoryview) -> list[float]:
    """The vector of a row."""
    return array("f", bytes(packed)).tolist()


def similarity(one: Sequence[float], other: Sequence[float]) -> float:
    """Cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))
