"""Programs that were given something, and try to make more of it.

``given`` names beside the prey a folder to read (``readonly``, with a file ``kept``, and as
servers have them a socket ``served``, another for ``letters`` and a named ``pipe``), a folder to
write to (``writable``), a folder of packages (``packages``, with a module ``lent``), and the
``allowed`` port of a host on this machine that the bot names.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from codex32 import FileGrant, ProgramHost
from codex32.outside.sandboxes.proxy import Proxy
from codex32.outside.sandboxes.way_out import Ways

#: What each of these programs begins with, behind the prelude of all.
ASK = """
from urllib.parse import urlsplit
def ask(target, more=b""):
    proxy = urlsplit(os.environ["http_proxy"])
    line = socket.create_connection((proxy.hostname, proxy.port), 2)
    line.sendall(target.encode() + b"\\r\\n\\r\\n" + more)
    line.settimeout(2)
    answer = b""
    try:
        while data := line.recv(65536):
            answer += data
    except OSError:
        pass
    return answer
def through(host, port):
    return b" 200 " in ask(f"CONNECT {host}:{port} HTTP/1.1").partition(b"\\r\\n")[0]
"""
PROGRAMS = {
    "writes a file it may read": "return open(given['readonly'] + '/kept', 'w').write('gone')",
    "empties a file it may read": "os.truncate(given['readonly'] + '/kept', 0)\n return 1",
    "removes a file it may read": "os.remove(given['readonly'] + '/kept')\n return 1",
    "moves a file it may read": (
        "os.rename(given['readonly'] + '/kept', given['writable'] + '/kept')\n return 1"
    ),
    "links a file it may read": (
        "os.link(given['readonly'] + '/kept', given['writable'] + '/hard')\n"
        " return open(given['writable'] + '/hard', 'a').write('more')"
    ),
    "makes a file beside what it may read": (
        "return open(given['readonly'] + '/new', 'w').write('x')"
    ),
    "opens to all what it may read": "os.chmod(given['readonly'] + '/kept', 0o777)\n return 1",
    "connects to a server in what it may read": (
        "socket.socket(socket.AF_UNIX).connect(given['readonly'] + '/served')\n return 1"
    ),
    "connects to a server from a pair": (
        "a, b = socket.socketpair()\n b.close()\n a.connect(given['readonly'] + '/served')\n"
        " return 1"
    ),
    "connects to a server by a link": (
        "os.symlink(given['readonly'] + '/served', 'link')\n"
        " socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('link')\n return 1"
    ),
    "connects to a server on its channel": "return libc.connect(3, struct.pack('H108s', 1,\n"
    "  (given['readonly'] + '/served').encode()), 110) == 0",
    "sends a letter to what it may read": (
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        " return a.sendto(b'x', given['readonly'] + '/letters')"
    ),
    "writes to a pipe it may read": (
        "fd = os.open(given['readonly'] + '/pipe', os.O_RDWR | os.O_NONBLOCK)\n"
        " return os.write(fd, b'x')"
    ),
    "writes to a pipe without reading it": (
        "fd = os.open(given['readonly'] + '/pipe', os.O_WRONLY | os.O_NONBLOCK)\n"
        " return os.write(fd, b'x')"
    ),
    "holds up who opens what it may read": (
        "fd = os.open(given['readonly'] + '/kept', os.O_RDONLY)\n"
        " return libc.fcntl(fd, 1024, 0) == 0 or libc.fcntl(fd, 1026, 2) == 0"
    ),
    "changes the flags of what it may read": (
        "fd = os.open(given['readonly'] + '/kept', os.O_RDONLY)\n"
        " return libc.ioctl(fd, 0x40086602, struct.pack('Q', 0x40)) == 0"  # FS_NODUMP_FL
    ),
    "puts what it may read into a project": (
        "fd = os.open(given['readonly'] + '/kept', os.O_RDONLY)\n"
        " return libc.ioctl(fd, 0x401C5820, struct.pack('IIIII8x', 0x80, 0, 0, 7, 0)) == 0"
    ),
    "starts threads without end with the house's user": (
        "import threading\n threading.stack_size(32768)\n n = 0\n"
        " try:\n  while n < 4000:\n"
        "   threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n   n += 1\n"
        " except RuntimeError: pass\n"
        " return n > 64"
    ),
    "starts a process with the house's user": "return os.fork() >= 0",
    "climbs out of what it may write": (
        "return open(given['writable'] + '/../../' + given['file'].split('/', 2)[2]).read()"
    ),
    "lists what lies beside its folders": (
        "mine = {'readonly', 'writable', 'packages'}\n"
        " return sorted(set(os.listdir(given['writable'] + '/..')) - mine)"
    ),
    "follows a link it laid": (
        "os.symlink(given['file'], given['writable'] + '/link')\n"
        " return open(given['writable'] + '/link').read()"
    ),
    "writes through a link it laid": (
        "os.symlink(given['file'], given['writable'] + '/through')\n"
        " return open(given['writable'] + '/through', 'w').write('gone')"
    ),
    "lends its user": (
        "path = given['writable'] + '/lent'\n open(path, 'w').close()\n"
        " os.chmod(path, 0o4755)\n return os.stat(path).st_mode & 0o6000"
    ),
    "makes a file that lends its user": (
        "os.close(os.open(given['writable'] + '/lent2', os.O_CREAT | os.O_WRONLY, 0o4755))\n"
        " return os.stat(given['writable'] + '/lent2').st_mode & 0o6000"
    ),
    "makes a device where it may write": (
        "os.mknod(given['writable'] + '/disk', 0o60600, os.makedev(254, 0))\n return 1"
    ),
    "gives a file away": (
        "path = given['writable'] + '/mine'\n open(path, 'w').close()\n"
        " os.chown(path, 12345, 12345)\n return 1"
    ),
    "writes a file without end": (
        "with open(given['writable'] + '/big', 'wb') as file:\n"
        "  while True: file.write(bytes(1 << 20))"
    ),
    "mounts over what it may write": (
        "return libc.mount(b'none', given['writable'].encode(), b'tmpfs', 0, None) == 0"
    ),
    "makes what it reads writable": (
        "return libc.mount(None, given['readonly'].encode(), None, 32 | 4096, None) == 0"
    ),
    "changes a package": "import lent\n return open(lent.__file__, 'a').write('x = 2')",
    "removes a package": "import lent\n os.remove(lent.__file__)\n return 1",
    "plants a module among packages": (
        "import lent\n return open(os.path.dirname(lent.__file__) + '/json.py', 'w').write('x')"
    ),
    "plants bytecode among packages": (
        "import lent\n os.makedirs(os.path.dirname(lent.__file__) + '/__pycache__')\n return 1"
    ),
    "opens packages to all": (
        "import lent\n os.chmod(os.path.dirname(lent.__file__), 0o777)\n return 1"
    ),
    "finds what lies beside packages": (
        "import lent\n folder = os.path.dirname(os.path.dirname(lent.__file__))\n"
        " return sorted(set(os.listdir(folder)) - {'0', 'readonly', 'writable', 'packages'})"
    ),
    "asks the proxy for Redis": "return through('127.0.0.1', given['redis'])",
    "asks the proxy by another name": "return through('localhost', given['redis'])",
    "asks the proxy by another notation": (
        "return [h for h in ('2130706433', '127.1', '0x7f000001', '0', '[::1]',\n"
        "  '[::ffff:127.0.0.1]', '127.0.0.1.') if through(h, given['redis'])]"
    ),
    "asks the proxy by a notation that two may read differently": (
        "port = given['redis']\n"
        " return [h for h in (f'127.0.0.1:{given[\"allowed\"]}:{port}', f'0177.0.0.1:{port}',\n"
        "  f'127.0.0.1.:{port}', f'[::ffff:7f00:1]:{port}', f'[::1%25lo]:{port}',\n"
        "  f'%31%32%37.0.0.1:{port}', f'127.0.0.1:{given[\"allowed\"]}@127.0.0.1:{port}',\n"
        "  f'127.0.0.1:{port}#@127.0.0.1:{given[\"allowed\"]}',\n"
        "  f'[127.0.0.1]:{port}',\n"
        "  f'127.0.0.1:{port}/127.0.0.1:{given[\"allowed\"]}')\n"
        "  if b' 200 ' in ask(f'CONNECT {h} HTTP/1.1').partition(b'\\r\\n')[0]\n"
        "  or b' 200 ' in ask(f'GET http://{h}/ HTTP/1.1').partition(b'\\r\\n')[0]]"
    ),
    "asks the proxy for metadata": "return through('169.254.169.254', 80)",
    "asks the proxy for a file": "return b' 200 ' in ask('GET file:///etc/passwd HTTP/1.1')",
    "sends a second request along": (
        "host = f\"127.0.0.1:{given['allowed']}\"\n"
        " second = b'GET http://second.example/ HTTP/1.1\\r\\nHost: second.example\\r\\n\\r\\n'\n"
        " return b'second' in ask(f'GET http://{host}/ HTTP/1.1', second + second)"
    ),
    "sends a second name along": (
        "host = f\"127.0.0.1:{given['allowed']}\"\n"
        " return b'second' in ask(f'GET http://{host}/ HTTP/1.1\\r\\nA: b\\nHost: second.example')"
    ),
    "hides a request in a method": (
        "host = f\"127.0.0.1:{given['allowed']}\"\n"
        " hidden = 'GET\\t/\\tHTTP/1.1\\nHost:second.example\\nA:'\n"
        " return b'second' in ask(f'{hidden} http://{host}/ HTTP/1.1')"
    ),
    "opens connections without end": (
        "proxy = urlsplit(os.environ['http_proxy'])\n kept = []\n"
        " while True: kept.append(socket.create_connection((proxy.hostname, proxy.port), 1))"
    ),
    "sends the proxy garbage": "return b' 200 ' in ask('\\x00' * 60_000)",
    "says nothing to the proxy": (
        "proxy = urlsplit(os.environ['http_proxy'])\n"
        " socket.create_connection((proxy.hostname, proxy.port)).recv(1)"
    ),
    "goes round the proxy": (
        "return socket.create_connection(('127.0.0.1', given['allowed']), 2)"
    ),
}


class Granted:
    """What these programs are given, and whether it was kept to.

    Attributes:
      given: Where it lies.
      powers: Of each program.
      packages: As a sandbox is told of them.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        for name in ("readonly", "writable", "packages"):
            (folder / name).mkdir(mode=0o755)
        self._kept, self._lent = folder / "readonly" / "kept", folder / "packages" / "lent.py"
        self._kept.write_text("kept")
        self._served = socket.socket(socket.AF_UNIX)
        self._served.bind(str(folder / "readonly" / "served"))
        self._served.listen()
        self._letters = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._letters.bind(str(folder / "readonly" / "letters"))
        os.mkfifo(folder / "readonly" / "pipe")
        self._pipe = os.open(folder / "readonly" / "pipe", os.O_RDWR | os.O_NONBLOCK)
        for name in ("served", "letters", "pipe"):
            (folder / "readonly" / name).chmod(0o777)
        for each in (self._served, self._letters):
            each.setblocking(False)
        self._lent.write_text("x = 1\n")
        places = {name: str(folder / name) for name in ("readonly", "writable", "packages")}
        self.given: dict[str, Any] = {**places, "allowed": port}
        self.packages = [places["packages"]]
        self.powers = {
            "files": (FileGrant(places["readonly"]), FileGrant(places["writable"], write=True)),
            "hosts": (f"127.0.0.1:{port}",),
        }
        self._before = self._state()

    def host(self, count: Any) -> ProgramHost:
        """A host that leads to the one server which is allowed."""
        allowed = f"127.0.0.1:{self._port}"
        ways = Ways.of([allowed], [allowed])
        return ProgramHost(count, tell=count, serve_way_out=Proxy(ways).serve)

    def _state(self) -> dict[str, Any]:
        return {
            "kept": (self._kept.read_text(), self._kept.stat().st_mode),
            "read-only folder": sorted(os.listdir(self._folder / "readonly")),
            "module": (self._lent.read_text(), self._lent.stat().st_mode),
            "packages": sorted(os.listdir(self._folder / "packages")),
            "mode of packages": (self._folder / "packages").stat().st_mode,
        }

    def harm(self) -> list[str]:
        """What was made of it that nobody may make."""
        now = self._state()
        found = [name for name, value in self._before.items() if now[name] != value]
        for path in (self._folder / "writable").iterdir():
            told = path.lstat()
            if told.st_mode & 0o6000 or told.st_uid != os.getuid():
                found.append(f"{path.name} has mode {told.st_mode:o} and owner {told.st_uid}")
            if told.st_size > 8 * 1024 * 1024:
                found.append(f"{path.name} is too large")
        for what, reach in (
            ("a connection to a server", self._served.accept),
            ("a letter to a server", lambda: self._letters.recv(100)),
            ("something in a pipe", lambda: os.read(self._pipe, 100)),
        ):
            with suppress(BlockingIOError):
                reach()
                found.append(what)
        return found

    def close(self) -> None:
        """Let go of what servers have there."""
        self._served.close()
        self._letters.close()
        os.close(self._pipe)


@asynccontextmanager
async def granted() -> AsyncIterator[Granted]:
    """Folders, and a server that answers with what it was asked for, while the block lasts."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n"
            writer.write(head.encode() + data)
            if b"Connection: close" in data:
                break
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with tempfile.TemporaryDirectory(prefix="granted-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        found = Granted(folder, server.sockets[0].getsockname()[1])
        try:
            yield found
        finally:
            found.close()
            server.close()
