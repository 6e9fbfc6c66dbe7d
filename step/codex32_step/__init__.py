"""What the Python of a bot may ask of the house it runs in.

::

    from codex32_step import call, log, secret, state

    def main(pages):
        log.info("reading", pages=len(pages))
        seen = state.get("seen", 0)
        state["seen"] = seen + len(pages)
        call("archive", pages=pages)
        return seen

The same file runs under plain pytest, where nothing stands behind it: lines are printed, the state
is a dictionary that begins empty, secrets come from the environment (``CODEX32_SECRET_NAME``), and
calls are printed, too.
"""

from __future__ import annotations

import os

# As collections.abc has it, without the 3 ms that collections costs every cold start.
from _collections_abc import MutableMapping

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    class _House(Protocol):
        def tell(self, name: str, /, **values: Any) -> None: ...

        def ask(self, name: str, /, **values: Any) -> Any: ...

    _Items = MutableMapping[str, Any]
else:
    _Items = MutableMapping


__all__ = ["call", "log", "secret", "state"]


class _Nobody:
    """Answers where there is no house: under a test, or at a prompt."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._called = 0

    def tell(self, name: str, /, **values: Any) -> None:
        if name == "log":
            self._print(values["message"], values["fields"])

    def ask(self, name: str, /, **values: Any) -> Any:
        if name == "secret":
            return os.environ[f"CODEX32_SECRET_{values['name']}"]
        if name == "state":
            return self.state
        if name == "call":
            self._print(f"call {values['bot']}", values["inputs"])
            self._called += 1
            return f"execution-{self._called}"
        raise NotImplementedError(name)

    def _print(self, what: str, fields: dict[str, Any]) -> None:
        print(what, *(f"{key}={value}" for key, value in fields.items()))


_nobody = _Nobody()
_house: _House = _nobody


def _at(house: _House) -> None:
    global _house
    _house = house


def secret(name: str) -> str:
    """A secret that the bot's ``allow.secrets`` names.

    Raises:
      PermissionError: It is not named there.
      RuntimeError: No store knows it.
    """
    value: str = _house.ask("secret", name=name)
    return value


def call(bot: str, /, **inputs: Any) -> str:
    """Start another bot, which ``allow.bots`` names, and go on; the id of its execution.

    A step that is tried again starts nothing twice: a call with the inputs of one that was made
    before gives the execution that this one had started.

    Raises:
      PermissionError: ``allow.bots`` does not name it.
      RuntimeError: There is no such bot, or the inputs do not fit it.
    """
    started: str = _house.ask("call", bot=bot, inputs=inputs)
    return started


class _Log:
    """Lines of the step's log: ``log("done", count=3)``, ``log.warning("slow")``."""

    def __call__(self, message: object, **fields: Any) -> None:
        """A line of level ``info``."""
        self._tell("info", message, fields)

    def debug(self, message: object, **fields: Any) -> None:
        """A line for whoever looks for a fault."""
        self._tell("debug", message, fields)

    def info(self, message: object, **fields: Any) -> None:
        """A line that tells how it goes."""
        self._tell("info", message, fields)

    def warning(self, message: object, **fields: Any) -> None:
        """A line somebody should see."""
        self._tell("warning", message, fields)

    def error(self, message: object, **fields: Any) -> None:
        """A line somebody must see."""
        self._tell("error", message, fields)

    def _tell(self, level: str, message: object, fields: dict[str, Any]) -> None:
        _house.tell("log", level=level, message=str(message), fields=fields)


#: Characters of a key of the state, as the house takes them.
_LONGEST_KEY = 255


class _State(_Items):
    """The bot's state: as it was when the step began, and what the program writes to it.

    What is written is kept if the step succeeds, together with its output, and not otherwise.
    ``None`` removes an entry.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            self._values = dict(_house.ask("state"))
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of the state is a text, not {key!r}")
        if not (0 < len(key) <= _LONGEST_KEY and key.isprintable()):
            what = f"a text of 1 to {_LONGEST_KEY} printable characters"
            raise ValueError(f"a key of the state is {what}, not {key!r:.60}")
        self._read()[key] = value
        _house.tell("state", key=key, value=value)

    def __delitem__(self, key: str) -> None:
        del self._read()[key]
        _house.tell("state", key=key, value=None)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._read()))

    def __len__(self) -> int:
        return len(self._read())


log = _Log()
state = _State()
