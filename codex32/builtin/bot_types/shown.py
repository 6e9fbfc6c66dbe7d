"""How much is shown of what another side said."""

from __future__ import annotations

import re
from typing import Final

_CHARACTERS: Final = 2000
#: A cut word is left out whole up to so many characters.
_LONGEST_WORD: Final = 256


def beginning(text: str) -> str:
    """The first 2,000 characters, and no half of a word: it may be of a secret.

    Secrets are masked afterwards; half of one would be known by nobody.
    """
    if len(text) <= _CHARACTERS:
        return text
    head, last = text[: _CHARACTERS - _LONGEST_WORD], text[_CHARACTERS - _LONGEST_WORD :]
    return head + re.sub(r"\S+\Z", "", last[:_LONGEST_WORD])
