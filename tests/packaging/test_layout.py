"""What a plugin of the house's own tree must keep, so that it is shipped and held to the law."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(ROOT.glob("plugins/*/pyproject.toml"))


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_a_plugins_folder_is_called_like_its_distribution_and_holds_its_package(project) -> None:
    name = tomllib.loads(project.read_text())["project"]["name"]
    assert name == project.parent.name
    assert (project.parent / name.replace("-", "_") / "__init__.py").exists()
    assert (project.parent / "README.md").exists()


def test_every_plugin_is_under_a_contract() -> None:
    law = configparser.ConfigParser(interpolation=None)
    law.read(ROOT / "setup.cfg")
    packages = {path.parent.name.replace("-", "_") for path in PROJECTS}
    under = {
        name
        for section in ("plugins", "testing")
        for name in law[f"importlinter:contract:{section}"]["source_modules"].split()
    }
    assert under == packages
    assert packages <= set(law["importlinter"]["root_packages"].split())


def test_all_distributions_have_one_version() -> None:
    projects = [ROOT / "pyproject.toml", *PROJECTS]
    versions = {tomllib.loads(path.read_text())["project"]["version"] for path in projects}
    assert len(versions) == 1
