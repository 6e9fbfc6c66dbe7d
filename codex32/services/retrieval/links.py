"""Links taken out of what a model wrote, unless they lead where the bot may go.

A document may ask a model to show a picture whose address carries away what it read, and whoever
shows the answer would fetch it. So pictures and links to other hosts do not leave.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

REMOVED = "[link removed]"
_MARKDOWN = re.compile(r"!?\[([^\[\]\n]*+)\]\(\s*+<?([^)>\s]*+)>?[^)]*+\)")
#: What a longer label leaves, one with brackets or line breaks in it.
_TARGET = re.compile(r"\]\(\s*+<?([^)>\s]*+)>?[^)]*+\)")
_REFERENCE = re.compile(r"^[ \t>*+\-0-9.)]*+\[[^\]\n]+\]:\s*\S.*$", re.MULTILINE)
_TAG = re.compile(r"<(?!https?:)[a-zA-Z!/][^<>]*>?")
#: What is left of a tag that stood around another one.
_TORN_TAG = re.compile(r"<(?!https?:)(?=[a-zA-Z!/?])")
_BARE = re.compile(
    r"(?:[a-zA-Z][a-zA-Z0-9+.\-]{1,20}:)?//[^\s<>\"')\]]+|\b(?:www\.)[^\s<>\"')\]]+"
    r"|\b(?:data|javascript|vbscript|mailto):[^\s<>\"')\]]+",
    re.IGNORECASE,
)


def without_foreign_links(text: str, hosts: Sequence[str]) -> str:
    """A text without HTML, and without pictures and links to hosts other than ``hosts``.

    These are as in ``allow.hosts``: ``*.example.com`` stands for every host below.
    """
    # Tags first: what stood on both sides of one may make a link.
    text = _TORN_TAG.sub("< ", _TAG.sub("", text))
    # Behind the last bracket no link ends. Looking for one there from each beginning took hours.
    end = text.rfind(")") + 1
    linked = _MARKDOWN.sub(lambda found: _markdown(found, hosts), text[:end])
    linked = _TARGET.sub(lambda found: _target(found, hosts), linked)
    text = _REFERENCE.sub("", linked + text[end:])
    return _BARE.sub(lambda found: _bare(found.group(), hosts), text)


def _markdown(found: re.Match[str], hosts: Sequence[str]) -> str:
    label, target = found.group(1), found.group(2)
    picture = found.group().startswith("!")
    if is_allowed(target, hosts) and not picture:
        return f"{label} ({target})" if label else target
    if picture and is_allowed(target, hosts):
        return found.group()
    return f"{label} {REMOVED}".strip()


def _target(found: re.Match[str], hosts: Sequence[str]) -> str:
    return found.group() if is_allowed(found.group(1), hosts) else f"] {REMOVED}"


def _bare(target: str, hosts: Sequence[str]) -> str:
    return target if is_allowed(target, hosts) else REMOVED


def is_allowed(target: str, hosts: Sequence[str]) -> bool:
    """Whether a URL leads to one of these hosts."""
    try:
        parts = urlsplit(target)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if parts.scheme.lower() not in ("http", "https") or not host or parts.username is not None:
        return False
    return any(_fits(host, each.lower()) for each in hosts)


def _fits(host: str, allowed: str) -> bool:
    allowed = allowed.partition(":")[0] if allowed.count(":") == 1 else allowed
    if allowed.startswith("*."):
        return host.endswith(allowed[1:])
    return host == allowed
