"""Passwords and keys that somebody tells in words, or writes where a secret's name belongs.

What gives them away is the word before them, as the shape of one says nothing. A password that
no word tells is not known to be one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from codex32.engine.reading.document import Path
from codex32.kernel.json_values import JSON
from codex32.kernel.masking import MASK, SHORTEST, Masker
from codex32.kernel.redaction import scrub
from codex32.services.building.wordings import (
    AND,
    CALLED,
    KEYS,
    LITERAL,
    MANY,
    PROSE,
    QUOTED,
    SAID,
    SPOKEN,
    VALUE,
    WRITTEN,
)

#: What stands for the key above it.
_SAME: Final = frozenset(
    {"default", "const", "enum", "example", "examples", "value", "text", "#text", "_"}
)
#: A key of what holds several, by whatever names.
_OF_MANY: Final = re.compile(rf"{MANY}$")
_EXPRESSION: Final = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
#: What is put into texts of a program.
_FIELD: Final = re.compile(r"\{[\w.]+\}|%(?:\(\w+\))?s")
_SIGN: Final = re.compile(r"[^\n]")
_SCHEME: Final = re.compile(r"^\s*(?:basic|bearer|token|apikey)\b", re.IGNORECASE)


#: A word of an answer, or what stands in quotes; and words that are no secret: names of some that
#: are to be set, addresses, and what plain words look like.
_WORD: Final = re.compile(rf"{QUOTED}|\S+")
_NO_SECRET: Final = re.compile(r"[A-Za-z]\w*_\w*|https?://\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PLAIN_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)?")
#: What may stand around a secret, and is none of it.
_AROUND: Final = "`\"'\u201c\u201d\u201e\\.,:!?()[]{}"
#: A shorter secret is not sought where no word tells it: half of all numbers have it.
_SHORTEST_AGAIN: Final = 6
#: A shorter one may be a part of a word.
_SHORTEST_WITHIN: Final = 8
#: The longest word that says no more than yes, no or none where it stands alone.
_SAYS_LITTLE: Final = 5


class Told(NamedTuple):
    """Where a secret is written.

    Attributes:
      path: Of the text that holds it.
      offset: Of its line in that text; None where the text is not of several lines.
    """

    path: Path
    offset: int | None = None


def unsaid(text: str, names: frozenset[str] = frozenset()) -> str:
    """What a person said, without what they call a password or a key.

    Args:
      text: Their words.
      names: Of secrets, which they may say.
    """
    told: list[str] = []
    text = _without(text, SAID, names, told)
    return _again(told)(text)


def unsaid_answer(text: str, question: str, names: frozenset[str] = frozenset()) -> str:
    """What a person answers, also without what they are asked for by such a word.

    A word alone is taken for the secret then, and among others one that is no plain word.
    """
    text = unsaid(text, names)
    if re.search(CALLED, question) is None:
        return text
    alone = len(text.split()) == 1

    def masked(found: re.Match[str]) -> str:
        word = found[0].strip(f"{_AROUND};")
        if word in names or len(word) < SHORTEST or _NO_SECRET.fullmatch(word):
            return found[0]
        plain = _PLAIN_WORD.fullmatch(word) is not None
        return found[0] if plain and not (alone and len(word) > _SAYS_LITTLE) else MASK

    return _WORD.sub(masked, text)


def unsaid_value(value: JSON) -> Any:
    """Recorded data without it: by their keys, too, and wherever else in them it stands."""
    told: list[str] = []
    masked = _unsaid(value, "", told)
    return _in_values(masked, _again(told)) if told else masked


def unsaid_code(text: str) -> str:
    """A program without what its names call a password or a key."""
    told: list[str] = []
    text = _without(text, LITERAL, told=told)
    for shape in SPOKEN:
        for found in reversed(list(shape.finditer(_prose(text)))):
            text = f"{text[: found.end(1)]}{MASK}{text[found.end() :]}"
    return _again(told)(text)


def written_in(
    document: Mapping[str, JSON],
    mask: Callable[[str], str] = scrub,
    names: frozenset[str] = frozenset(),
) -> Iterator[Told]:
    """Where a bot's definition holds secrets that are no ``${{ secrets.NAME }}``.

    Its tests are only held to what ``mask`` knows: what they call a password is made up.

    Args:
      document: As the bot's file has it, code and all.
      mask: Replaces values of secrets, and what looks like one.
      names: Of secrets; they may stand where a name belongs.
    """
    for path, key, text in _texts(document, (), ""):
        plain, shapes = _EXPRESSION.sub(_blank, text), WRITTEN
        if path[0] == "tests":
            shapes = ()
        elif path[-1] == "code":
            plain, shapes = _FIELD.sub(MASK, plain), LITERAL
            if (line := _spoken(plain)) is not None:
                yield Told(path, sum(len(each) + 1 for each in text.split("\n")[:line]))
                continue
        elif _is_secret(key, plain) and text not in names:
            yield Told(path)
            continue
        gives = partial(_gives, mask, shapes)
        if gives(plain):
            yield Told(path, _offset(text, plain, gives))


def _texts(value: JSON, path: Path, key: str) -> Iterator[tuple[Path, str, str]]:
    """All texts, keys and numbers, each with its place and the key that tells what it is."""
    match value:
        case str():
            yield path, key, value
        case int() if not isinstance(value, bool):
            yield path, key, str(value)
        case list():
            for index, each in enumerate(value):
                yield from _texts(each, (*path, index), key)
        case dict():
            for name, each in value.items():
                if path:  # a key's place is that of its mapping, as it may be what is not told
                    yield path, "", name
                yield from _texts(each, (*path, name), _key(value, name, key))


def _key(value: Mapping[str, JSON], name: str, above: str) -> str:
    """What tells of what kind a value is: its key, but for a pair of ``name`` and ``value``."""
    if name in ("value", "Value"):
        names = ("name", "key", "Name", "Key")
        above = next((str(value[each]) for each in names if each in value), above)
    return above if name.lower() in _SAME else name


def _is_secret(key: str, text: str) -> bool:
    """Whether a text under this key is a secret, and no name, address or expression."""
    if KEYS.fullmatch(key) is None:
        return False
    rest = _SCHEME.sub("", text).replace(MASK, "").strip()
    return len(rest) >= SHORTEST and re.match(VALUE, rest) is not None


def _gives(mask: Callable[[str], str], shapes: tuple[re.Pattern[str], ...], text: str) -> bool:
    return mask(text) != text or any(each.search(text) for each in shapes)


def _offset(text: str, plain: str, gives: Callable[[str], bool]) -> int | None:
    """Where the line begins that gives it away; ``plain`` has as many, expressions blank."""
    lines, offset = text.splitlines(keepends=True), 0
    if len(lines) < 2:
        return None
    for line, blank in zip(lines, plain.splitlines(), strict=False):
        if gives(blank):
            return offset
        offset += len(line)
    return None


def _prose(code: str) -> str:
    """The comments and texts of a program, each where it stands, and blanks in between."""
    parts, end = [], 0
    for found in PROSE.finditer(code):
        parts += [_SIGN.sub(" ", code[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*parts, _SIGN.sub(" ", code[end:])])


def _spoken(code: str) -> int | None:
    """In which line a comment or a text of a program gives a secret away, from 0 on."""
    prose = _prose(code)
    found = next((found for each in SPOKEN if (found := each.search(prose))), None)
    return None if found is None else prose.count("\n", 0, found.start(2))


def _blank(found: re.Match[str]) -> str:
    return MASK + "\n" * found[0].count("\n")


def _without(
    text: str,
    shapes: tuple[re.Pattern[str], ...],
    names: frozenset[str] = frozenset(),
    told: list[str] | None = None,
) -> str:
    """``text`` without it; what it was is added to ``told``."""

    def masked(found: re.Match[str]) -> str:
        said = {each.strip(_AROUND) for each in re.split(AND, found[2])}
        if said <= names:
            return found[0]
        if told is not None:
            told.extend(said)
        return f"{found[1]}{MASK}"

    for shape in shapes:
        text = shape.sub(masked, text)
    return text


def _again(told: Iterable[str]) -> Callable[[str], str]:
    """Masks what was told by a word where it stands once more, without one."""
    sought = {each for each in told if len(each) >= _SHORTEST_AGAIN and MASK not in each}
    if not sought:
        return lambda text: text
    listed = "|".join(map(re.escape, sorted(sought, key=len, reverse=True)))
    shape = re.compile(rf"(?<!\w)(?:{listed})(?!\w)", re.IGNORECASE)
    masker = Masker()  # as an address, a header or a page has it
    masker.add(*(each for each in sought if _within(each)))
    return lambda text: masker.mask(shape.sub(MASK, text))


def _within(secret: str) -> bool:
    """Whether a secret is sought within words, too: no word has it for a part."""
    return len(secret) >= _SHORTEST_WITHIN and _PLAIN_WORD.fullmatch(secret) is None


def _in_values(value: JSON, change: Callable[[str], str]) -> JSON:
    """``value`` with every text in it changed, keys among them."""
    match value:
        case str():
            return change(value)
        case list():
            return [_in_values(each, change) for each in value]
        case dict():
            return {change(name): _in_values(each, change) for name, each in value.items()}
    return value


def _unsaid(value: JSON, key: str, told: list[str]) -> Any:
    match value:
        case str() if _is_secret(key, _EXPRESSION.sub(MASK, value)):
            told.append(_SCHEME.sub("", value).strip())
            return MASK
        case str():
            found: list[str] = []
            text = _without(value, SAID, told=found)
            # Errors say "token: expired" of what is none: a plain word is sought by its key alone.
            told.extend(each for each in found if _PLAIN_WORD.fullmatch(each) is None)
            return text
        case int() if not isinstance(value, bool):
            return MASK if _is_secret(key, str(value)) else value
        case list():
            return [_unsaid(each, key, told) for each in value]
        case dict() if _OF_MANY.search(key):
            return {name: _unsaid(each, key, told) for name, each in value.items()}
        case dict():
            return {
                name: _unsaid(each, _key(value, name, key), told) for name, each in value.items()
            }
    return value
