"""The keys that everything secret hangs on: a few, each with an id; the first is the present one.

They are written as ``ID:KEY``, the key 32 bytes in base64, one a line or with commas between. They
stand in a setting, or in a file of the home folder that is made when a key is first needed. No
database ever holds one.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codex32.kernel.errors import Codex32Error
from codex32.kernel.private_files import create_private, write_private

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_BYTES = 32


class KeyRingInvalid(Codex32Error):
    """The installation's keys cannot be read; the message never shows a key."""

    code = "key-ring-invalid"


class KeyMissing(Codex32Error):
    """The key ring lacks a key that something is sealed with."""

    code = "key-missing"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Key-encryption keys by id, the present one first.

    Attributes:
      place: Where they stand, for messages.
    """

    keys: Mapping[str, bytes] = field(repr=False)
    place: str

    @property
    def current(self) -> str:
        """The id of the key that new things are sealed with."""
        return next(iter(self.keys))

    def key(self, key_id: str, what: str) -> bytes:
        """The key of this id, with which ``what`` is sealed.

        Raises:
          KeyMissing: It is not in the ring.
        """
        try:
            return self.keys[key_id]
        except KeyError:
            raise KeyMissing(
                f"{what} is sealed with the key {key_id}, which {self.place} lacks; bring it "
                "back from a backup or from the machine that made it, or set "
                "CODEX32_SECRETS__KEYS_FILE to a file that holds it"
            ) from None


class KeySource:
    """Where the ring is: a setting, or a file. It is read anew each time, so a change is seen.

    Args:
      setting: The ring as the settings have it, or None.
      path: The file that stands for the setting.
    """

    def __init__(self, setting: str | None, path: Path) -> None:
        self._ring = None if setting is None else parse(setting, "the setting secrets.keys")
        self.path = path
        #: A file that was there once is missed, and never made anew.
        self._seen = False

    @property
    def ours(self) -> bool:
        """Whether the house keeps the file, and so may add a key."""
        return self._ring is None

    def ring(self, *, make: bool) -> KeyRing:
        """The keys.

        Args:
          make: Make the file where it is not there yet.

        Raises:
          KeyRingInvalid: They cannot be read.
          KeyMissing: There is no file, and none is to be made.
        """
        if self._ring is not None:
            return self._ring
        if make and not self._seen and not self.path.exists():
            create_private(self.path, f"{_fresh('k1')}\n")
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise KeyMissing(
                f"the file {self.path} is gone, and what is in the database is sealed with its "
                "keys; bring it back from a backup or from the machine that made it, or set "
                "CODEX32_SECRETS__KEYS_FILE"
            ) from None
        self._seen = True
        return parse(text, f"the file {self.path}")

    def add(self) -> KeyRing:
        """Put a new key before those of the file."""
        ring = self.ring(make=True)
        numbers = [int(name[1:]) for name in ring.keys if re.fullmatch(r"k\d{1,9}", name)]
        text = self.path.read_text(encoding="utf-8")
        write_private(self.path, f"{_fresh(f'k{max(numbers, default=0) + 1}')}\n{text}")
        return self.ring(make=False)


def parse(text: str, place: str) -> KeyRing:
    """The keys in ``text``.

    Args:
      text: As they are written.
      place: Where the text stands, for messages.

    Raises:
      KeyRingInvalid: There is none, one is no key, or an id is given twice.
    """
    keys: dict[str, bytes] = {}
    for number, part in enumerate(re.split(r"[,\s]+", text.strip()), 1):
        key_id, colon, encoded = part.partition(":")
        if not colon or not _ID.fullmatch(key_id):
            raise KeyRingInvalid(f"{place}: key {number} is not written as ID:KEY")
        if key_id in keys:
            raise KeyRingInvalid(f"{place}: the id {key_id} is given to two keys")
        keys[key_id] = _key(encoded, f"{place}: key {key_id}")
    return KeyRing(keys, place)


def _key(encoded: str, place: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise KeyRingInvalid(
            f"{place} is not {_BYTES} bytes in base64; make one with: openssl rand -base64 32"
        )
    return key


def _fresh(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(_BYTES)).decode()}"
