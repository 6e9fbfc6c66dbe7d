"""Expressions in bot files: ``${{ … }}`` in values, and bare in conditions.

What an expression yields is data: nothing here ever looks for expressions in a result.
docs/reference/expressions.md is the contract, with the limits and what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from codex32.engine.cel import checks, library
from codex32.engine.cel.checks import Fault, Scope
from codex32.engine.cel.program import build
from codex32.engine.cel.text import OPEN, Part, bare, expressions_in, holds_expression
from codex32.engine.cel.tree import Call, Const, Ident, Node, Select
from codex32.engine.cel.values import Frame, to_json, to_text, type_name
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.errors import ExpressionFault
from codex32.kernel.json_values import JSON
from codex32.kernel.text import did_you_mean

__all__ = [
    "MAX_BYTES",
    "OPEN",
    "ROOTS",
    "Condition",
    "Expression",
    "Fault",
    "Part",
    "Scope",
    "Template",
    "bare",
    "compile_condition",
    "compile_expression",
    "compile_params",
    "compile_template",
    "condition_faults",
    "evaluate",
    "expressions_in",
    "find_faults",
    "holds_expression",
    "literal_params",
]

#: Every name an expression in a bot file may begin with; where each is there is the reader's law.
ROOTS: Final = frozenset(
    [
        "inputs",
        "trigger",
        "steps",
        "item",
        "index",
        "execution",
        "bot",
        "state",
        "failure",
        "secrets",
        "args",
    ]
)
#: UTF-8 bytes of one expression.
MAX_BYTES: Final = 4096
_GENERIC: Final = frozenset((name, "dyn") for name in ROOTS)
#: Formats of parameters that hold expressions which are not evaluated with the others.
_UNEVALUATED: Final = frozenset({"expression", "tools"})
_SHOWN = 120
_NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
      roots: Names it reads from the scope.
      secrets: Names it reads below ``secrets``.
      steps: Steps it reads; where it takes ``steps`` as a whole, None among them.
      is_path: The value is a part of the scope, and so JSON already.
    """

    text: str
    tree: Node
    roots: frozenset[str]
    secrets: frozenset[str]
    steps: frozenset[str | None]
    program: Callable[[Frame], Any]
    is_path: bool

    def evaluate(self, scope: Mapping[str, Any]) -> JSON:
        """The value, as JSON. Parts of the scope may be in it; treat it as read-only.

        Raises:
          ExpressionFault: It cannot be evaluated with this data, or is too much work.
        """
        try:
            frame = Frame(scope)
            value = self.program(frame)
            return value if self.is_path else to_json(frame, value)
        except ExpressionFault as fault:
            message = fault.message
        except RecursionError:
            message = "the data is nested too deeply"
        except (ArithmeticError, ValueError) as error:
            message = str(error)
        shown = self.text if len(self.text) <= _SHOWN else self.text[:_SHOWN] + "…"
        raise ExpressionFault(f"{message} (in: {shown})")


def compile_expression(text: str, names: frozenset[str] = ROOTS) -> Expression:
    """Compile bare CEL over the variables ``names``; compiled ones are kept, process-wide.

    Raises:
      ExpressionFault: The text is no expression over these names.
    """
    try:
        return _compile(text, names)
    except library.Complaint as complaint:
        told = "; ".join(_friendly(*fault, text, names) for fault in complaint.faults)
        raise ExpressionFault(f"{told} (in: {text[:_SHOWN]})") from None


def evaluate(text: str, variables: Mapping[str, JSON]) -> JSON:
    """Evaluate bare CEL over ``variables`` alone.

    Raises:
      ExpressionFault: The text is no expression, or cannot be evaluated with these.
    """
    return compile_expression(text, frozenset(variables)).evaluate(variables)


