"""Packages that Python steps require: a name and one exact version."""

from __future__ import annotations

import re

_PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"\s*(?:\[(?P<extras>[A-Za-z0-9._,\s-]*)\])?"
    r"\s*==\s*(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)"
)


def canonical(requirement: str) -> str:
    """A requirement as indexes write it: ``My_Package == 1.0`` is ``my-package==1.0``.

    Raises:
      ValueError: It is no name with one exact version.
    """
    found = _PINNED.fullmatch(requirement.strip())
    if found is None:
        raise ValueError(f"{requirement!r} is no name==version, with one exact version")
    named = {_normal(each) for each in (found["extras"] or "").split(",") if each.strip()}
    extras = f"[{','.join(sorted(named))}]" if named else ""
    return f"{_normal(found['name'])}{extras}=={found['version'].lower()}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
