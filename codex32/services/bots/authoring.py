"""Definitions that people and programs send: read, merged, and given back as they were written."""

from __future__ import annotations

from collections.abc import Mapping

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml
from codex32.kernel.caller import Caller
from codex32.kernel.errors import BotReadOnly, Codex32Error
from codex32.kernel.json_values import JSON, canonical, loads
from codex32.kernel.models import VersionRow
from codex32.services.bots import bots
from codex32.services.bots.written import FILE, Written


def as_yaml(version: VersionRow, reader: Reader) -> str:
    """A version as YAML that gives this version again: as it was written, if that does.

    A file may hold several bots, or name code that stands beside it; then the definition is
    written anew, and code stands in it.
    """
    document = loads(version.document)
    return version.text if says(version.text, document, reader) else to_yaml(document)


def says(text: str, document: Mapping[str, JSON], reader: Reader) -> bool:
    """Whether a text is that of one bot, and gives this definition all by itself."""
    if not text:
        return False
    try:
        bot = reader.read_text(text, default_name=document["name"]).only_bot()
    except Codex32Error:
        return False
    return canonical(bot.document) == canonical(document)


def switched(name: str, reader: Reader, caller: Caller, *, enabled: bool) -> Written:
    """The live version of a bot, saying whether it may be started; reads rows.

    One that waits for approval is no answer to who wants the live one stopped.

    Raises:
      BotNotFound: The caller's workspace has no such bot.
      BotReadOnly: It belongs to a file.
    """
    row = bots.there(name, workspace=caller.workspace)
    if row.origin == FILE:
        raise BotReadOnly(name, row.source)
    version = bots.version_of(row.active_version_id or row.pending_version_id)
    if version is None:
        raise bots.never_live(row)
    document = {**loads(version.document), "enabled": enabled}
    bot = reader.check_document(document).only_bot()
    message = "enabled" if enabled else "disabled"
    return Written.of(bot, "", row.origin, author=caller.name, message=message)


def merged(target: JSON, patch: JSON) -> JSON:
    """A value after a merge patch (RFC 7396): null removes a key, and lists are replaced."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out
