"""The face is light and lists itself, and every module can be imported first."""

import subprocess
import sys

import pytest

import codex32
import codex32.face

HEAVY = [
    "aiohttp",
    "aiosmtplib",
    "apprise",
    "cel_expr_python",
    "click",
    "dramatiq",
    "grpc",
    "numpy",
    "pandas",
    "peewee",
    "pinecone",
    "psycopg2",
    "pydantic",
    "pymilvus",
    "qdrant_client",
    "redis",
    "yaml",
]
#: Each module is imported in a child of its own. The parent has seen what is not ours and slow,
#: and the face, which any import of ours begins with.
ALONE = """
import importlib, os, sys, traceback
import aiohttp.web, dramatiq, peewee, pydantic, redis, rich.console, ruamel.yaml, yaml
import codex32.face
def stands_below_all(name):
    return name.startswith("codex32.kernel")
below = True
for name in sorted(sys.argv[1:], key=stands_below_all, reverse=True):
    if below and not stands_below_all(name):
        below = False
        # It knows nobody above it, so it can lend none of the others what they forgot to import.
        for each in filter(stands_below_all, sys.argv[1:]):
            importlib.import_module(each)
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("cannot be imported alone:", name)
"""


def fresh(code, *arguments):
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True
    )
    return answer.stdout + answer.stderr


def heavy_after(statement):
    return fresh(
        f"import sys\n{statement}\nprint([m for m in {HEAVY} if m in sys.modules])"
    ).strip()


def test_the_face_is_light():
    assert heavy_after("import codex32.face") == "[]"


def test_loading_the_plugins_imports_no_sdk():
    # Components may be built, but what they need to work is imported when they work.
    assert (
        heavy_after(
            "from codex32.kernel.plugins import Plugins\n"
            "assert all(r.state == 'loaded' for r in Plugins.load({}, strict=True).records)"
        )
        == "[]"
    )


#: What loading the plugins may import that is neither ours nor of Python's own library.
PART_OF_THE_HOUSE = {"cronsim", "fastjsonschema", "pluggy"}
LOADED = """
import sys
from codex32.kernel.plugins import Plugins
before = set(sys.modules)
Plugins.load({}, strict=True)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names)))
"""
TIMED = """
import importlib, sys, time
from importlib.metadata import entry_points
import codex32.kernel.plugins, codex32.builtin.plugin
begun = time.process_time()
for entry in entry_points(group="codex32"):
    importlib.import_module(entry.module)
print(time.process_time() - begun)
"""


def test_loading_the_plugins_imports_no_library_of_any_of_them():
    new = fresh(LOADED).split()
    foreign = {name for name in new if not name.startswith(("codex32", "_sysconfigdata"))}
    assert foreign <= PART_OF_THE_HOUSE


def test_importing_all_plugins_takes_less_than_a_tenth_of_a_second():
    # Of the processor's time, at the quietest of some moments.
    assert min(float(fresh(TIMED)) for _ in range(5)) < 0.1


def test_a_process_at_rest_holds_nothing_that_it_does_not_use():
    # Each of these costs every process of the house megabytes: the first use loads them.
    spared = ["aiohttp", "cel_expr_python", "jsonschema"]
    for role in ("codex32.runtime", "codex32_workers.scheduler", "codex32_workers.worker"):
        loaded = fresh(f"import sys, {role}\nprint([m for m in {spared} if m in sys.modules])")
        assert loaded.strip() == "[]", role


def test_what_keeps_the_processes_of_up_holds_nothing_that_they_work_with():
    spared = [*HEAVY, "asyncio", "codex32.face", "codex32.kernel.models", "codex32_config"]
    code = f"import sys, codex32.cli.house\nprint([m for m in {spared} if m in sys.modules])"
    assert fresh(code).strip() == "[]"


#: What the first sign-in, secret or token loads: some 30 MB and a fifth of a second.
GUARDS = ["argon2", "cryptography.hazmat", "joserfc", "limits", "schemathesis", "webauthn"]
#: Runs a command of the house until it says that it is ready, then tells what it has loaded.
READY = """
import io, logging, os, signal, sys
from codex32.cli.main import run

class Heard(io.StringIO):
    def write(self, text):
        if "is ready" in text or "listening on" in text:
            print("loaded", [m for m in sys.argv[1].split() if m in sys.modules], flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
        return len(text)

sys.stderr = Heard()
run(["--folder", sys.argv[2], "db", "upgrade"])
run(["--folder", *sys.argv[2:]])
"""


@pytest.mark.parametrize(
    "command", [["serve", "--port", "0"], ["scheduler"], ["worker", "--processes", "1"]]
)
def test_no_process_of_up_starts_with_what_guards_the_way_in(command, tmp_path):
    assert "loaded []" in fresh(READY, " ".join(GUARDS), str(tmp_path), *command)


def test_the_face_lists_all_it_shows_in_order():
    public = [
        name
        for name, value in vars(codex32.face).items()
        if not name.startswith("_") and type(value).__name__ != "module"
    ]
    assert sorted(codex32.__all__) == sorted(public)
    constants = sorted(name for name in codex32.__all__ if name.isupper())
    classes = sorted(
        name for name in codex32.__all__ if name[0].isupper() and name not in constants
    )
    functions = sorted(name for name in codex32.__all__ if name[0].islower())
    assert codex32.__all__ == constants + classes + functions


def test_everything_in_the_face_is_documented():
    bare = [
        name
        for name in codex32.__all__
        if isinstance(value := getattr(codex32, name), type) and not value.__doc__
    ]
    assert bare == []


@pytest.mark.timeout(600)
def test_every_module_can_be_imported_alone(sources):
    names = [
        source.module for source in sources if source.path.rpartition("/")[2] != "__main__.py"
    ]
    assert fresh(ALONE, *names) == ""
