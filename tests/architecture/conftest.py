"""The source files of the house, read once."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ROOTS = ("config", "migrations", "workers", "sandbox", "step")
SOURCE_ROOTS = [ROOT, *(ROOT / name for name in _ROOTS)]


class Source:
    """One module of ours: its path from the root, its dotted name, its text, its tree."""

    def __init__(self, root, path):
        self.path = path.relative_to(ROOT).as_posix()
        dotted = ".".join(path.relative_to(root).with_suffix("").parts)
        self.module = dotted.removesuffix(".__init__")
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text, self.path)


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def sources():
    plugin_roots = sorted(ROOT.glob("plugins/codex32-*"))
    return [
        Source(root, path)
        for root in [*SOURCE_ROOTS, *plugin_roots]
        for package in sorted(root.glob("codex32*/"))
        if not package.name.endswith(".egg-info")
        for path in sorted(package.rglob("*.py"))
    ]
