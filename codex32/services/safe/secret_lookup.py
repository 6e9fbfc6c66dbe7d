"""Where the secret is that a step asks for."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import partial

from codex32.kernel.contracts.secret_store import SecretStore
from codex32.kernel.database import Door
from codex32.kernel.masking import handed_out
from codex32.services.safe import secrets
from codex32.services.safe.vault import Vault


class SecretLookup:
    """Looks into a workspace's own secrets, then into the stores of the installation.

    Args:
      door: The database.
      vault: Opens what is sealed there.
      stores: The installation's, in the order they are asked; called with the first question.
      shared_with: The workspaces that may read those; ``*`` stands for all.
    """

    def __init__(
        self,
        door: Door,
        vault: Vault,
        stores: Callable[[], Sequence[SecretStore]],
        shared_with: Container[str],
    ) -> None:
        self._door, self._vault = door, vault
        self._stores, self._shared_with = stores, shared_with

    async def secret(self, workspace: str, name: str) -> str | None:
        """The value, or None where no store that the workspace may read knows it.

        Raises:
          KeyMissing: The key ring lacks what it is sealed with.
          SealBroken: Its row was changed.
          ProviderUnavailable: A store cannot be asked now.
        """
        read = partial(secrets.read, self._vault, name, workspace=workspace)
        value = await self._door.read(read)
        if value is None and (workspace in self._shared_with or "*" in self._shared_with):
            for store in self._stores():
                value = await store.read(name)
                if value is not None:
                    break
        if value is not None:
            handed_out.add(value)
        return value