class Condition:
    """The expression of an ``if``.

    Attributes:
      roots: Names it reads from the scope.
      secrets: Names it reads below ``secrets``; the reader lets none through.
    """

    __slots__ = ("_expression", "roots", "secrets")

    def __init__(self, expression: Expression) -> None:
        self._expression = expression
        self.roots, self.secrets = expression.roots, expression.secrets

    def evaluate(self, scope: Mapping[str, Any]) -> bool:
        """Whether it holds.

        Raises:
          ExpressionFault: It cannot be evaluated with this data, or yields no bool.
        """
        value = self._expression.evaluate(scope)
        if type(value) is bool:
            return value
        raise ExpressionFault(
            f"a condition must be true or false, and this is {type_name(value)} "
            f"(in: {self._expression.text[:_SHOWN]})"
        )


def compile_condition(text: str) -> Condition:
    """Compile the text of an ``if``, bare or in ``${{ }}``.

    Raises:
      ExpressionFault: The text is no expression.
    """
    return Condition(compile_expression(bare(text)))


class Template:
    """A JSON value with expressions in its texts.

    Attributes:
      is_constant: There is none; ``evaluate`` returns the very value that was compiled.
      roots: Names the expressions read from the scope.
      secrets: Names they read below ``secrets``.
      steps: Steps they read; where one takes ``steps`` as a whole, None among them.
    """

    __slots__ = ("_evaluate", "is_constant", "roots", "secrets", "steps")

    def __init__(
        self,
        evaluate: Callable[[Mapping[str, Any]], JSON],
        *,
        is_constant: bool = False,
        roots: frozenset[str] = _NOTHING,
        secrets: frozenset[str] = _NOTHING,
        steps: frozenset[str | None] = frozenset(),
    ) -> None:
        self._evaluate = evaluate
        self.is_constant, self.roots, self.secrets = is_constant, roots, secrets
        self.steps = steps

    def evaluate(self, scope: Mapping[str, Any]) -> JSON:
        """The value with every expression replaced by what it yields.

        Raises:
          ExpressionFault: An expression cannot be evaluated with this data.
        """
        return self._evaluate(scope)


def compile_template(value: JSON, *, literal: frozenset[str] = _NOTHING) -> Template:
    """Compile all expressions in ``value``; keep the template as long as the value is used.

    Args:
      value: Any JSON.
      literal: Top-level keys whose values are taken as they are, expressions or not.

    Raises:
      ExpressionFault: One of the expressions cannot be compiled.
    """
    if isinstance(value, str):
        return _compile_text(value) if OPEN in value else _constant(value)
    if isinstance(value, Mapping):
        parts = {
            key: _constant(part) if key in literal else compile_template(part)
            for key, part in value.items()
        }
        return _assemble(
            value, list(parts.values()), lambda made: dict(zip(parts, made, strict=True))
        )
    if isinstance(value, list | tuple):
        return _assemble(value, [compile_template(part) for part in value], list)
    return _constant(value)


def literal_params(bot_type: BotType) -> frozenset[str]:
    """Parameters that are no templates: code, tools, and what the bot type evaluates itself."""
    properties = bot_type.params_schema.get("properties", {})
    own = {name for name, each in properties.items() if each.get("format") in _UNEVALUATED}
    return frozenset(bot_type.inlined_files.values()) | own


def compile_params(bot_type: BotType, params: Mapping[str, JSON]) -> Template:
    """Compile a step's ``with``; code is never a template, so that no data can become code.

    Raises:
      ExpressionFault: One of the expressions cannot be compiled.
    """
    return compile_template(params, literal=literal_params(bot_type))


def find_faults(text: str, scope: Scope) -> list[Fault]:
    """All that is wrong with bare CEL before there is data, at its place in ``text``."""
    names = frozenset(scope.roots) if scope.alone else frozenset(scope.roots) | ROOTS
    try:
        expression = _compile(text, names)
        tree = expression.tree
        faults = checks.find_faults(tree, scope)
        # The library takes has(inputs.x) for the value of a declared inputs.x.
        if not faults and _has_types(expression, scope) and not checks.uses_has(tree):
            library.check(text, frozenset((name, "dyn") for name in names) | scope.types)
        return faults
    except library.Complaint as complaint:
        return [
            Fault(_offset(text, line, column), _friendly(line, column, message, text, names))
            for line, column, message in complaint.faults
        ]
    except ExpressionFault as fault:
        return [Fault(0, fault.message)]


