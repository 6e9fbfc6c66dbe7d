"""Passwords: which ones are taken, and their hashes, made beside the event loop.

argon2id with 46 MiB and one pass, as OWASP recommends it. At most two are made at once: each
takes that memory and a processor for some 70 ms, and strangers decide how many are asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from codex32.kernel.errors import Codex32Error
from codex32.kernel.problems import Problem
from codex32.services.access.faults import PasswordRefused

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_CHARACTERS, MAX_BYTES = 8, 1024
_SLOTS = 2
#: Words shorter than this stand in too many good passwords.
_MIN_WORD = 4
#: A password must have so many characters beside words that anybody would try.
_MIN_OWN = 6
#: Of a password that nobody knows, so that an unknown account takes as long as a known one.
_NOBODY = (
    "$argon2id$v=19$m=47104,t=1,p=1$"
    "ukOUQAhFgNDNqiFkgov4FQ$eHSdCs1tc6PD4fGYQbyJW9/rvSVnY8xM0mojsnfbHkg"
)  # fmt: skip


class HashingMissing(Codex32Error):
    """The library that hashes passwords is not installed."""

    code = "hashing-missing"

    def __init__(self) -> None:
        super().__init__("passwords need argon2-cffi; install codex32[api]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password fits a hash, and whether that should be made anew with today's cost."""

    fits: bool
    outdated: bool = False


def check(password: str, words: Iterable[str] = ()) -> None:
    """Take a password, or say all that is wrong with it.

    Args:
      password: As somebody wants it.
      words: What everybody would try for this person: their names, their address.

    Raises:
      PasswordRefused: It is too short, too long, or easily guessed.
    """
    problems = []
    lowered = password.casefold()
    if len(password) < MIN_CHARACTERS:
        problems.append(f"has fewer than {MIN_CHARACTERS} characters")
    if len(password.encode(errors="surrogatepass")) > MAX_BYTES:
        problems.append(f"has more than {MAX_BYTES} bytes")
    if lowered in _common():
        problems.append("is among those that are tried first")
    elif not problems and _is_guessed(lowered, words):
        problems.append("is little more than a name")
    if problems:
        raise PasswordRefused([Problem(each, "password") for each in problems])


def _is_guessed(password: str, words: Iterable[str]) -> bool:
    found = {part.casefold() for word in words for part in _parts(word) if len(part) >= _MIN_WORD}
    rest = password
    for word in sorted(found | {"codex32", "codex-32"}, key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest != password and len(rest) < _MIN_OWN


def _parts(word: str) -> list[str]:
    return [word, *word.replace("@", " ").replace(".", " ").replace("-", " ").split()]


@cache
def _common() -> frozenset[str]:
    text = files("codex32.services.access").joinpath("common_passwords.txt")
    return frozenset(text.read_text(encoding="utf-8").split())


class Passwords:
    """Makes and verifies hashes. Those for coroutines wait for one of two threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_SLOTS, thread_name_prefix="passwords")

    @cached_property
    def _hasher(self) -> PasswordHasher:
        try:
            from argon2 import PasswordHasher
        except ImportError:
            raise HashingMissing from None
        return PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)

    def hash_now(self, password: str, words: Iterable[str] = ()) -> str:
        """The hash of a password, made here and now.

        Raises:
          PasswordRefused: See :func:`check`.
        """
        check(password, words)
        return self._hasher.hash(password.encode(errors="surrogatepass"))

    async def hash(self, password: str, words: Iterable[str] = ()) -> str:
        """Like :meth:`hash_now`, for coroutines."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.hash_now, password, tuple(words))

    async def hash_again(self, password: str) -> str:
        """The hash, at today's cost, of a password that was taken before."""
        loop = asyncio.get_running_loop()
        given = password.encode(errors="surrogatepass")
        return await loop.run_in_executor(self._threads, self._hasher.hash, given)

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Whether ``password`` is the one behind ``stored``; takes as long where there is none."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.verify_now, password, stored)

    def verify_now(self, password: str, stored: str | None) -> Verdict:
        """Like :meth:`verify`, here and now."""
        from argon2.exceptions import InvalidHashError, VerificationError

        given = password.encode(errors="surrogatepass")
        if len(given) > MAX_BYTES:
            given = b""
        try:
            self._hasher.verify(stored or _NOBODY, given)
        except (VerificationError, InvalidHashError):
            return Verdict(False)
        return Verdict(stored is not None, self._hasher.check_needs_rehash(stored or _NOBODY))

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
