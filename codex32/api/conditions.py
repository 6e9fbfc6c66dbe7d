"""Conditions of requests (RFC 9110, 13.1): whether what is there is what the caller has seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from codex32.api.errors import PreconditionFailed, RequestInvalid
from codex32.kernel.problems import Problem

_TAG = r'(?:W/)?"[!#-~]*"'
_LIST = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")


def etag(tag: str, kind: str = "") -> str:
    """The header ``ETag`` of what has this tag; ``kind`` tells its representations apart."""
    return f'"{tag}.{kind}"' if kind else f'"{tag}"'


def precondition(headers: Mapping[str, str]) -> Callable[[str | None], None] | None:
    """What a request demands of the tag of what it changes; None where it demands nothing.

    The function that is given back takes the present tag, or None where nothing is there, and is
    called inside the write, so that nobody comes in between.

    Raises:
      RequestInvalid: A header is no list of entity tags.
    """
    match, none = _stated(headers, "If-Match"), _stated(headers, "If-None-Match")
    if match is None and none is None:
        return None
    wanted = None if match is None else _tags("If-Match", match)
    unwanted = None if none is None else _tags("If-None-Match", none)

    def check(tag: str | None) -> None:
        if wanted is not None and not _among(tag, wanted, weak=False):
            raise PreconditionFailed(
                "somebody changed it meanwhile: it is not what If-Match says; read it anew"
                if tag
                else "nothing is there that If-Match could be about"
            )
        if unwanted is not None and _among(tag, unwanted, weak=True):
            raise PreconditionFailed("If-None-Match says that it must not be there, and it is")

    return check


def is_known(headers: Mapping[str, str], tag: str, kind: str = "") -> bool:
    """Whether the caller has this representation already, so that 304 is the answer."""
    given = _stated(headers, "If-None-Match")
    if given is None:
        return False
    tags = _tags("If-None-Match", given)
    return "*" in tags or etag(tag, kind) in {each.removeprefix("W/") for each in tags}


def _stated(headers: Mapping[str, str], name: str) -> str | None:
    """What all lines of this header say: one list may stand in several (RFC 9110, 5.3)."""
    lines = [value for each, value in headers.items() if each.lower() == name.lower()]
    return ", ".join(lines) if lines else None


def _tags(name: str, text: str) -> frozenset[str]:
    if text.strip() == "*":
        return frozenset({"*"})
    if not _LIST.fullmatch(text):
        message = f'the header {name} must be * or entity tags: "TAG", "TAG"'
        raise RequestInvalid([Problem(message, name)])
    return frozenset(re.findall(_TAG, text))


def _among(tag: str | None, tags: frozenset[str], *, weak: bool) -> bool:
    """Any representation of it will do: they change together."""
    if tag is None:
        return False
    if weak:
        tags = frozenset(each.removeprefix("W/") for each in tags)
    return "*" in tags or any(each == etag(tag) or each.startswith(f'"{tag}.') for each in tags)
