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
#: One of each kind; all names are as long, since lines are broken by their length.
NAMES = {
    "bot-type": "shop-bell",
    "embedder": "shop-book",
    "llm-provider": "shop-mind",
    "notifier": "shop-horn",
    "secret-store": "shop-safe",
    "trigger": "shop-door",
    "vector-store": "shop-rack",
}
#: Checks plugins in one process, as ``codex32 plugins check`` checks one.
CHECKS = """\
import json, sys
from dataclasses import asdict
from codex32_testing.check import check
reports = {name: check(name, {}) for name in sys.argv[1:]}
told = {name: {**asdict(each), "passed": each.passed} for name, each in reports.items()}
print(json.dumps(told))
"""


def run(*command, cwd, path=()):
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder, kind, name="shop-bell"):
    new = folder / f"codex32-{name}"
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


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A new plugin of each kind, by kind; all are installed side by side."""
    assert set(NAMES) == set(KINDS)
    folder = tmp_path_factory.mktemp("shelf")
    written = {kind: write(folder, kind, name) for kind, name in NAMES.items()}
    for kind, new in written.items():
        files = {str(path.relative_to(new)) for path in new.rglob("*") if path.is_file()}
        package = f"codex32_{NAMES[kind].replace('-', '_')}"
        assert {
            "pyproject.toml",
            "README.md",
            ".github/workflows/test.yml",
            f"{package}/__init__.py",
            f"{package}/py.typed",
            "tests/test_component.py",
        } <= files
        texts = "".join((new / file).read_text() for file in files)
        words = "name|package|Class|distribution|usage|offers|config"
        assert re.findall(rf"@(?:{words})@", texts) == []
        install(new)
    return written


def test_the_tests_of_each_kind_pass(shelf):
    """All in one process; that of one kind is run in its own folder, too, below."""
    folders = list(shelf.values())
    around = folders[0].parent
    options = ("-q", "-rA", "-p", "no:cacheprovider", "--rootdir", around)
    configuration = ("-c", folders[0] / "pyproject.toml")
    answer = run(
        *(sys.executable, "-m", "pytest", *options, *configuration),
        *(folder / "tests" for folder in folders),
        cwd=around,
        path=folders,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for folder in folders:
        passed = re.findall(rf"^PASSED {folder.name}/tests/", answer.stdout, re.MULTILINE)
        assert len(passed) >= 5, (folder.name, answer.stdout)


def test_each_kind_passes_the_check(shelf):
    folders = list(shelf.values())
    answer = run(sys.executable, "-c", CHECKS, *NAMES.values(), cwd=folders[0], path=folders)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for kind, name in NAMES.items():
        report = json.loads(answer.stdout)[name]
        assert report["passed"], report
        assert (report["plugin"], report["distribution"]) == (name, f"codex32-{name}")
        if kind == "secret-store":  # which offers nothing before its settings name a file
            assert [c["name"] for c in report["checks"] if c["status"] == "unchecked"]
        else:
            assert len(report["checks"]) >= 7


def test_an_author_tries_a_new_plugin_where_it_stands(shelf):
    new = shelf["notifier"]
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    tests = run(*command, cwd=new, path=[new])
    assert tests.returncode == 0, tests.stdout + tests.stderr
    answer = run(CODEX32, "plugins", "check", "shop-horn", "--json", cwd=new, path=[new])
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert json.loads(answer.stdout)["passed"]


def test_what_is_written_keeps_to_the_houses_style(shelf):
    folder = shelf["notifier"].parent
    ruff = Path(sys.executable).with_name("ruff")
    chosen = ("check", "--isolated", "--no-cache", "--select", "E,F,W,B,UP")
    answer = run(ruff, *chosen, "--line-length", "99", folder, cwd=folder)
    assert answer.returncode == 0, answer.stdout
    options = ("--isolated", "--no-cache", "--line-length", "99", "--check")
    answer = run(ruff, "format", *options, folder, cwd=folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_plugin_that_breaks_its_contract_is_told_how(tmp_path):
    new = write(tmp_path, "notifier")
    install(new)
    component = new / "codex32_shop_bell" / "component.py"
    text = component.read_text()
    text = text.replace("timeout_seconds=timeout_seconds,", "timeout_seconds=60,")
    component.write_text("import codex32.kernel.clock\n" + text.replace("from __future__", "#"))
    command = ("plugins", "check", "codex32-shop-bell", "--json")
    answer = run(CODEX32, *command, cwd=tmp_path, path=[new])
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
    # As some clients do, it goes on trying before it gives up.
    reach = (
        "        import socket, time\n"
        "        try:\n"
        '            socket.create_connection(("127.0.0.1", 9), 1)\n'
        "        except OSError as refused:\n"
        "            time.sleep(6 if 'while a plugin is checked' in str(refused) else 0)\n"
        "            raise\n"
    )
    marker = 'computed on a thread."""\n'
    text = component.read_text()
    assert marker in text
    component.write_text(text.replace(marker, marker + reach))
    answer = run(CODEX32, "plugins", "check", "shop-bell", "--json", cwd=tmp_path, path=[new])
    report = json.loads(answer.stdout)
    assert report["passed"]
    reached = [c for c in report["checks"] if c["status"] == "skipped"]
    assert len(reached) >= 5
    assert all("--live" in c["detail"] for c in reached)
    assert report["seconds"] < 6 * len(reached)  # one of them waited
    answer = run(CODEX32, "plugins", "check", "shop-bell", "--live", cwd=tmp_path, path=[new])
    assert answer.returncode == 1
    assert "ConnectionRefusedError" in answer.stdout


