"""Keeping secrets out of everything that is written."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

#: Shorter values are not looked for: they would blot out half of every text.
SHORTEST = 4
MASK = "***"


class Masker:
    """Replaces the secrets an execution has used, in every form they take in texts."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    @property
    def active(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._forms)

    def add(self, secret: str) -> None:
        """Mask ``secret`` from now on: plain, escaped in JSON, in URLs and in base 64."""
        if len(secret) < SHORTEST:
            return
        raw = secret.encode(errors="surrogatepass")
        forms = {
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(secret, safe="", errors="replace"),
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
        }
        # The longest first, so that no part of one is left behind by another.
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """``text`` without the secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text
