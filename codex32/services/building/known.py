"""What a draft may name: what the workspace has, and what the person said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from codex32.kernel.bot import Allow
from codex32.kernel.components import Components
from codex32.kernel.json_values import JSON
from codex32.kernel.masking import Masker
from codex32.kernel.redaction import scrub
from codex32.services.building.session import Question
from codex32.services.building.told import (
    Told,
    unsaid,
    unsaid_answer,
    unsaid_code,
    unsaid_value,
    written_in,
)

#: What stands for recipients that nobody can list, as each invoice names its customer.
FROM_DATA: Final = "whoever the data names"
#: What a question about a credential is about, in a word that tells.
_TELLING: Final = "secret"
#: Between several addresses in one text.
_LIST: Final = re.compile(r"[\s,;<>]+")
#: Letters of scripts that know capitals, and signs that nobody sees; letters of others stand
#: beside a name without a blank.
_LETTER: Final = (
    r"A-Za-z\u00aa\u00ad\u00b5\u00ba\u00c0-\u058f\u10a0-\u10ff\u13a0-\u13ff\u1c80-\u1fff"
    r"\u200b-\u200d\u2060\u2c00-\u2dff\ua640-\uab6f\ufeff"
)
# A name inside a longer one is not that name; a full stop behind it ends a sentence. Signs that
# stand within the names of mailboxes are a part of them where one goes on.
_BEFORE: Final = rf"(?<![{_LETTER}0-9_.+-])(?<![{_LETTER}0-9]['\u2019&%!#$*^`{{|}}~])"
_BEHIND: Final = rf"(?![{_LETTER}0-9_-]|\.[{_LETTER}0-9])"


@dataclass(frozen=True, slots=True)
class Known:
    """What is there when a stage begins.

    Attributes:
      secrets: Names alone.
      allow: What the bot that is refined may already.
      recipients: Whom it tells already, and each mail address it works with; in small letters.
      mentioned: Mail addresses in what only describes it; they may stay there, and no more.
      masker: Knows the values that must not be told.
    """

    components: Components
    secrets: frozenset[str] = frozenset()
    connections: frozenset[str] = frozenset()
    bots: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    allow: Allow = field(default_factory=Allow)
    recipients: frozenset[str] = frozenset()
    mentioned: frozenset[str] = frozenset()
    masker: Masker = field(default_factory=Masker)

    def strange_hosts(self, hosts: Iterable[str], words: str) -> list[str]:
        """Those that neither the person nor the bot before names."""
        known = {each.lower() for each in self.allow.hosts}
        return _strange(hosts, known, words)

    def strange_secrets(self, names: Iterable[str], words: str) -> list[str]:
        """Those that the workspace does not have and the person does not name."""
        return _strange(
            names, {each.lower() for each in (*self.secrets, *self.allow.secrets)}, words
        )

    def strange_models(self, names: Iterable[str], words: str) -> list[str]:
        """Those that no installed provider knows and the person does not name."""
        known = {
            f"{provider.name}:{model.name}".lower()
            for provider in self.components.llm_providers.values()
            for model in provider.models()
        }
        known |= {each.lower() for each in self.allow.models}
        return _strange(names, known, words)

    def strange_recipients(self, targets: Iterable[str], words: str) -> list[str]:
        """Those that neither the person nor the bot before names, each of a list by itself."""
        there = set(self.recipients)
        return [
            each
            for each in _strange(targets, there, words)
            if any(_strange(_LIST.split(each), there, words))
        ]

    def masked(self, text: str) -> str:
        """``text`` without values of secrets, and without what looks like one."""
        return scrub(self.masker.mask(text))

    def masked_value(self, value: JSON) -> Any:
        """``value`` with every text in it masked so, keys among them."""
        return _changed(value, self.masked)

    def heard(self, words: str) -> str:
        """What a person said, also without what they call a password or a key."""
        return unsaid(self.masked(words), self.secrets)

    def heard_answer(self, words: str, question: Question) -> str:
        """What a person answered, also without what the question calls a password or a key."""
        asked = f"{question.question} {_TELLING if question.about == 'credential' else ''}"
        if words.strip() in question.options:
            return self.masked(words)
        return unsaid_answer(self.masked(words), asked, self.secrets | {*question.options})

    def heard_value(self, value: JSON) -> Any:
        """``value`` with every text in it as :meth:`heard`, by what its key calls it, too."""
        return unsaid_value(self.masked_value(value))

    def heard_code(self, text: str) -> str:
        """A program, also without what its names call a password or a key."""
        return unsaid_code(self.masked(text))

    def written_in(self, document: Mapping[str, JSON]) -> Iterator[Told]:
        """Where a bot's definition holds what is a secret, or is called one."""
        names = self.secrets | {*self.allow.secrets}
        return written_in(document, self.masked, names)

    def gives_away(self, text: str) -> bool:
        """Whether ``text`` holds a secret's value, or what looks like one."""
        return self.masked(text) != text


def _changed(value: JSON, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_changed(each, change) for each in value]
        case dict():
            return {change(key): _changed(each, change) for key, each in value.items()}
    return value


def _strange(names: Iterable[str], known: Iterable[str], words: str) -> list[str]:
    there, said = set(known), words.lower()
    return [
        each
        for each in dict.fromkeys(name.strip() for name in names)
        if each and each.lower() not in there and not named(each, said)
    ]


def named(name: str, words: str) -> bool:
    """Whether a text, in small letters, names this, as a word of its own.

    A mark alone is no name: every list has a ``*``, and every address a ``/``.
    """
    if not any(map(str.isalnum, name)):
        return False
    sought, said = (unicodedata.normalize("NFC", each) for each in (name.lower(), words))
    return re.search(f"{_BEFORE}{re.escape(sought)}{_BEHIND}", said) is not None
