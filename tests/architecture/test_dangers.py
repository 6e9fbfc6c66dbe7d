"""What turns data into code stands only where a reason is written here."""

import ast
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version

import pytest

#: Calls that run what they are given, or build objects from it.
DANGEROUS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "marshal.loads",
    "pickle.load",
    "pickle.loads",
    "shelve.open",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
}
ALLOWED = {
    # The whole purpose of the child process: it runs the author's code, away from the house.
    "sandbox/codex32_sandbox/program.py": {"exec", "compile"},
    # ruamel's round trip, which knows no tags that build objects.
    "codex32/engine/reading/format.py": {"yaml.load_all"},
}
MODULES = {"pickle", "shelve", "dill", "cloudpickle"}


def test_no_code_is_made_from_data(sources):
    found = [
        f"{source.path}:{node.lineno}: {name}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func)) in DANGEROUS
        and name not in ALLOWED.get(source.path, ())
    ]
    assert found == []


def test_nothing_is_unpickled(sources):
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{source.path}: {n}" for n in names if n.partition(".")[0] in MODULES]
    assert found == []


def test_no_shell_reads_a_command(sources):
    found = [
        f"{source.path}:{node.value.lineno}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and getattr(node.value, "value", None) is not False
    ]
    assert found == []


def test_every_allowance_is_still_needed(sources):
    calls = {
        (source.path, ast.unparse(node.func))
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
    }
    allowed = {(path, name) for path, names in ALLOWED.items() for name in names}
    assert allowed <= calls


# Put together here, or this file would find itself.
TRACES = ["/" + "work/", "farm" + "-", "/" + "root/", "/" + "home/"]


@pytest.mark.parametrize("trace", TRACES)
def test_no_file_names_the_place_where_it_was_written(root, trace):
    answer = subprocess.run(
        ["git", "grep", "-Iln", "-F", trace, "--", "."], cwd=root, capture_output=True, text=True
    )
    if answer.returncode not in (0, 1):
        pytest.fail(answer.stderr)
    assert answer.stdout.splitlines() == []


#: Where it is decided who somebody is and what they may.
DECIDING = (
    "codex32/api/callers.py",
    "codex32/api/guard.py",
    "codex32/kernel/caller.py",
    "codex32/kernel/permissions.py",
    "codex32/services/access/recogniser.py",
    "codex32/services/access/recognition.py",
)
#: They take a part of a word for the word: ``run_1`` for ``run_10``.
PARTIAL = {"startswith", "endswith", "lstrip", "rstrip", "strip", "find", "match", "search"}


def test_who_may_is_decided_by_whole_words(sources):
    looked = {source.path for source in sources}
    assert looked >= set(DECIDING)
    found = [
        f"{source.path}:{node.lineno}: {ast.unparse(node)}"
        for source in sources
        if source.path in DECIDING
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr in PARTIAL
    ]
    # The token's file may end in a line break.
    assert [each for each in found if "read_text(" not in each] == []


#: The first versions without flaws that became known; what is not installed harms nobody.
FLOORS = {
    "aiohttp": (3, 13, 5),
    "joserfc": (1, 8),
    "cryptography": (46,),
    "pyjwt": (2, 13),
    "authlib": (1, 6, 9),
    "pyyaml": (6, 0, 3),
}


def test_no_library_is_older_than_the_end_of_its_known_flaws():
    old = []
    for name, floor in FLOORS.items():
        try:
            text = version(name)
        except PackageNotFoundError:
            continue
        have = tuple(int(part) for part in re.findall(r"\d+", text)[: len(floor)])
        if have < floor:
            old.append(f"{name} {text}")
    assert old == []
