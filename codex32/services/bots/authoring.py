"""Definitions that people and programs send: read, merged, and given back as they were written."""

from __future__ import annotations

from collections.abc import Mapping

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.writing import to_yaml
from codex32.kernel.errors import Codex32Error
from codex32.kernel.json_values import JSON, canonical, loads
from codex32.kernel.models import VersionRow


def as_yaml(version: VersionRow, reader: Reader) -> str:
    """A version as YAML that gives this version again: as it was written, if that does.

    A file may hold several bots, or name code that stands beside it; then the definition is
    written anew, and code stands in it.
    """
    document = loads(version.document)
    return version.text if _says(version.text, document, reader) else to_yaml(document)


def _says(text: str, document: Mapping[str, JSON], reader: Reader) -> bool:
    if not text:
        return False
    try:
        bot = reader.read_text(text, default_name=document["name"]).only_bot()
    except Codex32Error:
        return False
    return canonical(bot.document) == canonical(document)


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
