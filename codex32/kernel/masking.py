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

#: What may be a host or a part of one, which libraries write in lower case.
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
#: Characters that nobody writes otherwise in addresses, forms, pages or JSON.
_PLAIN = frozenset(string.ascii_letters + string.digits + "-._~")
#: One of these stands in every text in which others are written otherwise.
_ESCAPES = ("%", "+", "&", "\\")
#: What pages call a character, and JSON and Python after a backslash.
_IN_PAGES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_AFTER_BACKSLASH = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
#: Of longer secrets only the usual forms are looked for in addresses: others take long.
LONGEST_ESCAPED = 500


class Masker:
    """Replaces the secrets an execution has used, in every form they take in texts."""

    def __init__(self) -> None:
        self._forms: list[str] = []
        #: The same in addresses, forms, pages and JSON, each of which escapes what it likes.
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
    """Plain, escaped in JSON, as Python writes it in messages, in addresses and in base 64.

    As a part of a host, too.
    """
    in_json = json.dumps(secret)[1:-1]
    return {
        secret,
        in_json,
        json.dumps(in_json)[1:-1],  # a text of JSON within JSON
        json.dumps(secret, ensure_ascii=False)[1:-1],
        # Which quotes are escaped depends on which others are there.
        *(write(quote_ + secret)[2:-1] for write in (repr, ascii) for quote_ in "\"'"),
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        secret.lower() if _HOST.fullmatch(secret) else secret,
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
    # In lines, as mail and PEM have them.
    whole = base64.b64encode(raw).decode()
    for width in (64, 76):
        for start in range(0, len(whole) if len(whole) > width else 0, width):
            if len(line := whole[start : start + width]) >= SHORTEST_CUT:
                yield line


@lru_cache(maxsize=1000)  # what many executions use is put together once
def _escaped(secret: str) -> re.Pattern[str] | None:
    """What finds it where any of its characters is escaped; None where nobody looks for that.

    Also where that was done time and again, as in JSON within JSON.
    """
    if _PLAIN.issuperset(secret) or len(secret) > LONGEST_ESCAPED:
        return None
    parts = re.findall(r"(\\*)([^\\]|\Z)", secret, re.DOTALL)
    first, *others = (_in_any_form(len(run), character) for run, character in parts)
    run, character = parts[0]
    # Of a run of backslashes only the beginning is tried, or a long one would take for ever.
    if run:
        first = rf"(?:(?<!\\)|(?!\\)){first}"
    elif character not in _PLAIN:
        # Every way begins with a character of its own: then looking through a text is quick.
        escaped = rf"\\(?<!\\\\)\\*+(?:{_after_backslashes(character)})"
        first = f"(?:{_elsewhere(character)}|{escaped}|{re.escape(character)})"
    return re.compile(first + "".join(others))


def _in_any_form(backslashes: int, character: str) -> str:
    """So many backslashes and a character; at the end of a secret there is none."""
    if character in _PLAIN and not backslashes:
        return re.escape(character)
    run = rf"\\{{{backslashes},}}+"
    run_elsewhere = rf"(?:{_percent(chr(92))}|\\++u005[cC]){{{backslashes}}}"
    if not character:
        return f"(?:{run_elsewhere}|{run})" if backslashes else ""
    elsewhere, written = _elsewhere(character), _after_backslashes(character)
    if not backslashes:
        return f"(?:{elsewhere}|{run}(?:{written}))"
    return rf"(?:{run_elsewhere}(?:{elsewhere}|\\*+(?:{written}))|{run}(?:{elsewhere}|{written}))"


@lru_cache(maxsize=1000)
def _after_backslashes(character: str) -> str:
    """As JSON and Python have it, after as many backslashes as it takes."""
    number = ord(character)
    forms = [re.escape(character), f"u{_hex(f'{number:04x}')}"]
    if number < 1 << 8:
        forms.append(f"x{_hex(f'{number:02x}')}")
    elif number >= 1 << 16:  # JSON has two halves
        above, below = divmod(number - (1 << 16), 1 << 10)
        halves = (_hex(f"u{half:04x}") for half in (0xD800 + above, 0xDC00 + below))
        forms[1:] = [rf"{next(halves)}\\++{next(halves)}", f"U{_hex(f'{number:08x}')}"]
    if character in _AFTER_BACKSLASH:
        forms.append(_AFTER_BACKSLASH[character])
    return "|".join(forms)


@lru_cache(maxsize=1000)
def _elsewhere(character: str) -> str:
    """As addresses, forms and pages have it."""
    number = ord(character)
    name = f"{_IN_PAGES[character]}|" if character in _IN_PAGES else ""
    in_pages = f"&(?:amp;)*(?:{name}#{number}|#[xX]{_hex(f'{number:x}')});"
    return "|".join((_percent(character), in_pages, *([r"\+"] if character == " " else [])))


def _percent(character: str) -> str:
    """A percent sign that is escaped itself is ``%25``."""
    raw = character.encode(errors="surrogatepass")
    return "".join(f"%(?:25)*{_hex(f'{byte:02x}')}" for byte in raw)


def _hex(digits: str) -> str:
    """The same in small and in large letters."""
    return re.sub("[a-f]", lambda found: f"[{found[0]}{found[0].upper()}]", digits)
