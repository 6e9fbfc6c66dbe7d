"""``codex32 plugins new`` writes plugins that work, and ``codex32 plugins check`` says so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codex32.cli.plugin_writing import KINDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CODEX32 = Path(sys.executable).with_name("codex32")


def run(*command, cwd, path=""):
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder, kind, name="shop-bell"):
    new = folder / "new"
    answer = run(CODEX32, "plugins", "new", name, "--kind", kind, "--into", new, cwd=folder)
    assert answer.returncode == 0, answer.stderr
    return new


def install(new):
    """What an installer leaves behind: the entry point, for whoever has the folder in sight."""
    project = (new / "pyproject.toml").read_text()
    name = re.search(r'name = "(.+)"', project)[1]
    metadata = new / f"{name.replace('-', '_')}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    points = re.search(r"\[project\.entry-points\.codex32\]\n(.+)", project)[1].replace('"', "")
    (metadata / "entry_points.txt").write_text(f"[codex32]\n{points}\n")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_is_whole_and_passes_its_tests_and_the_check(kind, tmp_path):
    new = write(tmp_path, kind)
    files = {str(path.relative_to(new)) for path in new.rglob("*") if path.is_file()}
    assert {
        "pyproject.toml",
        "README.md",
        ".github/workflows/test.yml",
        "codex32_shop_bell/__init__.py",
        "codex32_shop_bell/py.typed",
        "tests/test_component.py",
    } <= files
    texts = "".join((new / file).read_text() for file in files)
    assert re.findall(r"@(?:name|package|Class|distribution|usage|offers|config)@", texts) == []
    tests = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=new, path=new)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    install(new)
    answer = run(CODEX32, "plugins", "check", "shop-bell", "--json", cwd=tmp_path, path=new)
    report = json.loads(answer.stdout)
    assert answer.returncode == 0, report
    assert report["passed"]
    assert (report["plugin"], report["distribution"]) == ("shop-bell", "codex32-shop-bell")
    if kind == "secret-store":  # which offers nothing before its settings name a file
        assert [c["name"] for c in report["checks"] if c["status"] == "skipped"]
    else:
        assert len(report["checks"]) >= 7


def test_what_is_written_keeps_to_the_houses_style(tmp_path):
    for kind in sorted(KINDS):
        (tmp_path / kind).mkdir()
        write(tmp_path / kind, kind)
    ruff = Path(sys.executable).with_name("ruff")
    answer = run(
        ruff,
        "check",
        "--isolated",
        "--select",
        "E,F,W,B,UP",
        "--line-length",
        "99",
        tmp_path,
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stdout
    options = ("--isolated", "--line-length", "99", "--check")
    answer = run(ruff, "format", *options, tmp_path, cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_plugin_that_breaks_its_contract_is_told_how(tmp_path):
    new = write(tmp_path, "notifier")
    install(new)
    component = new / "codex32_shop_bell" / "component.py"
    text = component.read_text()
    text = text.replace("timeout_seconds=timeout_seconds,", "timeout_seconds=60,")
    component.write_text("import codex32.kernel.clock\n" + text.replace("from __future__", "#"))
    answer = run(
        CODEX32, "plugins", "check", "codex32-shop-bell", "--json", cwd=tmp_path, path=new
    )
    assert answer.returncode == 1
    failed = {
        c["name"]: c["detail"]
        for c in json.loads(answer.stdout)["checks"]
        if c["status"] == "failed"
    }
    assert "component.py:1 imports codex32.kernel.clock" in failed["it uses the public face alone"]
    assert "the client is given the time limit" in failed


def test_a_check_reaches_nobody_unless_it_may(tmp_path):
    new = write(tmp_path, "embedder")
    install(new)
    component = new / "codex32_shop_bell" / "component.py"
    reach = '        import socket\n        socket.create_connection(("127.0.0.1", 9), 1)\n'
    marker = 'computed on a thread."""\n'
    text = component.read_text()
    assert marker in text
    component.write_text(text.replace(marker, marker + reach))
    answer = run(CODEX32, "plugins", "check", "shop-bell", "--json", cwd=tmp_path, path=new)
    report = json.loads(answer.stdout)
    assert report["passed"]
    reached = [c for c in report["checks"] if c["status"] == "skipped"]
    assert len(reached) >= 5
    assert all("--live" in c["detail"] for c in reached)
    answer = run(CODEX32, "plugins", "check", "shop-bell", "--live", cwd=tmp_path, path=new)
    assert answer.returncode == 1
    assert "ConnectionRefusedError" in answer.stdout


@pytest.mark.parametrize("name", ["Shop", "shop_bell", "", "9lives", "a" * 60])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    answer = run(CODEX32, "plugins", "new", name, "--kind", "notifier", cwd=tmp_path)
    assert answer.returncode == 2
    assert "is no name of a plugin" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "codex32-bell").mkdir()
    (tmp_path / "codex32-bell" / "mine.txt").write_text("mine")
    answer = run(CODEX32, "plugins", "new", "bell", "--kind", "notifier", cwd=tmp_path)
    assert answer.returncode == 2
    assert "name another folder with --into" in answer.stderr
    assert len(list((tmp_path / "codex32-bell").iterdir())) == 1


def test_a_plugin_that_is_not_there_is_told(tmp_path):
    answer = run(CODEX32, "plugins", "check", "nosuch", cwd=tmp_path)
    assert answer.returncode == 2
    assert "no plugin 'nosuch' is installed" in answer.stderr
