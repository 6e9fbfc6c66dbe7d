"""Something outside that is asked, again and again, for what is new there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from codex32.kernel.json_values import JSON

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened there.

    Attributes:
      key: Unique in the trigger: what has this key is answered once, whoever finds it.
      about: What expressions see of it in ``trigger``: any of ``event headers body``.
    """

    key: str
    about: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Batch:
    """What was new, and the ``cursor`` from which to go on once it was answered."""

    news: Sequence[News]
    cursor: JSON


class Connect(Protocol):
    """Opens a guarded connection: to the hosts in ``allow.hosts``, at public addresses."""

    async def __call__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[StreamReader, StreamWriter]:
        """Connect.

        Raises:
          CapabilityRefused: The host is not allowed, or its address is private.
          ProviderUnavailable: Nobody is there.
        """


class Source(ABC):
    """What a trigger that answers something outside watches.

    Attributes:
      secrets: Names of the secrets that it needs; ``allow.secrets`` must have them.
    """

    secrets: tuple[str, ...] = ()

    @abstractmethod
    def watch(
        self, cursor: JSON, secrets: Mapping[str, str], connect: Connect
    ) -> AsyncIterator[Batch]:
        """Tell what is new, for as long as it is iterated: an async generator.

        Each batch is answered and its cursor stored, in one write, before the next is asked for;
        after a fault or a restart it is called again with the cursor that was stored last.
        Several processes may watch the same; each batch is taken from one of them.

        Args:
          cursor: Of the batch before; None at the very beginning, when nothing that is there
            already counts as new.
          secrets: Values by name.
          connect: The only way to the network.

        Raises:
          StepFault: It cannot be watched now; the house tries again, later and later.
        """
