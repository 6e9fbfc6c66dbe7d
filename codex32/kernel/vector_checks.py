"""What no vector store may be given, refused before any of them sees it.

Stores differ in what they do with a NaN, an empty vector or a NUL: some keep it and answer
nonsense ever after. So each calls these first, and all of them refuse the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from codex32.kernel.contracts.embedder import Vector
from codex32.kernel.contracts.vector_store import VectorRecord
from codex32.kernel.json_values import JSON
from codex32.kernel.vector_errors import DimensionMismatch, RecordInvalid
from codex32.kernel.vector_filters import (
    FILTER_KEY,
    AllOf,
    AnyOf,
    Between,
    Equals,
    Filter,
    Not,
    OneOf,
    facts,
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
#: As many as every store answers at once.
LIMIT_MOST = 1000
BATCH_MOST = 1000
#: Of one record: texts, numbers and booleans, those in lists counted each.
FACTS_MOST = 512
ID_BYTES = 256
#: Of text and metadata together; what hosted stores take is 40 KB with what they add.
RECORD_BYTES = 32 * 1024
#: Lengths beyond these lose their precision, or themselves, in the 32-bit floats stores keep.
_SHORTEST, _LONGEST = 1e-9, 1e9


def check_collection(name: str, dimension: int | None = None) -> None:
    """Refuse a name that is not ``[a-z][a-z0-9_]{0,47}``, or a dimension outside 1 … 4096.

    Raises:
      RecordInvalid: It is so; the message names it.
    """
    if not _NAME.fullmatch(name):
        raise RecordInvalid(
            f"{name!r} cannot name a collection: small letters, digits and _, at most 48"
        )
    if dimension is not None and not 1 <= dimension <= 4096:
        raise RecordInvalid(f"vectors have 1 to 4096 numbers, not {dimension}")


def check_records(records: Sequence[VectorRecord], dimension: int) -> None:
    """Refuse the whole batch for one record that is not sound.

    At most 1000 records. Ids are 1 to 256 bytes of UTF-8 without NUL, no two alike; text and
    metadata (as JSON) have at most 32 KiB together, with at most 512 values that a filter can
    ask for; vectors have ``dimension`` finite numbers and a length that is not 0.

    Raises:
      DimensionMismatch: A vector has another length.
      RecordInvalid: Anything else; the message names the record.
    """
    if len(records) > BATCH_MOST:
        raise RecordInvalid(f"{len(records)} records are too many at once; {BATCH_MOST} fit")
    seen: set[str] = set()
    for record in records:
        check_id(record.id)
        if record.id in seen:
            raise RecordInvalid(f"the record {record.id!r} stands twice in one batch")
        seen.add(record.id)
        _check_vector(record.vector, dimension, f"the vector of {record.id!r}")
        _check_content(record)


def check_query(vector: Vector, dimension: int, limit: int, where: Filter | None = None) -> None:
    """Refuse what cannot be asked: as with records, and a limit outside 1 … 1000.

    Raises:
      DimensionMismatch: The vector has another length.
      RecordInvalid: Anything else.
    """
    _check_vector(vector, dimension, "the query")
    check_limit(limit)
    if where is not None:
        _check_filter(where)


def check_limit(limit: int) -> None:
    """Refuse a limit outside 1 … 1000.

    Raises:
      RecordInvalid: It is outside.
    """
    if not 1 <= limit <= LIMIT_MOST:
        raise RecordInvalid(f"a limit is 1 to {LIMIT_MOST}, not {limit}")


def check_id(record_id: str) -> None:
    """Refuse an id that some store cannot keep.

    Raises:
      RecordInvalid: It is empty, longer than 256 bytes of UTF-8, or holds NUL.
    """
    size = len(_bytes(record_id, "an id"))
    if not 1 <= size <= ID_BYTES or "\0" in record_id:
        raise RecordInvalid(f"{record_id[:60]!r} is no id: 1 to {ID_BYTES} bytes without NUL")


def _check_vector(vector: Vector, dimension: int, whose: str) -> None:
    if len(vector) != dimension:
        raise DimensionMismatch(dimension, len(vector))
    try:
        length = math.hypot(*vector)
    except (TypeError, OverflowError):
        raise RecordInvalid(f"{whose} holds something that is no number") from None
    if not math.isfinite(length):  # so it is if any number is not
        raise RecordInvalid(f"{whose} holds a number that is not finite")
    if length == 0:
        raise RecordInvalid(f"{whose} is all zeros and points nowhere; leave it out")
    if not _SHORTEST <= length <= _LONGEST:
        raise RecordInvalid(
            f"{whose} has the length {length:g}; {_SHORTEST:g} to {_LONGEST:g} fit"
        )


def check_metadata(metadata: Mapping[str, JSON], whose: str) -> str:
    """Refuse metadata that some store cannot keep; it is answered as JSON.

    Raises:
      RecordInvalid: It is so; the message begins with ``whose``.
    """
    try:
        told = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RecordInvalid(f"{whose} has metadata that is no JSON: {error}") from None
    if "\\u0000" in told.replace("\\\\", ""):
        raise RecordInvalid(f"{whose} has NUL in its metadata, which databases refuse")
    if (size := len(_bytes(told, f"the metadata of {whose}"))) > RECORD_BYTES:
        raise RecordInvalid(f"{whose} has {size} bytes of metadata; at most {RECORD_BYTES} fit")
    if len(told) > FACTS_MOST and len(facts(metadata)) > FACTS_MOST:
        raise RecordInvalid(f"{whose} has more than {FACTS_MOST} values in its metadata")
    return told


def _check_content(record: VectorRecord) -> None:
    whose = f"the record {record.id!r}"
    metadata = check_metadata(record.metadata, whose)
    if "\0" in record.text:
        raise RecordInvalid(f"{whose} holds NUL, which databases refuse")
    size = len(_bytes(record.text + metadata, whose))
    if size > RECORD_BYTES:
        raise RecordInvalid(
            f"{whose} has {size} bytes of text and metadata; "
            f"at most {RECORD_BYTES} fit, so cut the text into smaller chunks"
        )


def _check_filter(where: Filter) -> None:
    match where:
        case Equals(key, value):
            _check_operands(key, [value])
        case OneOf(key, values):
            _check_operands(key, values)
        case Between(key):
            bounds = (where.at_least, where.above, where.at_most, where.below)
            # Of a whole number, also that it is not larger than any that is compared.
            _check_operands(key, [_real(bound) for bound in bounds if bound is not None])
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                _check_filter(part)
        case Not(part):
            _check_filter(part)


def _check_operands(key: str, values: Sequence[str | float]) -> None:
    if not FILTER_KEY.fullmatch(key):
        raise RecordInvalid(f"{key!r} is no key that a filter can ask for")
    for value in values:
        if isinstance(value, str):
            _bytes(value, "a filter")
        elif isinstance(value, float) and not math.isfinite(value):
            raise RecordInvalid(f"a filter asks for {value}, which no metadata holds")


def _real(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _bytes(text: str, whose: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise RecordInvalid(f"{whose} holds half a character (a lone surrogate)") from None
