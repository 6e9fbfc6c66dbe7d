"""Keeping programs in: a sandbox runs them so that they reach what they were given and no more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar

from codex32.kernel.contracts.program import Program, ProgramHost, ProgramResult


class SandboxLevel(IntEnum):
    """How much a sandbox claims to keep in; more of it is stronger.

    ``PLAIN``
        Accidents: endless loops, too much memory, forgotten children. No malice.
    ``PROCESS``
        Also files, network, other processes and the kernel's rarer calls are out of reach.
    ``NAMESPACE``
        Also they do not exist: a root directory, processes, network and user of its own.
    ``MACHINE``
        Also a kernel of its own.
    """

    PLAIN = 0
    PROCESS = 1
    NAMESPACE = 2
    MACHINE = 3


class SandboxBackend(ABC):
    """Runs programs so that they stay in.

    The house takes the strongest that is installed and holds: before it relies on one, it has it
    run programs that try to escape. Instances belong to one process and one event loop; they start
    what they need at their first program.

    Attributes:
      name: What the setting ``sandbox.backend`` names, and what is recorded on steps.
      level: How much it claims to keep in.
      runtimes: What ``runtime`` of a Python step it can run; ``cpython`` for the whole of it.
    """

    name: ClassVar[str]
    level: ClassVar[SandboxLevel]
    runtimes: ClassVar[Sequence[str]] = ("cpython",)

    @abstractmethod
    def lacks(self) -> str | None:
        """Why it cannot work on this machine at all, or None; told without trying it."""

    @abstractmethod
    async def run(
        self, program: Program, host: ProgramHost, packages: Sequence[str] = ()
    ) -> ProgramResult:
        """Run ``program`` to its end, within its powers and limits.

        Whatever the program does, this returns: in the time it has and a few seconds, with no
        process of it left, no file, no descriptor here. Cancelling the call ends it likewise. Many
        may run at once. Nothing of one program is found by another.

        Args:
          program: What to run. What it grants and this sandbox cannot give is answered with the
            code ``refused``, and so is a program whose ``processes`` it cannot keep to.
          host: Told of lines, asked by the program.
          packages: Folders that hold what it ``requires``; it finds them on ``sys.path``.

        Returns:
          What came of it, without ``sandbox``, which the house adds. Code ``refused`` where the
          sandbox could not be made: its error says why.
        """

    @abstractmethod
    async def close(self) -> None:
        """End what was started; it may be used again and then starts anew."""
