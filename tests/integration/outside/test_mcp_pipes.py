"""Servers of MCP that are started here, and how little of what they do reaches the house."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import codex32_rough_mcp
import pytest

from codex32 import (
    CapabilityRefused,
    ProviderRejected,
    ProviderUnavailable,
    SecretNotFound,
    StepFault,
    Tool,
)
from codex32.kernel.contracts.mcp import McpCaller
from codex32.kernel.errors import ComponentNotFound
from codex32.outside.mcp.conversation import Conversation
from codex32.outside.mcp.keeper import McpHouse, Server
from codex32.outside.mcp.pins import FILE, McpChanged, McpUnpinned, Pins
from codex32.services.cases.mcp_double import McpDouble

SCRIPT = codex32_rough_mcp.__file__
PINNED = [Tool(t["name"], t["description"], t["inputSchema"]) for t in codex32_rough_mcp.TOOLS]
PATIENCE = 60.0


def rough(folder: Path, mood: str = "well", **more) -> Server:
    return Server((sys.executable, "-S", SCRIPT, str(folder), mood), **more)


async def secret(name: str) -> str:
    if name != "TOKEN":
        raise SecretNotFound(name)
    return "sesame-open"


CALLER = McpCaller("default", secret, ("*",))


@pytest.fixture(autouse=True)
def pins(tmp_path) -> Path:
    """The tools are pinned as they are where all is well."""
    pins = Pins(tmp_path / FILE)
    pins.keep("rough", PINNED)
    return pins.path


@pytest.fixture
async def house(tmp_path):
    """Makes the keeper of one server, ``rough``."""
    made = []

    def make(mood: str = "well", *, processes: int = 2, **more) -> McpHouse:
        server = rough(tmp_path, mood, **more)
        keeper = McpHouse({"rough": server}, lambda hosts: None, tmp_path, processes)
        made.append(keeper)
        return keeper

    yield make
    for keeper in made:
        await keeper.close()


async def call(keeper, tool="echo", arguments=None, *, caller=CALLER, seconds=PATIENCE):
    given = {"text": "hi"} if arguments is None else arguments
    return await keeper.call(caller, "rough", tool, given, timeout_seconds=seconds)


def noted(folder: Path, name: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return (folder / name).read_text().splitlines()
    return []


async def none_left(folder: Path) -> None:
    """Wait until no process is there any more that ever was a server's."""
    async with asyncio.timeout(PATIENCE):
        for pid in map(int, noted(folder, "pids")):
            while alive(pid):
                await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


# what is asked


async def test_a_tool_is_called_with_what_it_is_given(house, tmp_path):
    result = await call(house(), arguments={"text": "é\n\u2028"})
    assert result.data == {"echo": "é\n\u2028"}
    assert not result.failed
    (told,) = noted(tmp_path, "calls")
    assert json.loads(told) == {"name": "echo", "arguments": {"text": "é\n\u2028"}}


async def test_pinned_tools_are_known_without_asking_the_server(house, tmp_path):
    tools = await house("never speaks").tools(CALLER, "rough")
    assert [tool.name for tool in tools] == ["draw", "echo", "environment", "fail"]
    assert noted(tmp_path, "pids") == []


async def test_a_server_has_a_bare_environment_and_the_secrets_that_are_named_for_it(
    house, monkeypatch
):
    monkeypatch.setenv("CODEX32_SECRET_OTHER", "hush")
    keeper = house(environment={"AUTH": "Bearer ${{ secrets.TOKEN }}", "PLAIN": "1"})
    told = json.loads((await call(keeper, "environment")).text)
    assert (told.pop("AUTH"), told.pop("PLAIN")) == ("Bearer sesame-open", "1")
    assert told.keys() <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}


async def test_a_secret_that_is_nowhere_starts_no_server(house, tmp_path):
    with pytest.raises(SecretNotFound):
        await call(house(environment={"AUTH": "${{ secrets.GONE }}"}))
    assert noted(tmp_path, "pids") == []


