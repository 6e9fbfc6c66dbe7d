"""Where secrets are looked up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar


class SecretStore(ABC):
    """Reads secrets by name; ``scheme`` names the store in the settings."""

    scheme: ClassVar[str]

    @abstractmethod
    async def read(self, name: str) -> str | None:
        """The secret, or None where this store does not know the name.

        Raises:
          ProviderUnavailable: The store cannot be asked now.
        """

    async def names(self) -> Sequence[str]:
        """The names it knows; none where it cannot tell.

        All of them are read, with every question to a model that builds, so that no secret stands
        in one: implement it where that takes no request for each.

        Raises:
          ProviderUnavailable: The store cannot be asked now.
        """
        return ()
