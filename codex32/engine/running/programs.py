"""What a bot's ``allow`` gives its programs, and what these may ask while they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codex32.kernel.bot import Allow
from codex32.kernel.contracts.bot_type import StepContext
from codex32.kernel.contracts.program import FileGrant, Program
from codex32.kernel.errors import CapabilityRefused
from codex32.kernel.json_values import JSON
from codex32.kernel.requirements import canonical
from codex32.kernel.views import ExecutionRef

Call = Callable[[str, Mapping[str, JSON]], Awaitable[ExecutionRef]]

_LEVELS = frozenset({"debug", "info", "warning", "error"})
_MOST_FIELDS = 50
#: Executions that one program may start.
_MOST_CALLS = 100


def granted(program: Program, allow: Allow) -> Program:
    """The program with the powers and limits of its bot, which it may narrow and not widen.

    Raises:
      CapabilityRefused: It requires a package that ``allow.packages`` does not name.
    """
    allowed = {_canonical(each) for each in allow.packages}
    for package in program.requires:
        if _canonical(package) not in allowed:
            raise CapabilityRefused("packages", package)
    return replace(
        program,
        memory_bytes=_least(program.memory_bytes, allow.memory_bytes),
        cpu_seconds=_least(program.cpu_seconds, allow.cpu_seconds),
        processes=_least(program.processes, allow.processes),
        disk_bytes=_least(program.disk_bytes, allow.disk_bytes),
        files=tuple(file_grants(allow.files)),
        hosts=allow.hosts,
    )


def _canonical(package: str) -> str:
    try:
        return canonical(package)
    except ValueError:
        return package  # whoever installs it will say what is wrong with it


def _least(asked: float | None, allowed: float | None) -> Any:
    given = [each for each in (asked, allowed) if each is not None]
    return min(given) if given else None


def file_grants(files: Sequence[JSON]) -> Iterator[FileGrant]:
    """``allow.files`` as grants: a text is read-only, ``{path, write: true}`` may be written."""
    for entry in files:
        match entry:
            case str(path):
                yield FileGrant(path)
            case {"path": str(path)}:
                yield FileGrant(path, write=bool(entry.get("write")))


class StepHost:
    """Answers a program on behalf of its step.

    Args:
      call: Starts another bot, or finds what an earlier try of this step had started so.

    Attributes:
      state: What the program wrote to the bot's state; kept if its step succeeds.
    """

    def __init__(self, context: StepContext, call: Call) -> None:
        self._context, self._call = context, call
        self._calls = 0
        self.state: dict[str, JSON] = {}

    def tell(self, name: str, values: Mapping[str, JSON]) -> None:
        """Take a log line or an entry of the state; what is neither is passed over."""
        match name, values:
            case "log", {"message": str(message), "level": str(level), "fields": dict(fields)}:
                kept = {_field(key): value for key, value in list(fields.items())[:_MOST_FIELDS]}
                level = level if level in _LEVELS else "info"
                self._context.log(message, level=level, **kept)
            case "state", {"key": str(key), "value": value}:
                self.state[key] = value

    async def ask(self, name: str, values: Mapping[str, JSON]) -> JSON:
        """Answer a question.

        Raises:
          LookupError: Nobody knows how to answer it, or it was asked too often.
          CapabilityRefused: The bot's ``allow`` does not name it.
          SecretNotFound: No store knows it.
          BotNotFound, InputsInvalid: There is no such bot, or these do not fit it.
        """
        match name, values:
            case "state", _:
                return {**self._context.state, **self.state}
            case "secret", {"name": str(secret)}:
                return await self._context.secret(secret)
            case "call", {"bot": str(bot), "inputs": dict(inputs)}:
                self._calls += 1
                if self._calls > _MOST_CALLS:
                    raise LookupError(f"a program may start {_MOST_CALLS} executions")
                return (await self._call(bot, inputs)).id
        raise LookupError(f"there is nothing to ask by the name {name!r}")


def _field(name: str) -> str:
    """A field's name that is no argument of ``log``."""
    return f"{name}_" if name in ("self", "level", "message") else name
