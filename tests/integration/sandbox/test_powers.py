"""What a bot's ``allow`` names is there inside, and nothing beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from codex32_escapes.users import run_as

from codex32 import FileGrant, Program, ProgramHost
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.linux import NamespaceSandbox, ProcessSandbox
from codex32.outside.sandboxes.runner import SandboxedRunner
from codex32_testing.loopback import LoopbackServer, Reply

#: Speaks to the proxy itself: for 127.0.0.1 Python would go round it.
FETCH = """
import http.client, os
from urllib.parse import urlsplit

def main(url, tunnel=False):
    proxy = urlsplit(os.environ["http_proxy"])
    line = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=60)
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
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
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
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

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


SWAP = """
import ctypes, sys
swap = ctypes.CDLL(None).renameat2
print("swapping", flush=True)
while True:
    swap(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)
"""


@pytest.mark.parametrize("kind", [NamespaceSandbox, ProcessSandbox])
async def test_a_link_that_is_laid_while_a_path_is_looked_at_is_not_followed(kind, tmp_path):
    """Another program, which may write beside it, changes the two as fast as it can."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "text").write_text("secret")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "hidden")
    mine = str(tmp_path.resolve() / "mine")
    code = "def main(path): return open(path).read()"
    program = Program(code, {"path": f"{mine}/text"}, files=(FileGrant(mine),))
    sandbox = kind()
    swapping = subprocess.Popen(
        [sys.executable, "-c", SWAP, mine, str(link)], stdout=subprocess.PIPE
    )
    try:
        await asyncio.to_thread(swapping.stdout.readline)
        host = ProgramHost(lambda *line: None)
        ends = [await sandbox.run(program, host) for _ in range(60)]
    finally:
        swapping.kill()
        swapping.communicate()
        await sandbox.close()
    assert {end.output for end in ends} <= {"mine", None}
    assert {end.code for end in ends} <= {"", "refused", "raised"}


async def test_files_in_memory_are_no_way_around_the_limits(runner):
    code = "import os\ndef main(): return os.memfd_create('x')"
    assert "Operation not permitted" in (await run(runner, code, {})).error


KINDS = pytest.mark.parametrize("kind", [NamespaceSandbox, ProcessSandbox])
THREADS = """
import threading, time
def main():
    threading.stack_size(65536)
    n = 0
    try:
        while n < 500:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            n += 1
    except RuntimeError as error:
        return [n, str(error)]
"""
FORKS = """
import os, time
def main():
    n = 0
    try:
        while n < 500:
            if os.fork() == 0:
                time.sleep(60)
            n += 1
    except BlockingIOError:
        return n
"""
COMPUTES = """
import os
def main(each):
    for _ in range(40):
        if os.fork() == 0:
            while os.times().user < each:
                pass
            os._exit(0)
        os.wait()
"""


async def run_in(kind, code, args=None, ask=None, **powers):
    sandbox = kind()
    lines = []
    host = ProgramHost(lambda *line: lines.append(line), **({"ask": ask} if ask else {}))
    try:
        return await sandbox.run(Program(code, args or {}, **powers), host), lines
    finally:
        await sandbox.close()


@KINDS
@pytest.mark.parametrize("granted", [False, True], ids=["alone", "with files"])
async def test_threads_are_counted_whoever_the_program_is(kind, granted, tmp_path):
    files = (FileGrant(str(tmp_path.resolve())),) if granted else ()
    result, _ = await run_in(kind, THREADS, files=files, memory_bytes=16 << 30)
    assert (result.error, result.output) == (None, [63, "can't start new thread"])


async def test_processes_are_counted_beside_files_too(tmp_path):
    files = (FileGrant(str(tmp_path.resolve())),)
    result, _ = await run_in(NamespaceSandbox, FORKS, files=files, processes=4)
    assert (result.error, result.output) == (None, 3)


def test_programs_that_share_a_user_do_not_take_each_others_processes():
    """All have one where root has no users to give out, as in some containers."""
    code = f"""
import asyncio
from codex32 import Program, ProgramHost
from codex32.outside.sandboxes.linux import NamespaceSandbox

async def main():
    sandbox, host = NamespaceSandbox(), ProgramHost(print)
    ends = await asyncio.gather(
        *(sandbox.run(Program({FORKS!r}, processes=4), host) for _ in range(3))
    )
    print([end.error or end.output for end in ends])
    await sandbox.close()