async def test_what_a_tool_says_of_its_failure_and_other_content_is_handed_on(house):
    keeper = house()
    failed = await call(keeper, "fail")
    assert (failed.failed, failed.text) == (True, "no luck")
    drawn = await call(keeper, "draw")
    assert drawn.text == "there"
    assert drawn.content == ({"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},)


async def test_a_server_that_asks_is_told_that_we_are_there_and_nothing_else(house, tmp_path):
    assert (await call(house("asks"))).data == {"echo": "after all"}
    ping, sampling = map(json.loads, noted(tmp_path, "answers"))
    assert ping == {"jsonrpc": "2.0", "id": "p", "result": {}}
    assert sampling["error"]["code"] == -32601


async def test_only_so_many_servers_run_at_a_time(house):
    keeper = house("alone", processes=1)
    results = await asyncio.gather(*(call(keeper) for _ in range(4)))
    assert [each.data for each in results] == [{"echo": "alone"}] * 4


# what is kept


def of(execution: str) -> McpCaller:
    return McpCaller("default", secret, ("*",), execution)


async def test_the_calls_of_an_execution_are_put_to_one_process_and_no_others_are(house, tmp_path):
    keeper = house()
    for _ in range(3):
        assert (await call(keeper, caller=of("exe_1"))).data == {"echo": "hi"}
    assert len(noted(tmp_path, "pids")) == 1
    await call(keeper, caller=of("exe_2"))
    assert len(noted(tmp_path, "pids")) == 2
    await call(keeper)  # nobody's execution
    assert len(noted(tmp_path, "pids")) == 3
    await keeper.close()
    await none_left(tmp_path)


async def test_calls_of_an_execution_at_once_have_a_process_each_until_they_are_done(
    house, tmp_path
):
    keeper = house(processes=4)
    await asyncio.gather(*(call(keeper, caller=of("exe_1")) for _ in range(3)))
    started = noted(tmp_path, "pids")
    await asyncio.gather(*(call(keeper, caller=of("exe_1")) for _ in range(3)))
    # How many of three overlap is a matter of chance, each time.
    after = noted(tmp_path, "pids")
    assert set(started) <= set(after)
    assert len(after) <= 3


async def test_a_process_that_is_asked_for_nothing_is_ended(house, tmp_path, monkeypatch):
    monkeypatch.setattr("codex32.outside.mcp.kept.IDLE_SECONDS", 0.0)
    await call(house(), caller=of("exe_1"))
    await none_left(tmp_path)


async def test_a_process_that_waits_for_calls_makes_room_for_another_execution(house, tmp_path):
    keeper = house(processes=1)
    for execution in ("exe_1", "exe_2", "exe_3"):
        assert (await call(keeper, caller=of(execution))).data == {"echo": "hi"}
    assert len(noted(tmp_path, "pids")) == 3


async def test_executions_that_wait_for_room_are_not_held_up_by_one_that_is_done(
    house, tmp_path, monkeypatch
):
    monkeypatch.setattr("codex32.outside.mcp.kept.IDLE_SECONDS", 3600.0)
    keeper = house(processes=1)
    executions = ("exe_1", "exe_2", "exe_3", "exe_4")
    results = await asyncio.gather(*(call(keeper, caller=of(each)) for each in executions))
    assert [each.data for each in results] == [{"echo": "hi"}] * 4
    assert len(noted(tmp_path, "pids")) == 4


async def test_a_process_that_died_between_two_calls_is_started_anew(house, tmp_path):
    keeper = house()
    await call(keeper, caller=of("exe_1"))
    (pid,) = noted(tmp_path, "pids")
    os.kill(int(pid), signal.SIGKILL)
    assert (await call(keeper, caller=of("exe_1"))).data == {"echo": "hi"}
    assert len(noted(tmp_path, "pids")) == 2


async def test_a_process_that_failed_a_call_is_asked_for_nothing_more(house, tmp_path):
    keeper = house("refuses")
    for _ in range(2):
        with pytest.raises(ProviderRejected):
            await call(keeper, caller=of("exe_1"))
    assert len(noted(tmp_path, "pids")) == 2


async def test_a_process_that_is_kept_is_held_to_pins_that_are_written_meanwhile(house, pins):
    keeper = house()
    await call(keeper, caller=of("exe_1"))
    changed = [replace(PINNED[0], description="Says something else.")]
    await asyncio.to_thread(Pins(pins).keep, "rough", changed)
    with pytest.raises(McpChanged, match="echo is described in other words"):
        await call(keeper, caller=of("exe_1"))


# who may


@pytest.mark.parametrize(
    "allowed", [(), ("other", "rou"), ("rough2*",)], ids=["none", "two", "star"]
)
async def test_a_bot_that_does_not_name_the_server_is_refused(house, tmp_path, allowed):
    caller = McpCaller("default", secret, allowed)
    with pytest.raises(CapabilityRefused, match=r"allow\.mcp"):
        await call(house(), caller=caller)
    with pytest.raises(CapabilityRefused, match=r"allow\.mcp"):
        await house().tools(caller, "rough")
    assert noted(tmp_path, "pids") == []


async def test_other_workspaces_are_not_told_of_a_server(house):
    with pytest.raises(ComponentNotFound, match="installed: none"):
        await call(house(), caller=McpCaller("other", secret, ("*",)))
    everybody = house(workspaces=("*",))
    assert (await call(everybody, caller=McpCaller("other", secret, ("*",)))).data


async def test_a_test_knows_the_tools_of_a_server_whatever_workspaces_may_use_it(house):
    double = McpDouble(house(workspaces=("support",)), StepFault)
    caller = McpCaller("test-1", secret, ("rough",))
    assert [tool.name for tool in await double.tools(caller, "rough")][1] == "echo"
    with pytest.raises(CapabilityRefused):
        await double.tools(McpCaller("test-1", secret, ()), "rough")


# pins


async def test_what_nobody_pinned_is_not_used(house, tmp_path, pins):
    with pytest.raises(McpUnpinned, match=r"no pinned tool 'ecko' \(did you mean 'echo'\?\)"):
        await call(house(), "ecko")
    pins.unlink()
    with pytest.raises(McpUnpinned, match="codex32 mcp pin rough"):
        await call(house())
    assert noted(tmp_path, "pids") == []


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("reworded", "echo is described in other words"),
        ("widened", "echo takes other arguments"),
        ("shrunk", "echo is gone"),
    ],
    ids=lambda value: value.split()[0],
)
async def test_a_server_that_changed_is_not_asked_for_anything(house, tmp_path, mood, told):
    with pytest.raises(McpChanged, match=told) as caught:
        await call(house(mood), "environment")
    assert "codex32 mcp pin rough" in caught.value.message
    assert noted(tmp_path, "calls") == []
    await none_left(tmp_path)


