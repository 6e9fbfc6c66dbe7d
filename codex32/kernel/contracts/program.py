"""Running code that is not ours: always in another process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from codex32.kernel.json_values import JSON


@dataclass(frozen=True, slots=True)
class Program:
    """Python source with a function ``main`` and the arguments to call it with.

    Attributes:
      file: Name shown in tracebacks.
      timeout_seconds: After this the process and its descendants are killed.
      memory_bytes: Address space of the process, or None for the runner's default.
      max_output_bytes: A longer answer is a fault.
      owner: For whom it runs; where programs must wait, owners take turns.
    """

    code: str
    args: Mapping[str, JSON] = field(default_factory=dict)
    file: str = "<step>"
    timeout_seconds: float = 3600.0
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    processes: int | None = None
    max_output_bytes: int = 64 * 1024 * 1024
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What the program answered: ``output`` where ``error`` is None.

    Attributes:
      error: One sentence, such as ``ValueError: no entries``.
      traceback: The author's own lines.
      code: ``raised``, ``timeout``, ``killed``, ``no-main``, ``syntax``, ``not-json``,
        ``too-long``.
    """

    output: JSON = None
    error: str | None = None
    traceback: str = ""
    code: str = ""


class ProgramRunner(ABC):
    """Runs programs in processes of their own."""

    #: Told in ``doctor``: what keeps the program in.
    level: str

    @abstractmethod
    async def run(
        self,
        program: Program,
        on_line: Callable[[str, str], None],
        on_begin: Callable[[], None] = lambda: None,
    ) -> ProgramResult:
        """Run ``program`` to its end; cancelling the call kills it and its descendants.

        Only so many run at once. The time a program waits for its turn is not held against its
        ``timeout_seconds``.

        Args:
          program: What to run.
          on_line: Called as ``(stream, line)`` for each line on ``stdout`` or ``stderr``.
          on_begin: Called when its turn has come.
        """
