"""Plugins as they lie on a disk: a module and the metadata of a distribution."""

import importlib
import itertools
import sys
import textwrap

import pytest

_numbers = itertools.count()

SHOUT = """
from codex32 import BotType, Succeeded, hookimpl

class Shout(BotType):
    name = "shout"
    params_schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    async def run(self, context, params):
        return Succeeded(params["text"].upper())
"""


class Shelf:
    """A folder on ``sys.path`` with distributions that a test installs."""

    group = "codex32_shelf"

    def __init__(self, folder):
        self.folder = folder

    def install(self, source, name="under_test", *, distribution=None, version="1.0", group=None):
        """Install a plugin; returns the name of its module, which is unique."""
        module = f"shelf_module_{next(_numbers)}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
        distribution = distribution or f"codex32-{name}"
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[{group or self.group}]\n{name} = {module}\n")
        importlib.invalidate_caches()
        return module


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    yield Shelf(tmp_path)
    for module in [name for name in sys.modules if name.startswith("shelf_module_")]:
        del sys.modules[module]


@pytest.fixture
def shout():
    """The beginning of a plugin: a bot type ``shout`` that is in order."""
    return SHOUT