async def test_a_tool_that_is_new_hinders_nothing_and_is_not_used(house, tmp_path):
    keeper = house("grown")
    assert (await call(keeper)).data == {"echo": "hi"}
    with pytest.raises(McpUnpinned):
        await call(keeper, "rm")
    assert len(noted(tmp_path, "calls")) == 1


async def test_pins_that_are_written_anew_hold_at_once(house):
    keeper = house("reworded")
    with pytest.raises(McpChanged):
        await call(keeper)
    offered, _ = await keeper.offered(CALLER, "rough", timeout_seconds=PATIENCE)
    await asyncio.to_thread(keeper.pins.keep, "rough", offered)
    assert (await call(keeper)).data == {"echo": "hi"}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Says what", "Do what"),
        lambda text: text.replace('"tools"', '"toools"'),
        lambda text: text[:-20],
        lambda text: "[]",
    ],
    ids=["reworded", "renamed", "torn", "list"],
)
async def test_pins_that_were_changed_by_hand_are_not_taken(house, tmp_path, pins, change):
    keeper = house()
    pins.write_text(change(pins.read_text()))
    with pytest.raises(McpUnpinned, match=r"codex32\.mcp\.json cannot be taken"):
        await call(keeper)
    assert noted(tmp_path, "pids") == []


async def test_a_file_that_cannot_be_read_is_put_aside_when_tools_are_pinned_anew(
    house, pins, caplog
):
    keeper, torn = house(), pins.read_text()[:-20]
    pins.write_text(torn)
    await asyncio.to_thread(keeper.pins.keep, "rough", PINNED)
    assert (await call(keeper)).data == {"echo": "hi"}
    aside = pins.with_name(f"{FILE}.unreadable")
    assert aside.read_text() == torn
    assert aside.name in caplog.text


async def test_what_nobody_sees_in_a_description_reaches_no_model(house):
    offered, _ = await house("unseen").offered(CALLER, "rough", timeout_seconds=PATIENCE)
    assert offered[0].description == "Says what it is told."
    assert (await call(house("unseen"))).data == {"echo": "hi"}