def test_what_an_author_alone_knows_is_held_against_no_plugin(tmp_path):
    answer = run(sys.executable, "-c", CHECKS, "anthropic", "slack", "telegram", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    reports = json.loads(answer.stdout)
    assert all(report["passed"] for report in reports.values()), reports
    skipped = {
        name: {c["detail"] for c in report["checks"] if c["status"] == "skipped"}
        for name, report in reports.items()
    }
    assert skipped == {
        "anthropic": {"it reaches outside; run it with --live"},
        "slack": {"its author alone knows what its service answers"},
        "telegram": {"it takes targets of another form; name one with --target"},
    }


def test_what_lacks_a_setting_is_one_verdict_and_no_failure(tmp_path):
    answer = run(CODEX32, "plugins", "check", "pinecone", cwd=tmp_path)
    assert answer.returncode == 4, answer.stdout + answer.stderr
    asked = "pinecone has no key; set plugins.pinecone.api_key"
    assert answer.stdout.endswith(f"1 not checked\nnot checked: {asked}\n")
    assert "failed" not in answer.stdout
    answer = run(CODEX32, "plugins", "check", "email", "--json", cwd=tmp_path)
    assert answer.returncode == 4
    (missing,) = [c for c in json.loads(answer.stdout)["checks"] if c["status"] == "unchecked"]
    assert "set plugins.email" in missing["detail"]


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("def f(:", "__init__.py:1 is no Python"),
        ("print('hello')", "it prints when it is imported: hello"),
        ("raise SystemExit", "its import ends the process (exit code 0)"),
        ("import no_such_sdk", "No module named 'no_such_sdk'"),
        ("import time; time.sleep(1.2)", "its import waits"),
    ],
)
def test_a_plugin_that_is_not_imported_as_it_should_is_told_why(tmp_path, code, fault):
    new = write(tmp_path, "notifier")
    install(new)
    module = new / "codex32_shop_bell" / "__init__.py"
    module.write_text(f"{code}\n" + module.read_text().replace("from __future__", "#"))
    answer = run(CODEX32, "plugins", "check", "shop-bell", "--json", cwd=tmp_path, path=[new])
    assert answer.returncode == 1, answer.stdout + answer.stderr
    failed = [c["detail"] for c in json.loads(answer.stdout)["checks"] if c["status"] == "failed"]
    assert fault in "\n".join(failed)


def test_a_notifier_that_speaks_another_protocol_is_not_asked_for_http(tmp_path):
    answer = run(CODEX32, "plugins", "check", "builtin", "--json", cwd=tmp_path)
    report = json.loads(answer.stdout)
    assert answer.returncode == 0, [c for c in report["checks"] if c["status"] == "failed"]
    assert [c for c in report["checks"] if c["subject"] == "notifier log"]


@pytest.mark.parametrize("name", ["Shop", "shop_bell", "", "9lives", "a" * 60])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    answer = run(CODEX32, "plugins", "new", name, "--kind", "notifier", cwd=tmp_path)
    assert answer.returncode == 2
    assert "is no name of a plugin" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(tmp_path):
    answer = run(CODEX32, "plugins", "new", "slack", "--kind", "notifier", cwd=tmp_path)
    assert answer.returncode == 2
    assert "a plugin 'slack' is installed" in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["testing", "config"])
def test_no_package_of_the_house_is_hidden_by_another(name, tmp_path):
    answer = run(CODEX32, "plugins", "new", name, "--kind", "notifier", cwd=tmp_path)
    assert answer.returncode == 2
    assert f"a package codex32_{name} is there already" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_nearly_one_is_told_which(tmp_path):
    answer = run(CODEX32, "plugins", "new", "bell", "--kind", "vectorstore", cwd=tmp_path)
    assert answer.returncode == 2
    assert "did you mean 'vector-store'?" in answer.stderr


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "codex32-bell").mkdir()
    (tmp_path / "codex32-bell" / "mine.txt").write_text("mine")
    answer = run(CODEX32, "plugins", "new", "bell", "--kind", "notifier", cwd=tmp_path)
    assert answer.returncode == 2
    assert "name another folder with --into" in answer.stderr
    assert len(list((tmp_path / "codex32-bell").iterdir())) == 1


def test_a_plugin_that_is_not_there_is_told(tmp_path):
    answer = run(CODEX32, "plugins", "check", "slak", cwd=tmp_path)
    assert answer.returncode == 2
    assert "no plugin 'slak' is installed here (did you mean 'slack'?)" in answer.stderr
    answer = run(CODEX32, "plugins", "check", "codex32", cwd=tmp_path)
    assert answer.returncode == 2
    assert "name one of api, builtin, outside, workers" in answer.stderr
