"""The reference of contracts names every contract, its attributes and its methods."""

import inspect
import re
from abc import ABC
from pathlib import Path

import pytest

import codex32

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "contracts.md").read_text()
CONTRACTS = {
    name: kind
    for name in codex32.__all__
    if inspect.isclass(kind := getattr(codex32, name)) and ABC in kind.__bases__
}


def section(name):
    (found,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return found


def written(method, function):
    """A method as the page writes it: ``async send(a, b, *, c)``."""
    arguments, starred = [], False
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            arguments.append("*")
        arguments.append("**" * (parameter.kind is parameter.VAR_KEYWORD) + parameter.name)
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    return f"{prefix}{method}({', '.join(arguments)})"


def test_the_page_has_the_contracts_and_no_other():
    assert sorted(re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)) == sorted(CONTRACTS)


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_contract_lists_its_methods_with_their_arguments(name):
    listed = re.findall(r"^- `([^`]+)`", section(name), re.MULTILINE)
    methods = {
        written(method, function)
        for method, function in vars(CONTRACTS[name]).items()
        if inspect.isfunction(function) and not method.startswith("_")
    }
    assert set(listed) == methods


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_contract_lists_its_attributes(name):
    listed = re.findall(r"^\| `(\w+)` \|", section(name), re.MULTILINE)
    assert listed == list(CONTRACTS[name].__annotations__)