# servers that misbehave


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("dies", "ended with the code 7: out of luck"),
        ("says nonsense", "neither a result nor an error"),
        ("says a list", "neither a result nor an error"),
        ("says a lot at once", "bytes at once"),
        ("says many things", "not what it was asked"),
    ],
    ids=lambda value: value.replace(" ", "-")[:20],
)
async def test_an_answer_that_makes_no_sense_leaves_open_what_was_done(
    house, tmp_path, mood, told
):
    with pytest.raises(ProviderUnavailable, match=told) as caught:
        await call(house(mood))
    assert caught.value.fault_code == "mcp-cut"
    assert len(noted(tmp_path, "calls")) == 1
    await none_left(tmp_path)


async def test_an_answer_that_does_not_come_is_not_waited_for(house, tmp_path):
    keeper = house("answers others")
    # Long enough that it was asked: a limit that is over before tells of no call.
    with pytest.raises(ProviderUnavailable, match="did not answer echo within") as caught:
        await call(keeper, seconds=10.0)
    assert caught.value.fault_code == "mcp-timeout"
    await none_left(tmp_path)


@pytest.mark.parametrize(
    "mood",
    ["speaks of old", "lists on and on", "lists nonsense", "twice"],
    ids=lambda mood: mood.replace(" ", "-"),
)
async def test_a_server_with_which_nobody_can_speak_was_asked_for_nothing(house, tmp_path, mood):
    with pytest.raises(ProviderUnavailable) as caught:
        await call(house(mood))
    assert caught.value.fault_code == "mcp-unreachable"
    assert noted(tmp_path, "calls") == []
    await none_left(tmp_path)


@pytest.mark.parametrize(
    "mood", ["oddly named", "a horde", "lists one by one"], ids=["named", "horde", "pages"]
)
async def test_tools_that_cannot_be_used_are_left_out_and_the_others_are_used(house, mood):
    keeper = house(mood)
    assert (await call(keeper)).data == {"echo": "hi"}
    offered, left_out = await keeper.offered(CALLER, "rough", timeout_seconds=PATIENCE)
    names = [tool.name for tool in offered]
    assert {"echo", "environment", "fail", "draw"} <= set(names)
    if mood != "oddly named":
        assert len(names) == (500 if mood == "a horde" else 50)
        told = "of one server no more are taken than 500 on 50 pages"
        assert left_out == [f"all behind the first {len(names)}: {told}"]
    else:
        assert len(names) == 4
        shown = [each.partition(": a tool's name has 1 to 128")[0] for each in left_out]
        assert shown == ["'say it'", "'größe'", "''", f"'{'x' * 60}'"]


async def test_a_pinned_tool_that_is_left_out_is_not_used_and_it_is_said_why(house, tmp_path):
    with pytest.raises(McpChanged, match=r"echo is gone.*left out: all behind the first 500"):
        await call(house("a horde before"))
    assert noted(tmp_path, "calls") == []


async def test_a_server_that_never_speaks_is_ended(house, tmp_path):
    with pytest.raises(ProviderUnavailable, match="was not ready within") as caught:
        await call(house("never speaks"), seconds=1.0)
    assert caught.value.fault_code == "mcp-unreachable"
    await none_left(tmp_path)


async def test_a_command_that_is_not_there_is_named(tmp_path):
    keeper = McpHouse({"rough": Server(("no-such-program",))}, lambda hosts: None, tmp_path, 1)
    with pytest.raises(ProviderUnavailable, match=r"no-such-program: .*No such file") as caught:
        await call(keeper)
    assert caught.value.fault_code == "mcp-unreachable"
    await keeper.close()


async def test_a_server_that_refuses_tells_why(house):
    with pytest.raises(ProviderRejected, match=r"refuses echo: not so \(-32602\)"):
        await call(house("refuses"))


async def test_what_a_server_left_behind_is_ended_with_it(house, tmp_path):
    assert (await call(house("forks"))).data == {"echo": "forked"}
    await none_left(tmp_path)
    assert len(noted(tmp_path, "pids")) == 2


async def test_a_server_that_fills_standard_error_is_not_held_up(house):
    assert (await call(house("shouts"))).data == {"echo": "shouted"}


