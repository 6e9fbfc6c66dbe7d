"""What a bot's ``allow`` names is there inside, and nothing beside it."""

from __future__ import annotations

import os

import pytest

from codex32 import FileGrant, Program, ProgramHost
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.linux import NamespaceSandbox
from codex32.outside.sandboxes.runner import SandboxedRunner
from codex32_testing.loopback import LoopbackServer, Reply

#: Speaks to the proxy itself: for 127.0.0.1 Python would go round it.
FETCH = """
import http.client, os
from urllib.parse import urlsplit

def main(url, tunnel=False):
    proxy = urlsplit(os.environ["http_proxy"])
    line = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=20)
    if tunnel:
        line.set_tunnel(urlsplit(url).hostname, urlsplit(url).port)
        line.request("GET", urlsplit(url).path)
    else:
        line.request("GET", url)
    answer = line.getresponse()
    return [answer.status, answer.read().decode()]
"""


@pytest.fixture
async def runner(loopback_server: LoopbackServer):
    sandbox = NamespaceSandbox()
    port = loopback_server.url("/").split(":")[2].split("/")[0]
    runner = SandboxedRunner(
        {sandbox.name: sandbox}, SandboxRules(), private_hosts=[f"127.0.0.1:{port}"]
    )
    yield runner
    await runner.close()


async def run(runner, code, args, **powers):
    return await runner.run(Program(code, args, **powers), ProgramHost(lambda *line: None))


@pytest.mark.parametrize("tunnel", [False, True])
async def test_a_host_that_is_named_is_reached_through_the_guard(runner, loopback_server, tunnel):
    loopback_server.reply("/page", Reply(json={"a": 1}))
    args = {"url": loopback_server.url("/page"), "tunnel": tunnel}
    reached = await run(runner, FETCH, args, hosts=("127.0.0.1",))
    assert (reached.error, reached.output) == (None, [200, '{"a": 1}'])
    refused = await run(runner, FETCH, args, hosts=("example.com",))
    if tunnel:
        assert "403" in refused.error
    else:
        assert refused.output[0] == 403
        assert "allow.hosts" in refused.output[1]
    assert "http_proxy" in (await run(runner, FETCH, args)).error


async def test_an_address_that_is_not_public_is_refused_though_its_name_is_allowed(runner):
    for host in ("localhost", "10.0.0.1", "[::1]"):
        refused = await run(runner, FETCH, {"url": f"http://{host}/"}, hosts=(host,))
        assert refused.output[0] == 403, refused
        assert "not public" in refused.output[1]


async def test_paths_that_are_named_are_there_read_only_or_writable(runner, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "text").write_text("here")
    (tmp_path / "beside").write_text("no")
    code = """
import os
def main(folder):
    found = [open(f"{folder}/in/text").read(), sorted(os.listdir(folder))]
    open(f"{folder}/out/new", "w").write("made")
    try:
        open(f"{folder}/in/text", "w")
    except OSError as error:
        found.append(type(error).__name__)
    return found
"""
    files = (FileGrant(str(tmp_path / "in")), FileGrant(str(tmp_path / "out"), write=True))
    result = await run(runner, code, {"folder": str(tmp_path)}, files=files)
    assert result.error is None
    assert result.output[:2] == ["here", ["in", "out"]]
    assert result.output[2] in ("OSError", "PermissionError")
    assert (tmp_path / "out" / "new").read_text() == "made"
    assert (tmp_path / "in" / "text").read_text() == "here"


async def test_a_runtime_that_nothing_has_is_refused_by_name(runner):
    result = await run(runner, "def main(): return 1", {}, runtime="fast")
    assert result.code == "refused"
    assert result.error.startswith("runtime: fast needs a sandbox that has it")
    assert result.error.endswith("run cpython")


async def test_a_path_that_is_not_there_refuses_the_program(runner, tmp_path):
    files = (FileGrant(str(tmp_path / "none")),)
    result = await run(runner, "def main(): ...", {}, files=files)
    assert (result.code, str(tmp_path / "none") in result.error) == ("refused", True)


async def test_processes_are_there_where_they_are_named(runner):
    code = (
        "import os\ndef main():\n pid = os.fork()\n if pid == 0: os._exit(7)\n return os.wait()[1]"
    )
    assert (await run(runner, code, {})).code == "raised"
    assert (await run(runner, code, {}, processes=4)).output == 7 << 8


LEND = """
import os

def main(folder):
    tried = []
    path = f"{folder}/lent"
    open(path, "w").close()
    for how in (
        lambda: os.chmod(path, 0o4755),
        lambda: os.chmod(path, 0o2755),
        lambda: os.chmod("lent", 0o4755, dir_fd=os.open(folder, os.O_RDONLY)),
        lambda: os.fchmod(os.open(path, os.O_RDONLY), 0o6755),
        lambda: os.close(os.open(f"{folder}/other", os.O_CREAT | os.O_WRONLY, 0o4755)),
        lambda: os.mknod(f"{folder}/third", 0o104755),
    ):
        try:
            how()
            tried.append("done")
        except PermissionError:
            tried.append("refused")
    os.chmod(path, 0o755)
    return tried
"""


async def test_nobody_is_lent_the_user_of_the_house(runner, tmp_path):
    folder = tmp_path.resolve()
    grant = FileGrant(str(folder), write=True)
    result = await run(runner, LEND, {"folder": str(folder)}, files=(grant,))
    assert (result.error, set(result.output)) == (None, {"refused"})
    assert all(not each.stat().st_mode & 0o6000 for each in folder.iterdir())


async def test_a_granted_path_leads_nowhere_else(runner, tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    for path in (str(tmp_path.resolve() / "link"), "/proc", "/"):
        result = await run(runner, "def main(): return 1", {}, files=(FileGrant(path),))
        assert result.code == "refused", path
        assert "allow.files names" in result.error


async def test_files_in_memory_are_no_way_around_the_limits(runner):
    code = "import os\ndef main(): return os.memfd_create('x')"
    assert "Operation not permitted" in (await run(runner, code, {})).error


@pytest.mark.skipif(os.getuid() != 0, reason="it is about root alone")
async def test_root_has_files_or_processes_and_not_both(runner, tmp_path):
    files = (FileGrant(str(tmp_path.resolve())),)
    result = await run(runner, "def main(): return 1", {}, files=files, processes=2)
    assert result.code == "refused"
    assert "ordinary user" in result.error
