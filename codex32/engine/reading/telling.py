"""What the checks of a definition share: telling problems, asking plugins, trying expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from codex32.engine import expressions as cel
from codex32.engine.expressions import OPEN, Part, Scope
from codex32.engine.reading.building import Raw
from codex32.engine.reading.document import Document, Path
from codex32.engine.values.validation import Finding, Validator
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON
from codex32.kernel.problems import Problem


@lru_cache(maxsize=512)
def validator_of(component: Any, attribute: str) -> Validator:
    """The validator of a component's schema; that of ``with`` lets expressions through."""
    schema, expressions_fit = getattr(component, attribute), attribute == "params_schema"
    return Validator(schema, trusted=True, expressions=expressions_fit)


class Teller:
    """Collects the problems of one document, each with its place."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[Problem] = []

    def say(self, path: Path, message: str, code: str = "invalid", **place: Any) -> None:
        """Note a problem; ``place`` is that of :meth:`Document.problem`."""
        self.problems.append(self._document.problem(path, message, code, **place))

    def findings(self, path: Path, findings: Iterable[Finding]) -> None:
        """Note what a validator found below ``path``."""
        for each in findings:
            self.say((*path, *each.path), each.message, each.code, key=each.key)

    def plugin(self, path: Path, name: str, ask: Callable[[], Iterable[Problem]]) -> None:
        """Ask a plugin for problems; one that fails is itself the problem."""
        try:
            told = list(ask())
        except Exception as error:
            self.say(
                path, f"{name} could not check this: {type(error).__name__}: {error}", "plugin"
            )
            return
        for each in told:
            below = tuple(int(p) if p.isdigit() else p for p in each.path.split(".") if p)
            self.say((*path, *below), each.message, each.code)

    def condition(self, path: Path, raw: Raw, scope: Scope) -> None:
        """Check the ``if`` of a step or trigger."""
        text = raw.get("if")
        if not isinstance(text, str):
            return
        try:
            inner = cel.bare(text)
        except ExpressionFault as fault:
            self.say(path, fault.message, "expression")
            return
        start = text.index(inner) if inner else 0
        for each in cel.condition_faults(inner, scope):
            self.say(path, each.message, "expression", offset=start + each.offset)

    def expressions(self, path: Path, value: JSON, scope: Scope) -> None:
        """Check all ``${{ }}`` in ``value``."""
        if isinstance(value, str):
            if OPEN in value:
                self._text(path, value, scope)
        elif isinstance(value, Mapping):
            for key, each in value.items():
                if OPEN in key:
                    message = "a key is no place for expressions; only values are evaluated"
                    self.say((*path, key), message, "expression", key=True)
                self.expressions((*path, key), each, scope)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                self.expressions((*path, index), each, scope)

    def _text(self, path: Path, text: str, scope: Scope) -> None:
        try:
            parts = cel.expressions_in(text)
        except ExpressionFault as fault:
            self.say(path, fault.message, "expression", offset=text.rindex(OPEN))
            return
        for part in parts:
            if isinstance(part, Part):
                for each in cel.find_faults(part.text, scope):
                    self.say(path, each.message, "expression", offset=part.offset + each.offset)