@lru_cache(maxsize=8192)
def _compile(text: str, names: frozenset[str]) -> Expression:
    if not text.strip():
        raise library.Complaint([(1, 1, "there is no expression")])
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise library.Complaint(
            [(1, 1, f"an expression has at most {MAX_BYTES} bytes; let a python step do it")]
        )
    if "\x00" in text or (not text.isascii() and _has_surrogate(text)):
        raise library.Complaint([(1, 1, "the text holds a character that is none")])
    tree = library.parse(
        text, _GENERIC if names is ROOTS else frozenset((n, "dyn") for n in names)
    )
    return Expression(
        text,
        tree,
        checks.roots_of(tree),
        checks.fields_of(tree, "secrets"),
        checks.members_of(tree, "steps"),
        build(tree),
        _is_path(tree),
    )


def _has_types(expression: Expression, scope: Scope) -> bool:
    return any(name.partition(".")[0] in expression.roots for name, _ in scope.types)


def condition_faults(text: str, scope: Scope) -> list[Fault]:
    """Like :func:`find_faults`, for an expression that must be true or false."""
    faults = find_faults(text, scope)
    if not faults:
        try:
            library.check(f"({text}\n) ? true : false", _GENERIC)
        except library.Complaint:
            faults = [Fault(0, "a condition must be true or false; compare with ==, > or size()")]
    return faults


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_path(tree: Node) -> bool:
    """Whether the value is a part of the scope, and so JSON already."""
    match tree:
        case Ident():
            return True
        case Select(operand, _, False) | Call("_[_]", (operand, Const())):
            return _is_path(operand)
    return False


def _constant(value: JSON) -> Template:
    return Template(lambda scope: value, is_constant=True)


def _assemble(value: JSON, parts: list[Template], make: Callable[[list[JSON]], JSON]) -> Template:
    if all(part.is_constant for part in parts):
        return _constant(value)
    run = [part._evaluate for part in parts]
    return Template(
        lambda scope: make([each(scope) for each in run]),
        roots=frozenset().union(*(part.roots for part in parts)),
        secrets=frozenset().union(*(part.secrets for part in parts)),
        steps=frozenset().union(*(part.steps for part in parts)),
    )


@lru_cache(maxsize=8192)
def _compile_text(text: str) -> Template:
    parts = [
        part if isinstance(part, str) else compile_expression(part.text)
        for part in expressions_in(text)
    ]
    used = [part for part in parts if isinstance(part, Expression)]
    roots = frozenset().union(*(each.roots for each in used))
    secrets = frozenset().union(*(each.secrets for each in used))
    steps = frozenset().union(*(each.steps for each in used))
    if len(parts) == 1 and used:
        return Template(used[0].evaluate, roots=roots, secrets=secrets, steps=steps)

    def fill(scope: Mapping[str, Any]) -> str:
        return "".join(
            part if isinstance(part, str) else to_text(part.evaluate(scope)) for part in parts
        )

    return Template(fill, roots=roots, secrets=secrets, steps=steps)


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(each) + 1 for each in lines[: max(line - 1, 0)]) + max(column - 1, 0)


def _friendly(line: int, column: int, message: str, text: str, names: frozenset[str]) -> str:
    """The library's words, with a suggestion where a name is unknown."""
    if not message.startswith("undeclared reference to '"):
        return message.replace("Syntax error: ", "no expression: ").split(" expecting {")[0]
    name = message.split("'")[1]
    if text[_offset(text, line, column) :].startswith("("):
        return f"no function is called {name!r}{did_you_mean(name, library.FUNCTION_NAMES)}"
    name, there = name.partition(".")[0], ", ".join(sorted(names))
    return f"nothing is called {name!r}{did_you_mean(name, names)}; there are: {there}"
