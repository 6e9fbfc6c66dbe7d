"""Where secrets are looked up."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