async def test_a_server_that_does_not_leave_by_itself_holds_up_nobody(house, tmp_path):
    keeper = house("stays", processes=1)
    assert (await call(keeper)).data == {"echo": "hi"}
    assert (await call(keeper)).data == {"echo": "hi"}
    await keeper.close()
    await none_left(tmp_path)


async def test_a_call_that_is_cancelled_leaves_nothing(house, tmp_path):
    keeper = house("hangs", processes=1)
    task = asyncio.create_task(call(keeper))
    async with asyncio.timeout(PATIENCE):
        while not noted(tmp_path, "calls"):
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await none_left(tmp_path)
    await keeper.close()


@pytest.mark.parametrize("mood", ["tidies up", "is stubborn"], ids=["tidies", "stubborn"])
async def test_a_server_is_told_to_end_before_it_is_ended(house, tmp_path, mood):
    keeper = house(mood)
    task = asyncio.create_task(call(keeper))
    async with asyncio.timeout(PATIENCE):
        while not noted(tmp_path, "waits"):
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await none_left(tmp_path)
    assert noted(tmp_path, "told") == ["to end"]


async def test_a_server_whose_streams_stay_open_keeps_no_room(
    house, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("codex32.outside.mcp.pipes._GONE_SECONDS", 0.5)
    keeper = house("dies", processes=1)
    held = []

    def take():
        # As somebody does whom nobody here may end.
        (pid,) = noted(tmp_path, "pids")
        held.extend(os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY) for number in (1, 2))

    async def hold(*_):
        await asyncio.to_thread(take)
        raise asyncio.CancelledError

    look = Conversation.look
    monkeypatch.setattr(Conversation, "look", hold)
    with pytest.raises(asyncio.CancelledError):
        await call(keeper)
    async with asyncio.timeout(PATIENCE):
        await keeper.close()
    assert "could not be ended" in caplog.text
    monkeypatch.setattr(Conversation, "look", look)
    offered, _ = await keeper.offered(CALLER, "rough", timeout_seconds=PATIENCE)
    assert offered[0].name == "echo"
    for each in held:
        os.close(each)


async def test_a_start_that_is_cancelled_leaves_no_leash(house, monkeypatch):
    made = []

    def pair():
        made.append(real())
        return made[-1]

    async def start(*_, **__):
        raise asyncio.CancelledError

    real = socket.socketpair
    keeper = house()
    with monkeypatch.context() as patch:
        patch.setattr("codex32.outside.mcp.pipes.socket.socketpair", pair)
        patch.setattr(asyncio, "create_subprocess_exec", start)
        with pytest.raises(asyncio.CancelledError):
            await call(keeper)
    ((ours, theirs),) = made
    assert (ours.fileno(), theirs.fileno()) == (-1, -1)


PARENT = """
import os, signal
from codex32_sandbox import keeping

def sleeper():
    child = os.fork()
    if child == 0:
        signal.pause()
    return child

def kill(pid, number):
    if pid == theirs:
        raise PermissionError
    real(pid, number)

theirs, ours, real = sleeper(), sleeper(), os.kill
os.kill = kill
keeping.end_descendants()
assert os.waitpid(theirs, os.WNOHANG) == (0, 0)
real(theirs, signal.SIGKILL)
assert os.wait()[0] == theirs
try:
    os.wait()
except ChildProcessError:
    print("only one was left")
"""


def test_what_belongs_to_another_user_does_not_keep_the_rest_alive():
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, timeout=PATIENCE)
    assert done.stdout == b"only one was left\n", done.stderr


WORKER = """
import asyncio, sys
from pathlib import Path
from codex32.outside.mcp.conversation import Conversation
from codex32.outside.mcp.pipes import PipeLine, bare_environment

async def main(folder, *command):
    talk = Conversation(await PipeLine.start(command, bare_environment(), Path(folder)))
    await talk.open()
    await talk.call("echo", {})

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.fault
async def test_no_server_outlives_a_worker_that_is_killed(tmp_path):
    command = rough(tmp_path, "hangs").command
    worker = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", WORKER, str(tmp_path), *command]
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while not noted(tmp_path, "calls"):
                await asyncio.sleep(0.02)
    finally:
        worker.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.wait)
    await none_left(tmp_path)
