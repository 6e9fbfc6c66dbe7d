"""Where the secret is that a step asks for, and which values nobody else may be told."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from codex32.kernel.contracts.secret_store import SecretStore
from codex32.kernel.database import Door
from codex32.kernel.masking import handed_out
from codex32.services.safe import secrets
from codex32.services.safe.vault import Vault

log = logging.getLogger(__name__)

#: After so long without all it knows, a store counts as one that cannot be asked.
PATIENCE_SECONDS = 10.0
_HOST: Final = r"(?:localhost|(?:[a-z0-9-]+\.)+[a-z]{2,24}|\d+(?:\.\d+){3})(?::\d+)?"
#: What people have to be able to write, though somebody keeps it beside passwords: short words and
#: numbers, a host, a mail address, where a service is.
_ORDINARY: Final = re.compile(
    rf".{{0,5}}|[^\W\d_]{{0,7}}|[\d.,:+-]{{0,7}}|(?:https?://)?{_HOST}/?|[\w.+-]+@{_HOST}",
    re.DOTALL,
)


class SecretLookup:
    """Looks into a workspace's own secrets, then into the stores of the installation.

    Args:
      door: The database.
      vault: Opens what is sealed there.
      stores: The installation's, in the order they are asked; called with the first question.
      shared_with: The workspaces that may read those; ``*`` stands for all.
      settings: Secrets among the settings, which nobody reads.
    """

    def __init__(
        self,
        door: Door,
        vault: Vault,
        stores: Callable[[], Sequence[SecretStore]],
        shared_with: Container[str],
        settings: Iterable[str] = (),
    ) -> None:
        self._door, self._vault = door, vault
        self._stores, self._shared_with = stores, shared_with
        self._settings = [each for each in settings if not _ORDINARY.fullmatch(each)]
        #: What each store told last, by its scheme; and what was said of those that fail.
        self._told: dict[str, dict[str, str]] = {}
        self._failing: set[str] = set()

    async def secret(self, workspace: str, name: str) -> str | None:
        """The value, or None where no store that the workspace may read knows it.

        Raises:
          KeyMissing: The key ring lacks what it is sealed with.
          SealBroken: Its row was changed.
          ProviderUnavailable: A store cannot be asked now.
        """
        value = await self._own(workspace, name)
        for store in () if value is not None else self._readable(workspace):
            value = await store.read(name)
            if value is not None:
                break
        if value is not None:
            handed_out.add(value)
        return value

    async def values(self, workspace: str, names: Iterable[str]) -> list[str]:
        """What no stranger may be told, for masking alone.

        Those are the values of ``names``, and of the settings and what the stores list besides,
        as far as they are not ordinary: what no bot uses may be no secret at all. A store that
        cannot be asked counts with what it told last.

        Raises:
          KeyMissing: The key ring lacks what one is sealed with.
          SealBroken: The row of one was changed.
        """
        wanted = set(names)
        own = [await self._own(workspace, name) for name in sorted(wanted)]
        found = [value for value in own if value is not None]
        for store in self._readable(workspace):
            told = await self._all_of(store, wanted)
            found += [
                value
                for name, value in told.items()
                if name in wanted or not _ORDINARY.fullmatch(value)
            ]
        for value in found:
            handed_out.add(value)
        return [*found, *self._settings]

    async def _own(self, workspace: str, name: str) -> str | None:
        return await self._door.read(partial(secrets.read, self._vault, name, workspace=workspace))

    def _readable(self, workspace: str) -> Sequence[SecretStore]:
        may = workspace in self._shared_with or "*" in self._shared_with
        return self._stores() if may else ()

    async def _all_of(self, store: SecretStore, wanted: Iterable[str]) -> Mapping[str, str]:
        """What a store knows by now, or knew when it could be asked."""
        told = self._told.setdefault(store.scheme, {})
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for name in sorted({*wanted, *await store.names()}):
                    await self._note(store, name, told)
        except Exception as error:
            self._fails(store.scheme, "", error)
        return dict(told)

    async def _note(self, store: SecretStore, name: str, told: dict[str, str]) -> None:
        try:
            value = await store.read(name)
        except Exception as error:
            self._fails(store.scheme, f" for {name}", error)
        else:
            told.pop(name, None)
            if value is not None:
                told[name] = value

    def _fails(self, scheme: str, about: str, error: Exception) -> None:
        """Say it once, and nothing of the error, which may say anything."""
        told = f"the secret store {scheme} cannot be asked{about}"
        if told not in self._failing:
            self._failing.add(told)
            log.warning(
                "%s (%s): the builder masks what it told before, if anything",
                told,
                type(error).__name__,
            )
