"""Keeping secrets out of everything that is written."""

from __future__ import annotations

import base64
import json
import re
import string
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote

from codex32.kernel.json_values import JSON

#: Shorter values are not looked for: they would blot out half of every text.
SHORTEST = 4
#: A secret of several lines is printed line by line; shorter lines hold no secret.
SHORTEST_LINE = 6
#: Fewer characters of base 64, cut out of something longer, may be anything.
SHORTEST_CUT = 8
MASK = "***"

#: Characters that nobody writes otherwise in addresses, forms or pages.
_PLAIN = frozenset(string.ascii_letters + string.digits + "-._~")
#: One of these stands in every text in which others are written otherwise.
_ESCAPES = ("%", "+", "&")
#: What stands for a character in pages; and for a blank in forms.
_IN_PAGES = {
    "&": ("&amp;", "&#38;", "&#x26;"),
    "<": ("&lt;", "&#60;", "&#x3c;"),
    ">": ("&gt;", "&#62;", "&#x3e;"),
    '"': ("&quot;", "&#34;", "&#x22;"),
    "'": ("&apos;", "&#39;", "&#x27;"),
    " ": (r"\+",),
}
#: Of longer secrets only the usual forms are looked for in addresses: others take long.
LONGEST_ESCAPED = 500


class Masker:
    """Replaces the secrets an execution has used, in every form they take in texts."""

    def __init__(self) -> None:
        self._forms: list[str] = []
        #: The same in addresses, forms and pages, each of which escapes what it likes.
        self._escaped: dict[str, re.Pattern[str]] = {}

    def add(self, *secrets: str) -> None:
        """Mask ``secrets`` from now on, whole and line by line, in every form of either."""
        parts = [part for secret in secrets for part in (secret, *_lines(secret))]
        forms = {form for part in parts if len(part) >= SHORTEST for form in _forms(part)}
        escaped = {part: _escaped(part) for part in parts if len(part) >= SHORTEST}
        # The longest first, so that no part of one is left behind by another.
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)
        found = {part: shape for part, shape in escaped.items() if shape is not None}
        longest = sorted({**self._escaped, **found}.items(), key=lambda each: -len(each[0]))
        self._escaped = dict(longest)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to look for."""
        return not self._forms

    def mask(self, text: str) -> str:
        """``text`` without the secrets."""
        if self._escaped and any(sign in text for sign in _ESCAPES):
            for shape in self._escaped.values():
                text = shape.sub(MASK, text)
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
    """Plain, escaped in JSON, as Python writes it in messages, in addresses and in base 64."""
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        # Which quotes are escaped depends on which others are there.
        *(write(quote_ + secret)[2:-1] for write in (repr, ascii) for quote_ in "\"'"),
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        *_in_base64(secret.encode(errors="surrogatepass")),
    }


def _in_base64(raw: bytes) -> Iterator[str]:
    """Alone, and the characters that are its own within something longer, as a user's password."""
    for write in (base64.b64encode, base64.urlsafe_b64encode):
        yield write(raw).decode()
        for before in range(3):
            own = slice(-(-before * 8 // 6), (before + len(raw)) * 8 // 6)
            cut = write(bytes(before) + raw).decode()[own]
            if len(cut) >= SHORTEST_CUT:
                yield cut


@lru_cache(maxsize=1000)  # what many executions use is put together once
def _escaped(secret: str) -> re.Pattern[str] | None:
    """What finds it where any of its characters is escaped; None where nobody looks for that."""
    if _PLAIN.issuperset(secret) or len(secret) > LONGEST_ESCAPED:
        return None
    return re.compile("".join(map(_in_any_form, secret)))


def _in_any_form(character: str) -> str:
    written = re.escape(character)
    if character in _PLAIN:
        return written
    percent = quote(character, safe="", errors="surrogatepass")
    forms = [percent, percent.lower(), *_IN_PAGES.get(character, ()), written]
    return f"(?:{'|'.join(dict.fromkeys(forms))})"
