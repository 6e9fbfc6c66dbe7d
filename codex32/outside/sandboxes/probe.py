"""Whether a sandbox holds: real attempts to escape it, made from within before it is relied on."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from codex32.kernel.contracts.program import Program, ProgramHost
from codex32.kernel.contracts.sandbox import SandboxBackend, SandboxLevel

_SECONDS = 20.0
#: Each function tries one way out and returns a true value if it found it.
_ESCAPES = """
import ctypes, os, signal, socket

def reads_a_file(given):
    return open(given["file"]).read() == given["word"]

def writes_a_file(given):
    with open(given["file"] + ".new", "w") as file:
        return file.write("x")

def changes_a_file(given):
    os.chmod(given["file"], 0o777)
    return True

def finds_the_worker(given):
    return os.readlink(f"/proc/{given['pid']}/exe")

def reads_the_worker(given):
    return b"PATH" in open(f"/proc/{given['pid']}/environ", "rb").read()

def signals_the_worker(given):
    os.kill(given["pid"], 0)
    return given["pid"] != os.getpid()

def slows_the_worker(given):
    os.setpriority(os.PRIO_PROCESS, given["pid"], os.getpriority(os.PRIO_PROCESS, given["pid"]))
    return given["pid"] != os.getpid()

def attaches_to_the_worker(given):
    return ctypes.CDLL(None, use_errno=True).ptrace(0x4206, given["pid"], 0, 0) == 0

def connects_to_this_machine(given):
    return socket.create_connection(("127.0.0.1", given["port"]), 2)

def sends_to_this_machine(given):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(given["word"].encode(), ("127.0.0.1", given["datagrams"])) and None

def connects_to_a_named_socket(given):
    socket.socket(socket.AF_UNIX).connect(given["named"])
    return True

def connects_to_an_abstract_socket(given):
    socket.socket(socket.AF_UNIX).connect(chr(0) + given["word"])
    return True

def makes_namespaces(given):
    return ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0

def mounts(given):
    return ctypes.CDLL(None, use_errno=True).mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0

def forks(given):
    if os.fork() == 0:
        os._exit(0)
    return True

def keeps_a_capability(given):
    os.setgroups([])
    return True

def finds_the_folder(given):
    return given["apart"] and os.path.exists(os.path.dirname(given["file"]))

def main(given):
    found = []
    for name, attempt in list(globals().items()):
        if callable(attempt) and name != "main":
            try:
                if attempt(given):
                    found.append(name)
            except (OSError, ValueError):
                continue
    return found
"""


async def escapes(sandbox: SandboxBackend) -> list[str]:
    """The ways out that were found, ``reads_a_file`` for one; empty where the sandbox holds.

    Raises:
      SandboxUnusable: It runs nothing, or not to its end.
    """
    with ExitStack() as stack:
        given, received = await asyncio.to_thread(stack.enter_context, _prey())
        given["apart"] = sandbox.level >= SandboxLevel.NAMESPACE
        program = Program(_ESCAPES, {"given": given}, "<probe>", timeout_seconds=_SECONDS)
        try:
            result = await sandbox.run(program, ProgramHost(on_line=lambda stream, line: None))
            if result.error is not None or not isinstance(result.output, list):
                raise SandboxUnusable(result.error or "the probe did not answer")
            found = [str(name) for name in result.output]
            if received():
                found.append("sends_to_this_machine")
        finally:
            await asyncio.shield(asyncio.to_thread(stack.close))
    return found


class SandboxUnusable(Exception):
    """A sandbox runs no program; the text says why."""


@contextmanager
def _prey() -> Iterator[tuple[dict[str, Any], Callable[[], bool]]]:
    """What a program must not reach, and whether a datagram came."""
    word = f"codex32-{secrets.token_hex(16)}"
    with (
        tempfile.TemporaryDirectory(prefix="codex32-probe-") as folder,
        _listening(("127.0.0.1", 0), socket.AF_INET) as port,
        _listening(os.path.join(folder, "socket"), socket.AF_UNIX),
        _abstract(word),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        os.chmod(folder, 0o755)  # noqa: S103 - what holds shall be the sandbox, not the folder
        file = Path(folder, "file")
        file.write_text(word)
        datagrams.bind(("127.0.0.1", 0))
        datagrams.setblocking(False)
        yield (
            {
                "word": word,
                "file": str(file),
                "pid": os.getpid(),
                "port": port,
                "datagrams": datagrams.getsockname()[1],
                "named": os.path.join(folder, "socket"),
            },
            lambda: _received(datagrams),
        )


@contextmanager
def _listening(address: Any, family: int) -> Iterator[int]:
    with socket.socket(family) as listening:
        listening.bind(address)
        listening.listen()
        name = listening.getsockname()
        yield name[1] if family == socket.AF_INET else 0


@contextmanager
def _abstract(word: str) -> Iterator[None]:
    if not hasattr(socket, "SOCK_CLOEXEC"):  # Linux alone has such sockets
        yield
        return
    with _listening(f"\0{word}", socket.AF_UNIX):
        yield


def _received(datagrams: socket.socket) -> bool:
    try:
        return bool(datagrams.recv(100))
    except OSError:
        return False


async def judge(sandbox: SandboxBackend, *, claims: bool = True) -> str | None:
    """Why a sandbox cannot be relied on, or None.

    Args:
      sandbox: What to try.
      claims: False asks only whether it runs programs at all.
    """
    if why := sandbox.lacks():
        return why
    try:
        async with asyncio.timeout(_SECONDS + 10):
            found = await (escapes(sandbox) if claims else _works(sandbox))
    except (SandboxUnusable, TimeoutError) as error:
        return str(error) or "it does not answer"
    except Exception as error:  # a plugin's
        return f"{type(error).__name__}: {error}"
    return _told(found) if found else None


async def _works(sandbox: SandboxBackend) -> list[str]:
    program = Program("def main(): return 1", file="<probe>", timeout_seconds=_SECONDS)
    result = await sandbox.run(program, ProgramHost(on_line=lambda stream, line: None))
    if result.output != 1:
        raise SandboxUnusable(result.error or "a program did not answer")
    return []


def _told(found: Sequence[str]) -> str:
    return f"a program in it {', '.join(name.replace('_', ' ') for name in found)}"
