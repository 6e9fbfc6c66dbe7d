"""What is shipped: the wheels and the sdist, built, compared, installed into nothing, and run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = (ROOT, ROOT / "config", ROOT / "migrations", ROOT / "workers")


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree without what earlier builds left in it, which setuptools would read again."""
    folder = tmp_path_factory.mktemp("checkout") / "codex32"
    left_out = shutil.ignore_patterns(
        ".*", "*.egg-info", "build", "dist", "__pycache__", "node_modules"
    )
    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


def _build(source: Path, target: Path, *kinds: str) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", target, source)


@pytest.fixture(scope="module")
def dist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of the house and of its plugins, and the house's sdist."""
    folder = tmp_path_factory.mktemp("dist")
    _build(checkout, folder, "--wheel", "--sdist")
    for project in sorted(checkout.glob("plugins/*/pyproject.toml")):
        _build(project.parent, folder, "--wheel")
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("codex32-*.whl"))


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment that holds nothing but the wheels and what they need."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", folder)
    wheels = [
        path if not path.name.startswith("codex32-") else f"codex32[all] @ {path.as_uri()}"
        for path in sorted(dist.glob("*.whl"))
    ]
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *map(str, wheels))
    return folder / "bin"


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_site_packages_gets_nothing_but_packages_of_ours(dist: Path) -> None:
    for path in dist.glob("*.whl"):
        tops = {name.partition("/")[0] for name in _files(path)}
        assert all(top.startswith("codex32") for top in tops), f"{path.name}: {tops}"
        assert not {name for name in _files(path) if "/tests/" in name}


def test_every_file_of_every_package_is_shipped(wheel: Path) -> None:
    wanted = {
        path.relative_to(root).as_posix()
        for root in SOURCE_ROOTS
        for package in root.glob("codex32*/")
        if (package / "__init__.py").exists()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - set(_files(wheel)) == set()
    for name in (
        "codex32/py.typed",
        "codex32_config/default.yaml",
        "codex32_migrations/0001_initial.py",
        "codex32_workers/py.typed",
    ):
        assert name in wanted


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_tree(dist, wheel, tmp_path: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    _build(next(tmp_path.glob("codex32-*")), tmp_path / "dist", "--wheel")
    again = _files(next((tmp_path / "dist").glob("*.whl")))
    files = _files(wheel)
    assert set(again) == set(files)
    assert {name for name in files if files[name] != again[name]} == set()


def test_the_installed_house_runs_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "codex32", "--version", cwd=tmp_path).startswith("codex32 ")
    listed = json.loads(run(installed / "codex32", "plugins", "--json", cwd=tmp_path))
    text = json.dumps(listed)
    assert '"builtin"' in text
    assert '"example"' in text
    assert '"failed"' not in text, text
    run(installed / "codex32", "db", "upgrade", cwd=tmp_path)
    assert (tmp_path / ".codex32" / "codex32.db").exists()
    where = "import codex32, codex32_workers; print(codex32.__file__, codex32_workers.__file__)"
    for path in run(installed / "python", "-c", where, cwd=tmp_path).split():
        assert Path(path).is_relative_to(installed.parent)


def test_an_installed_house_runs_a_bot(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(
        "type: python\nwith:\n  code: |\n    def main():\n        return 6 * 7\n"
    )
    told = run(installed / "codex32", "run", "hello.yaml", cwd=tmp_path)
    assert "succeeded" in told
    assert "42" in told


def test_the_house_alone_works_without_any_extra(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    bin_ = tmp_path / "venv" / "bin"
    run(bin_ / "python", "-m", "pip", "install", "--quiet", wheel)
    run(bin_ / "codex32", "--version", cwd=tmp_path)
    run(bin_ / "codex32", "db", "upgrade", cwd=tmp_path)
    missing = (
        "import importlib.util as u; print([n for n in ('dramatiq', 'redis') if u.find_spec(n)])"
    )
    assert run(bin_ / "python", "-c", missing).strip() == "[]"
    for command in ("up", "worker"):
        done = subprocess.run(
            [bin_ / "codex32", command], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert "codex32[" in done.stdout + done.stderr
