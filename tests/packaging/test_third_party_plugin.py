"""A stranger's plugin, built as a wheel, beside the wheels of the house in a clean environment."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import tomllib
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
FOUND_IN = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
SHIPPED = [
    "codex32",
    *(folder for folder in FOUND_IN["find"]["where"] if folder != "."),
    *("pyproject.toml", "setup.cfg", "README.md", "LICENSE"),
]

PYPROJECT = """
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "stranger-parrot"
version = "3.2.1"
dependencies = ["codex32>=0.1,<0.2"]

[project.entry-points.codex32]
parrot = "stranger_parrot"
"""

PLUGIN = '''
"""A bot type and a notifier by someone the house has never heard of."""

from pathlib import Path

from codex32 import BotType, Notifier, Receipt, Succeeded, hookimpl


class Parrot(BotType):
    name = "parrot"
    summary = "Say it again"
    params_schema = {
        "type": "object",
        "properties": {"text": {"type": "string", "description": "What to say"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    output_schema = {"type": "string"}

    async def run(self, context, params):
        return Succeeded(f"{params['text']} {params['text']}")


class Perch(Notifier):
    name = "perch"

    async def send(self, notification, target, *, http, timeout_seconds):
        Path(target).write_text(notification.text)
        return Receipt("perched")


@hookimpl
def register_bot_types(config):
    yield Parrot()


@hookimpl
def register_notifiers(config):
    yield Perch()
'''

BOT = """
name: chatter
steps:
  - id: say
    type: parrot
    with: {text: hello}
  - id: tell
    type: notify
    with: {to: perch, target: "TARGET", text: "${{ steps.say.output }}"}
output: "${{ steps.say.output }}"
"""

LOADED = """
import json
from codex32.kernel.plugins import Plugins
print(json.dumps([
    [r.name, r.distribution, r.version, r.state, {k: list(v) for k, v in r.offers.items()}]
    for r in Plugins.load({}).records
]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Runs commands of a fresh environment that holds the wheels and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("clean")
    house, stranger = _copy_of_the_house(folder / "house"), folder / "stranger"
    stranger.mkdir()
    (stranger / "pyproject.toml").write_text(PYPROJECT)
    (stranger / "stranger_parrot.py").write_text(PLUGIN)
    wheels = [_wheel(source, folder / "wheels") for source in (house, stranger)]

    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    site = Path(
        _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    (site / "third_party.pth").write_text(f"{_third_party(folder / 'third_party')}\n")
    _run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-index", "--no-deps", "--disable-pip-version-check", *wheels),
    )

    def run(command, *arguments):
        return _run(python.with_name(command), *arguments, cwd=folder)

    return run


def test_the_wheels_hold_what_the_process_needs_and_nothing_of_the_checkout(environment):
    where = environment(
        "python", "-c", "import codex32, codex32_config as c; print(codex32.__file__, c.__file__)"
    )
    assert str(ROOT) not in where
    assert where.count("site-packages") == 2


def test_the_plugin_is_found_with_its_distribution_and_version(environment):
    records = {record[0]: record[1:] for record in json.loads(environment("python", "-c", LOADED))}
    assert records["parrot"] == [
        "stranger-parrot",
        "3.2.1",
        "loaded",
        {"bot_types": ["parrot"], "notifiers": ["perch"]},
    ]
    assert records["builtin"][2] == "loaded"


def test_the_command_line_lists_the_plugin(environment):
    listed = json.loads(environment("codex32", "plugins", "--json"))["plugins"]
    (parrot,) = [record for record in listed if record["name"] == "parrot"]
    assert (parrot["distribution"], parrot["version"]) == ("stranger-parrot", "3.2.1")
    assert parrot["state"] == "loaded"
    assert parrot["offers"] == {"bot_types": ["parrot"], "notifiers": ["perch"]}


def test_a_bot_file_uses_the_strangers_bot_type_and_notifier(environment, tmp_path):
    told = tmp_path / "told.txt"
    bot = tmp_path / "chatter.yaml"
    bot.write_text(BOT.replace("TARGET", str(told)))
    execution = json.loads(environment("codex32", "run", bot, "--json"))
    assert execution["status"] == "succeeded"
    assert execution["output"] == "hello hello"
    assert told.read_text() == "hello hello"


def _copy_of_the_house(target):
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            skip = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
            shutil.copytree(source, target / name, ignore=skip)
        else:
            shutil.copy(source, target / name)
    return target


def _wheel(source, into):
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", into, source)
    return max(into.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime_ns)


def _third_party(folder):
    """What this environment has installed, but for ours: so that no index is needed."""
    folder.mkdir()
    for path in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(path).iterdir():
            ours = entry.name.startswith(("codex32", "__editable__")) or entry.suffix == ".pth"
            if not ours:
                (folder / entry.name).symlink_to(entry)
    return folder


def _run(*command, cwd=None):
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    answer = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=quiet, capture_output=True, text=True
    )
    assert answer.returncode == 0, textwrap.indent(answer.stdout + answer.stderr, "  ")
    return answer.stdout
