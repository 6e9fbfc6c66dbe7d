"""Plain data as the YAML of bot files: it reads the same again, and definitions in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from codex32.engine.reading.document import plain_value
from codex32.engine.reading.key_order import SECTIONS, rank_of
from codex32.kernel.json_values import JSON

_WIDTH: Final = 100
#: Ends of lines to YAML 1.1, which would come back as others; quoted, they are escaped.
_BREAKS: Final = frozenset("\r\x85\u2028\u2029")


class _Dumper(yaml.SafeDumper):
    """PyYAML writes for YAML 1.1; bot files are read as YAML 1.2, so doubtful texts are quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        """Whatever stands twice is written twice: bot files have no aliases."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if not _BREAKS.isdisjoint(value):
        style = '"'
    elif "\n" in value:
        style = "|"
    elif not _is_itself(value):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_itself(value: str) -> bool:
    try:
        return isinstance(plain_value(value), str)
    except ValueError:
        return False


_Dumper.add_representer(str, _text)


def to_yaml(document: Mapping[str, JSON]) -> str:
    """The YAML of a definition; it has no comments, for these are no part of one."""
    return yaml_text(_ordered(document))


def yaml_text(value: JSON) -> str:
    """The YAML of any value, keys in their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text


def _ordered(document: Mapping[str, JSON]) -> dict[str, JSON]:
    out = _sorted(document, None)
    for section in SECTIONS:
        if isinstance(items := out.get(section), list):
            out[section] = [_sorted(each, section) for each in items]
    return out


def _sorted(mapping: Mapping[str, JSON], section: str | None) -> dict[str, JSON]:
    rank = rank_of(section)
    return {key: mapping[key] for key in sorted(mapping, key=rank)}
