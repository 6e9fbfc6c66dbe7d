"""The reference of errors names every error of the house with its code."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import codex32
import codex32_workers
from codex32.kernel.errors import Codex32Error
from codex32_config import SettingsError

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "errors.md").read_text()


def below(kind):
    """A class and all classes that derive from it, but for private ones and strangers'."""
    yield kind
    for each in kind.__subclasses__():
        if each.__module__.partition(".")[0] in ("codex32", "codex32_workers"):
            yield from below(each)


def errors():
    for package in (codex32, codex32_workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return [kind for kind in below(Codex32Error) if not kind.__name__.startswith("_")]


def written(kind):
    return f"| `{kind.code}` | `{kind.__name__}` | {inspect.getdoc(kind).splitlines()[0]} |"


def test_every_error_has_its_row_and_no_row_is_of_an_error_that_is_gone():
    rows = re.findall(r"^\| `[a-z-]+` \| `[A-Z]\w+` \| .* \|$", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(written(kind) for kind in errors())


def test_no_two_errors_share_a_code():
    codes = [kind.code for kind in errors()]
    assert sorted(codes) == sorted(set(codes))


def test_the_error_of_the_settings_is_told_to_stand_outside_the_tree():
    assert not issubclass(SettingsError, Codex32Error)
    assert "`SettingsError` is a `ValueError`" in PAGE
