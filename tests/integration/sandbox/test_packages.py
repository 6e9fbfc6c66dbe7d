"""What a program requires is there inside, can be imported, and cannot be changed."""

from __future__ import annotations

import os

import pytest
from codex32_wheels import wheel

from codex32 import Program, ProgramHost
from codex32.outside.packages.environments import Environments, PackageRules
from codex32.outside.packages.installers import Sources
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.linux import NamespaceSandbox, PlainSandbox, ProcessSandbox
from codex32.outside.sandboxes.runner import SandboxedRunner

SANDBOXES = {each.name: each for each in (NamespaceSandbox, ProcessSandbox, PlainSandbox)}
USE = """
import greet, os, sys
from importlib.metadata import version

def main(name):
    tried = []
    for change in (
        lambda: open(greet.__file__, "a"),
        lambda: open(os.path.join(os.path.dirname(greet.__file__), "new.py"), "w"),
        lambda: os.remove(greet.__file__),
        lambda: os.chmod(greet.__file__, 0o777),
    ):
        try:
            change()
            tried.append("done")
        except OSError:
            tried.append("refused")
    return [greet.hello(name), version("greet"), tried, sys.path[-1], greet.__file__]
"""


@pytest.fixture(params=sorted(SANDBOXES))
async def runner(request, tmp_path):
    (tmp_path / "wheels").mkdir()
    code = "def hello(name):\n    return f'hello {name}'\n"
    wheel(tmp_path / "wheels", "greet", "1.0", {"greet/__init__.py": code})
    sandbox = SANDBOXES[request.param]()
    sources = Sources(find_links=(str(tmp_path / "wheels"),), offline=True)
    runner = SandboxedRunner(
        {sandbox.name: sandbox},
        SandboxRules(sandbox.name),
        packages=Environments(tmp_path / "home" / "packages", PackageRules(sources)),
    )
    yield runner
    await runner.close()


async def run(runner, code, *, requires=("greet==1.0",), host=None, **args):
    host = host or ProgramHost(lambda *line: None)
    return await runner.run(Program(code, args, requires=requires), host)


async def test_a_program_imports_what_it_requires_and_cannot_change_it(runner):
    result = await run(runner, USE, name="Ada")
    assert result.error is None, result.traceback
    greeting, version, tried, last, file = result.output
    assert (greeting, version) == ("hello Ada", "1.0")
    assert file.startswith(f"{last}/greet/")
    if result.sandbox != "plain":
        assert set(tried) == {"refused"}
    if result.sandbox == "namespace":
        assert last == "/packages/0"
    # Whatever the one did, another finds it as it was.
    again = await run(runner, "import greet\ndef main(): return greet.hello('Bo')")
    assert again.output == "hello Bo" or (os.getuid() == 0 and result.sandbox == "plain")


async def test_a_program_that_requires_nothing_has_nothing(runner):
    await run(runner, "import greet\ndef main(): return 1")
    result = await run(runner, "import greet\ndef main(): return 1", requires=())
    assert "No module named 'greet'" in result.error


async def test_its_time_begins_when_they_are_installed(runner):
    order = []
    host = ProgramHost(
        lambda stream, line: order.append(line.split()[0]), lambda _: order.append("begin")
    )
    result = await run(runner, "def main(): print('ran')", host=host)
    assert result.error is None
    assert order == ["installing", "installed", "begin", "ran"]


async def test_what_is_not_to_be_had_is_told_and_nothing_begins(runner):
    result = await run(runner, "def main(): return 1", requires=("greet==7.0",))
    assert (result.code, result.sandbox) == ("packages", "")
    assert "greet==7.0" in result.error
