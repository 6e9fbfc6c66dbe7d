"""Where definitions, and the code in them, come from: by digest, wherever they are saved later.

What a bot's builder wrote stays known as the builder's when somebody saves it as a file, and what
came from a file stays known as the file's when it is sent through the API: whoever was first with
a text in a workspace is its origin there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codex32.kernel.batches import Insert, one_of
from codex32.kernel.errors import VersionNotFound
from codex32.kernel.json_values import JSON
from codex32.kernel.models import BotRow, ProvenanceRow, VersionRow
from codex32.services.presentation import iso

_SECTIONS = ("steps", "on_failure", "finally")
_NEW = Insert(
    ProvenanceRow, ("workspace", "digest", "origin", "source", "version_id", "created_at")
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A definition as a whole (its path is empty), or a piece of code in it.

    Attributes:
      path: Dotted; steps go by their ids: ``steps.fetch.with.code``.
      digest: SHA-256.
    """

    path: str
    digest: str


def pieces(document: Mapping[str, JSON], digest: str) -> list[Piece]:
    """The parts of a definition whose origin is known, itself (of this digest) first."""
    codes = (Piece(path, _digest(code)) for path, code in _codes(document))
    return [Piece("", digest), *codes]


def remember(workspace: str, version: VersionRow, document: Mapping[str, JSON]) -> None:
    """Note where the parts of a new version come from; what was seen before stays as it was."""
    about = (version.origin, version.source, version.id, version.created_at)
    digests = dict.fromkeys(each.digest for each in pieces(document, version.digest))
    _NEW.write([(workspace, digest, *about) for digest in digests])


def told(
    workspace: str, document: Mapping[str, JSON], digest: str
) -> Sequence[Mapping[str, JSON]]:
    """The origin of each part of a definition, as plain data for JSON."""
    parts = pieces(document, digest)
    known = ProvenanceRow.select().where(
        (ProvenanceRow.workspace == workspace)
        & one_of(ProvenanceRow.digest, {each.digest for each in parts})
    )
    rows = {row.digest: row for row in known}
    return [_as_dict(each, rows[each.digest]) for each in parts if each.digest in rows]


#: Origin of what a model wrote.
BUILDER = "builder"


def origin_of(version_id: str, document: Mapping[str, JSON]) -> str:
    """Where a version comes from: ``builder`` where any part of it, wherever saved, does."""
    row = (
        VersionRow.select(VersionRow.origin, VersionRow.digest, BotRow.workspace)
        .join(BotRow, on=(BotRow.id == VersionRow.bot_id))
        .where(VersionRow.id == version_id)
        .tuples()
        .first()
    )
    if row is None:
        raise VersionNotFound(version_id)
    origin, digest, workspace = row
    parts = told(workspace, document, digest)
    return BUILDER if any(each["origin"] == BUILDER for each in parts) else str(origin)


def _as_dict(piece: Piece, row: ProvenanceRow) -> dict[str, JSON]:
    return {
        "path": piece.path,
        "digest": piece.digest,
        "origin": row.origin,
        "source": row.source,
        "since": iso(row.created_at),
    }


def _codes(document: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    if isinstance(code := _code(document), str):
        yield "with.code", code
    for section in _SECTIONS:
        for step in document.get(section) or ():
            if isinstance(code := _code(step), str):
                yield f"{section}.{step['id']}.with.code", code


def _code(step: Mapping[str, JSON]) -> JSON:
    return (step.get("with") or {}).get("code")


def _digest(text: str) -> str:
    # A lone surrogate has no UTF-8; the replacement is as good a name for it as any.
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