asyncio.run(main())
"""
    environment = {"PATH": os.environ["PATH"], "TMPDIR": "/tmp"}
    command = [sys.executable, "-P", "-c", code]
    answer = run_as("small root", command, environment, [])
    assert answer.stdout == "[3, 3, 3]\n", answer.stderr


async def test_the_time_that_processes_compute_is_added_up():
    result, _ = await run_in(NamespaceSandbox, COMPUTES, {"each": 0.2}, processes=4, cpu_seconds=1)
    assert (result.code, result.error) == (
        "killed",
        "the program used more processor time than it may",
    )


SERVER = """
import asyncio, multiprocessing, socket, tempfile
def main(path):
    found = [asyncio.run(asyncio.sleep(0, "slept"))]
    ours, theirs = multiprocessing.Pipe()
    ours.send("sent")
    found.append(theirs.recv())
    with tempfile.TemporaryFile("w+") as file:
        found.append(file.write("kept"))
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        found.append("connected")
    except OSError as error:
        found.append(type(error).__name__)
    return found
"""


@KINDS
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
async def test_a_server_in_a_granted_folder_is_not_reached(kind, write, tmp_path):
    """Whoever reaches a socket such as that of Docker may do anything."""
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(tmp_path):
        listening.bind("served")
        listening.listen()
        listening.setblocking(False)
        files = (FileGrant(str(tmp_path.resolve()), write=write),)
        path = str(tmp_path.resolve() / "served")
        result, _ = await run_in(kind, SERVER, {"path": path}, files=files)
        assert (result.error, result.output) == (None, ["slept", "sent", 4, "PermissionError"])
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a_pipe_in_the_folder_of_temporary_files_may_only_be_read(tmp_path):
    """That folder is one of the program's own, which it may write to, if it is not granted."""
    code = """
import os, tempfile
def main(path):
    with tempfile.TemporaryFile("w") as file:
        file.write("kept")
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.mkfifo(f"{folder}/pipe")
        for granted in (folder, "/tmp"):
            files = (FileGrant(granted),)
            args = {"path": f"{folder}/pipe"}
            result, _ = await run_in(NamespaceSandbox, code, args, files=files)
            assert result.error is not None
            assert result.error.startswith("PermissionError"), result.error


async def test_processes_of_a_program_may_serve_each_other():
    code = """
import multiprocessing
def main():
    with multiprocessing.Manager() as manager:
        shared = manager.list()
        with multiprocessing.Pool(2) as pool:
            pool.map(shared.append, range(3))
        return sorted(shared)
"""
    result, _ = await run_in(NamespaceSandbox, code, processes=24)
    assert (result.error, result.output) == (None, [0, 1, 2])


async def test_what_a_program_forked_may_ask_and_is_given_its_own_answer(tmp_path):
    """Also after one was killed, whose answer comes when it is gone."""
    code = """
import multiprocessing, os, signal, time
from codex32_step import log, secret
def work(n):
    log("working", n=n)
    return secret(str(n))
def main(folder):
    with multiprocessing.Pool(3) as pool:
        found = pool.map(work, range(60), chunksize=1)
    child = os.fork()
    if child == 0:
        secret("slow")
        os._exit(1)
    while not os.path.exists(folder + "/asked"):
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    _, status = os.wait()
    assert status == signal.SIGKILL
    open(folder + "/killed", "w").close()
    return [*found, secret("last")]
"""

    def see_it_killed():
        (folder / "asked").touch()
        last = time.monotonic() + 60
        while not (folder / "killed").exists():
            assert time.monotonic() < last
            time.sleep(0.01)

    async def ask(name, values):
        if values["name"] == "slow":
            await asyncio.to_thread(see_it_killed)
        return values["name"]

    folder = tmp_path.resolve()
    result, _ = await run_in(
        NamespaceSandbox,
        code,
        {"folder": str(folder)},
        ask=ask,
        files=(FileGrant(str(folder), write=True),),
        processes=24,
    )
    assert (result.error, result.output) == (None, [*map(str, range(60)), "last"])


LEAVE = """
import os, time

def main():
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
    return "done"
"""


async def test_what_a_program_leaves_running_is_gone_when_its_answer_is_told(runner):
    for _ in range(3):
        result = await run(runner, LEAVE, {}, processes=4)
        assert result.output == "done"
        assert not await asyncio.to_thread(programs_below, os.getpid())


def programs_below(process: int) -> list[int]:
    """The processes below this one in which programs run; what waits for one is none of them."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            children = [int(each) for each in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            try:
                name = Path(f"/proc/{child}/comm").read_text().strip()
                gone = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            found += [child] if name == "codex32-program" and not gone else []
            found += programs_below(child)
    return found


async def test_a_folder_that_programs_have_of_their_own_can_be_granted(runner):
    before = os.stat("/tmp")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder, "text").write_text("here")
        code = "import sys\ndef main(path): return open(path).read()"
        files = (FileGrant("/tmp", write=True),)
        result = await run(runner, code, {"path": f"{folder}/text"}, files=files)
        assert (result.error, result.output) == (None, "here")
        hidden = await run(runner, code, {"path": f"{folder}/text"})
        assert hidden.error.startswith("FileNotFoundError")
    after = os.stat("/tmp")
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
