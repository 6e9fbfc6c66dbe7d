"""Keeping secrets out of everything that is written."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from urllib.parse import quote

from codex32.kernel.json_values import JSON

#: Shorter values are not looked for: they would blot out half of every text.
SHORTEST = 4
#: A secret of several lines is printed line by line; shorter lines hold no secret.
SHORTEST_LINE = 6
MASK = "***"


class Masker:
    """Replaces the secrets an execution has used, in every form they take in texts."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, *secrets: str) -> None:
        """Mask ``secrets`` from now on, whole and line by line, in every form of either."""
        parts = [part for secret in secrets for part in (secret, *_lines(secret))]
        forms = {form for part in parts if len(part) >= SHORTEST for form in _forms(part)}
        # The longest first, so that no part of one is left behind by another.
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to look for."""
        return not self._forms

    def mask(self, text: str) -> str:
        """``text`` without the secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def mask_value(self, value: JSON) -> JSON:
        """``value`` with every text in it masked, names too, and numbers that are a secret."""
        if not self._forms:
            return value
        match value:
            case str():
                return self.mask(value)
            case list():
                return [self.mask_value(each) for each in value]
            case Mapping():
                return {self.mask(key): self.mask_value(each) for key, each in value.items()}
            case int() | float() if str(value) in self._forms:
                return MASK
        return value


class HandedOut:
    """The secrets that this process was handed lately, so that its logs do not hold them.

    Args:
      most: How many are remembered; then the older half is forgotten.
    """

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: dict[str, None] = {}
        self._kept: set[str] = set()
        self._masker = Masker()

    def keep(self, secret: str) -> None:
        """Remember ``secret`` for good: it is one of the process's own. From any thread."""
        with self._lock:
            self._kept.add(secret)
            self._masker.add(secret)

    def add(self, secret: str) -> None:
        """Remember ``secret``. From any thread."""
        with self._lock:
            known = self._values.pop(secret, secret) is None
            self._values[secret] = None
            if known:
                return
            if len(self._values) > self._most:
                self._values = dict.fromkeys(list(self._values)[self._most // 2 :])
                masker = Masker()
                masker.add(*self._kept, *self._values)
                self._masker = masker
            else:
                self._masker.add(secret)

    def mask(self, text: str) -> str:
        """``text`` without them."""
        return self._masker.mask(text)


#: Those of this process: whoever hands out a secret adds it.
handed_out = HandedOut()


def _lines(secret: str) -> list[str]:
    lines = [line.strip() for line in secret.splitlines()]
    return [line for line in lines if len(line) >= SHORTEST_LINE]


def _forms(secret: str) -> set[str]:
    """Plain, escaped in JSON, as Python writes it in messages, in URLs and in base 64."""
    raw = secret.encode(errors="surrogatepass")
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        # Which quotes are escaped depends on which others are there.
        *(write(quote_ + secret)[2:-1] for write in (repr, ascii) for quote_ in "\"'"),
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
