"""Where definitions, and the code in them, come from: by digest, wherever they are saved later.

What a bot's builder wrote stays known as the builder's when somebody saves it as a file, and what
came from a file stays known as the file's when it is sent through the API: whoever was first with
a text in a workspace is its origin there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from codex32.kernel.batches import Insert, any_of, listed, one_of
from codex32.kernel.database import fetch
from codex32.kernel.errors import VersionNotFound
from codex32.kernel.json_values import JSON
from codex32.kernel.models import ProvenanceRow, VersionRow, database_proxy
from codex32.kernel.text import file_told
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


#: Of versions: the workspace, the origin, and whether the whole of it was the builder's.
_ORIGINS = (
    "SELECT v.id, bot.workspace, v.origin, EXISTS (SELECT 1 FROM provenance p "  # noqa: S608
    f"WHERE p.workspace = bot.workspace AND p.origin = '{BUILDER}' AND p.digest = v.digest) "
    "FROM bot_version v JOIN bot ON bot.id = v.bot_id WHERE "
)


def origins_of(documents: Mapping[str, Mapping[str, JSON]]) -> dict[str, str]:
    """Where versions come from: ``builder`` where any part of one, wherever saved, does.

    Asked when versions are run for the first time, so it is one statement for all, and a second
    where any of them has code.

    Args:
      documents: Definitions by the ids of their versions; those without a row are left out.
    """
    rows = database_proxy.execute_sql(_ORIGINS + any_of("v.id"), (listed(documents),)).fetchall()
    codes = {key: {_digest(code) for _, code in _codes(documents[key])} for key, *_ in rows}
    made = _made(set().union(*codes.values()))
    return {
        key: BUILDER if whole or any((space, code) in made for code in codes[key]) else str(origin)
        for key, space, origin, whole in rows
    }


def origin_of(version_id: str, document: Mapping[str, JSON]) -> str:
    """As :func:`origins_of`, of one version."""
    found = origins_of({version_id: document})
    if version_id not in found:
        raise VersionNotFound(version_id)
    return found[version_id]


def _made(digests: Collection[str]) -> set[tuple[str, str]]:
    """The workspaces in which a builder wrote code of these digests, with them."""
    if not digests:
        return set()
    mine = (ProvenanceRow.origin == BUILDER) & one_of(ProvenanceRow.digest, digests)
    return set(
        fetch(ProvenanceRow.select(ProvenanceRow.workspace, ProvenanceRow.digest).where(mine))
    )


def _as_dict(piece: Piece, row: ProvenanceRow) -> dict[str, JSON]:
    return {
        "path": piece.path,
        "digest": piece.digest,
        "origin": row.origin,
        "source": file_told(row.source),
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
