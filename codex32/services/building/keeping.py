"""What a bot is tested for goes on being tested: nobody who changes it drops a test in silence.

A test that is there stays unless it was written anew under its name; that it does not hold any
more shows when it is run. Who is shown the draft is told which tests are other.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from codex32.kernel.json_values import JSON
from codex32.services.explaining.changes import Meaning

#: What stands for all that pytest has beside its tests.
_SHARED: Final = "(shared)"
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class Former(NamedTuple):
    """The tests of the bot that is changed.

    Attributes:
      tests: Those of its file.
      python: pytest for its Python; empty where there is none.
    """

    tests: Sequence[JSON] = ()
    python: str = ""


def kept(
    former: Sequence[JSON], tests: Sequence[JSON], fits: Callable[[JSON], bool]
) -> list[JSON]:
    """``tests`` with those of ``former`` that they leave out, in the order of the former ones.

    Args:
      former: What is there.
      tests: What was written; the same name stands for the same test.
      fits: Whether a test can be one of the bot as it is to be: what speaks of a step or an input
        that is gone goes with it.
    """
    left = list(tests)
    found = []
    for each in former:
        anew = next((test for test in left if _name(test) == _name(each)), None)
        if anew is not None:
            left.remove(anew)
            found.append(anew)
        elif fits(each):
            found.append(each)
    return [*found, *left]


def gone(former: str, python: str, steps: Sequence[str]) -> list[str]:
    """Names of tests that ``former`` has and ``python`` has no more.

    Args:
      former: pytest that is there.
      python: pytest that was written.
      steps: Those that are Python. Where one is gone that ``former`` asks for, its tests may go,
        too.

    Raises:
      SyntaxError: Of ``python``.
    """
    there = ast.parse(python)
    try:
        before = ast.parse(former)
    except SyntaxError:
        return []
    if not _asked(before) <= set(steps):
        return []
    return [name for name in _parts(before) if name not in {*_parts(there), _SHARED}]


def meanings_of_python(before: str, after: str) -> Iterator[Meaning]:
    """What is other in pytest, test by test."""
    try:
        old, new = _parts(ast.parse(before)), _parts(ast.parse(after))
    except SyntaxError:
        if before != after:
            yield Meaning("test", "changed", "pytest", "pytest for its Python is other")
        return
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) == new.get(name):
            continue
        if name == _SHARED:
            yield Meaning("test", "changed", "pytest", "what its pytest shares is other")
        else:
            kind = "changed" if name in old and name in new else "added"
            kind = "removed" if name not in new else kind
            yield Meaning("test", kind, name, f"pytest {name} was {kind}")


def _name(test: JSON) -> JSON:
    """What a test is known by; one without a name is known by all that it is."""
    return test.get("name", test) if isinstance(test, Mapping) else test


def _parts(tree: ast.Module) -> dict[str, str]:
    """The tests by name, and all else together, as they are but for spaces and comments."""
    found: dict[str, str] = {}
    for name, node in _pieces(tree.body, ""):
        found[name] = f"{found.get(name, '')}{ast.dump(node)}"
    return found


def _pieces(body: Sequence[ast.stmt], above: str) -> Iterator[tuple[str, ast.stmt]]:
    for each in body:
        if isinstance(each, ast.ClassDef) and each.name.startswith("Test"):
            yield from _pieces(each.body, f"{above}{each.name}::")
        elif isinstance(each, _FUNCTIONS) and each.name.startswith("test"):
            yield f"{above}{each.name}", each
        else:
            yield _SHARED, each


def _asked(tree: ast.Module) -> set[str]:
    """Steps whose ``main`` is asked for by name."""
    calls = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Name)
        and each.func.id == "step_main"
    ]
    return {
        each.args[1].value
        for each in calls
        if len(each.args) == 2
        and isinstance(each.args[1], ast.Constant)
        and isinstance(each.args[1].value, str)
    }
