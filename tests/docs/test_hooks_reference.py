"""The reference of hooks says exactly what the specifications say."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from codex32.kernel import hookspecs

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "hooks.md").read_text()


def signatures():
    """Each hook as it is written in ``hookspecs.py``, without ``def`` and colon."""
    for node in ast.parse(inspect.getsource(hookspecs)).body:
        if isinstance(node, ast.FunctionDef):
            yield f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"


def sections():
    """Heading to text of each hook's section."""
    parts = re.split(r"^##+ ", PAGE, flags=re.MULTILINE)
    hooks = (part.partition("\n") for part in parts if part.startswith("`"))
    return {heading.strip("`"): text for heading, _, text in hooks}


def test_every_hook_has_its_exact_signature_as_heading_in_order():
    assert list(sections()) == list(signatures())


@pytest.mark.parametrize("heading", sections())
def test_each_hook_begins_with_an_example_that_the_house_would_take(heading):
    example = re.match(r"\s*```python\n(.*?)```", sections()[heading], re.DOTALL)
    assert example, "the section does not begin with an example"
    hook = next(n for n in ast.parse(example[1]).body if isinstance(n, ast.FunctionDef))
    spec = inspect.signature(getattr(hookspecs, heading.partition("(")[0]))
    assert hook.name == heading.partition("(")[0]
    assert [ast.unparse(mark) for mark in hook.decorator_list] == ["hookimpl"]
    assert {argument.arg for argument in hook.args.args} <= set(spec.parameters)


@pytest.mark.parametrize("heading", sections())
def test_each_hook_says_who_calls_it_and_when(heading):
    assert re.search(r"^Called ", sections()[heading], re.MULTILINE)
