"""Which turn answers which request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from codex32_testing.model_server.turns import Turn

#: Looks at path and body of a request, and answers it, or leaves it to what else is laid down.
Answerer: TypeAlias = Callable[[str, Any], Turn | None]


@dataclass(frozen=True, slots=True)
class _Rule:
    turn: Turn
    model: str | None
    path: str | None
    once: bool

    def fits(self, path: str, model: str) -> bool:
        return self.model in (None, model) and self.path in (None, path)


class Script:
    """Rules in the order they were laid down; safe to change from any thread."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._answerers: list[Answerer] = []
        self._lock = threading.Lock()

    def add(self, *turns: Turn, model: str | None, path: str | None, once: bool) -> None:
        """Lay down turns for requests that fit."""
        with self._lock:
            self._rules += [_Rule(turn, model, path, once) for turn in turns]

    def ask(self, answerer: Answerer) -> None:
        """Ask ``answerer`` before the rules."""
        with self._lock:
            self._answerers.append(answerer)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._rules.clear()
            self._answerers.clear()

    def take(self, path: str, model: str, body: Any) -> Turn:
        """The turn for a request: rules for once before those for always; else a good answer."""
        for answerer in tuple(self._answerers):
            if (answer := answerer(path, body)) is not None:
                return answer
        with self._lock:
            fitting = [rule for rule in self._rules if rule.fits(path, model)]
            for rule in fitting:
                if rule.once:
                    self._rules.remove(rule)
                    return rule.turn
            return fitting[-1].turn if fitting else Turn()
