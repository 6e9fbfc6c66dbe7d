"""A whole Codex-32 as its users have it: processes of the command line, spoken to over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from codex32.kernel.statuses import FINAL, Status
from codex32.outside.redis_server import BundledRedis

CODEX32 = (sys.executable, "-P", "-m", "codex32")
#: What the processes find as the secret API_KEY; no text of theirs may hold it.
SECRET = "sésame/open+7f3a9c"
PATIENCE_SECONDS = 60.0


def until(
    look: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS, every: float = 0.05
) -> Any:
    """The first true answer of ``look``; fails after ``seconds``, naming ``what``."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(every)
    return found


@dataclass(frozen=True)
class Answer:
    """What the API said."""

    status: int
    body: Any


class House:
    """A project folder and the processes that serve it.

    Args:
      folder: Of the project; made if it is not there.
      environment: Beside the test's own: URLs of servers, settings.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.bots = folder / "bots"
        self.bots.mkdir(parents=True, exist_ok=True)
        self.mark = uuid4().hex
        self.environment = {
            **os.environ,
            **(environment or {}),
            "CODEX32_SECRET_API_KEY": SECRET,
            "HOUSE_OF_A_TEST": self.mark,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    # processes

    def launch(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command; what it prints is added to the file :attr:`said`."""
        with self.said.open("ab") as output:
            process = subprocess.Popen(
                [*CODEX32, *command],
                cwd=self.folder,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.processes[name] = process
        return process

    def start(self) -> None:
        """Start everything, and return when it answers."""
        raise NotImplementedError

    def serve(self, name: str = "api", **environment: str) -> None:
        """Start the API, and return when it answers."""
        self.launch(name, "serve", "--port", "0", **environment)
        self.await_api(self.processes[name].pid)

    def await_api(self, pid: int | None = None) -> None:
        """Until the API listens: that of a process, or of whatever has just started."""
        until(lambda: self._announced(pid) and self.get("/readyz").status == 200, "an API")

    def _announced(self, pid: int | None) -> bool:
        self._check_alive()
        try:
            told = json.loads((self.folder / ".codex32" / "api.json").read_text())
        except (OSError, ValueError):
            return False
        self.url = told["url"]
        return pid in (None, told["pid"])

    def _check_alive(self) -> None:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended:\n{self.told()}"

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End one process; its exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(60)

    def stop(self) -> dict[str, int]:
        """Ask all processes to end; their exit codes."""
        for process in self.processes.values():
            process.terminate()
        return self._wait()

    def kill(self) -> None:
        """End all processes as a power cut does."""
        for process in self.processes.values():
            process.kill()
        self._wait()

    def _wait(self) -> dict[str, int]:
        codes = {name: process.wait(60) for name, process in self.processes.items()}
        self.processes.clear()
        return codes

    def alive(self) -> dict[int, str]:
        """Every live process that came from here, however far down, with its command."""
        marked = f"HOUSE_OF_A_TEST={self.mark}".encode()
        found = {pid: text for pid, text, environment in _processes() if marked in environment}
        # Redis writes its title over its environment, and programs of bots have one of their own.
        for process in self.processes.values():
            found |= dict(descendants(process.pid))
        return found

    # what it says

    @property
    def said(self) -> Path:
        """The file of all that processes printed."""
        return self.folder / "said.txt"

    def told(self) -> str:
        """All that processes printed."""
        return self.said.read_text(errors="replace")

    # the API

    @property
    def token(self) -> str:
        """The administrator's."""
        return (self.folder / ".codex32" / "token").read_text().strip()

    def get(self, path: str) -> Answer:
        """Ask the API."""
        return self._ask(urllib.request.Request(self.url + path))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Have the API do something."""
        data = b"" if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method="POST")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        return self._ask(request)

    def _ask(self, request: urllib.request.Request) -> Answer:
        request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, json.loads(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.loads(error.read()))

    # the command line

    def cli(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line to its end."""
        return subprocess.run(
            [*CODEX32, *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, *command: str) -> Any:
        """What a command says with ``--json``."""
        done = self.cli(*command, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    # bots and executions

    def write(self, name: str, text: str) -> Path:
        """Write a bot file, as an editor does that is careful: nobody sees half of it."""
        path = self.bots / f"{name}.yaml"
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
        return path

    def bot(self, name: str) -> Any:
        """A bot as the API lists it, or None."""
        page = self.get(f"/api/v1/bots?cursor={name[:-1]}&limit=100").body["items"]
        return next((each for each in page if each["name"] == name), None)

    def add(self, name: str, text: str, version: int = 1) -> None:
        """Write a bot file and wait until this version of it is live."""
        self.write(name, text)
        until(
            lambda: (found := self.bot(name)) and found["version"] == version,
            f"version {version} of {name}",
        )

    def execute(self, bot: str, **inputs: Any) -> str:
        """Start a bot; the execution's id."""
        answer = self.post(f"/api/v1/bots/{bot}/execute", {"inputs": inputs})
        assert answer.status == 202, answer
        return str(answer.body["id"])

    def execution(self, execution_id: str) -> Any:
        """An execution as it stands."""
        return self.get(f"/api/v1/executions/{execution_id}").body

    def executions(self, bot: str) -> list[Any]:
        """Executions of a bot, newest first."""
        items: list[Any] = self.get(f"/api/v1/executions?bot={bot}&limit=100").body["items"]
        return items

    def reach(
        self, execution_id: str, *statuses: Status, seconds: float = PATIENCE_SECONDS
    ) -> Any:
        """The execution once it stands at one of ``statuses``."""

        def look() -> Any:
            found = self.execution(execution_id)
            if found["status"] in FINAL and found["status"] not in statuses:
                raise AssertionError(f"{found['status']}: {found['message']}\n{self.told()}")
            return found if found["status"] in statuses else None

        return until(look, f"{execution_id} {' or '.join(statuses)}", seconds)

    def succeed(self, execution_id: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """The execution once it has succeeded; anything else fails the test."""
        return self.reach(execution_id, Status.SUCCEEDED, seconds=seconds)

    def steps(self, execution_id: str) -> dict[str, Any]:
        """Its steps by id, items left out."""
        items = self.get(f"/api/v1/executions/{execution_id}/steps").body["items"]
        return {each["step"]: each for each in items if each["item"] is None}

    def log(self, execution_id: str) -> list[str]:
        """The messages of its log."""
        items = self.get(f"/api/v1/executions/{execution_id}/logs").body["items"]
        return [each["message"] for each in items]


class UpHouse(House):
    """``codex32 up``: SQLite and the Redis that comes along."""

    def start(self) -> None:
        """Start it, and return when it answers."""
        # What the last one said of its address must not be believed.
        (self.folder / ".codex32" / "api.json").unlink(missing_ok=True)
        self.launch("up", "up", "--port", "0", "--workers", "2")
        self.await_api()


class ServersHouse(House):
    """API, scheduler and workers as processes of their own, on servers that are there already."""

    workers = 2

    def start(self) -> None:
        """Start it, and return when it answers."""
        if not self.said.exists():
            done = self.cli("db", "upgrade")
            assert done.returncode == 0, done.stderr
        self.launch("scheduler", "scheduler")
        self.hire(self.workers)
        self.serve()

    def hire(self, count: int) -> None:
        """Start more workers."""
        for _ in range(count):
            self.launch(f"worker {len(self.processes)}", "worker", "--processes", "1")


@contextmanager
def private_redis() -> Iterator[BundledRedis]:
    """A Redis of one's own, which may be stopped and started."""
    with tempfile.TemporaryDirectory(prefix="codex32-test-") as home:
        server = BundledRedis(Path(home))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def living(house: House) -> Iterator[House]:
    """The house while the block runs; afterwards nothing of it is left, come what may."""
    try:
        yield house
    finally:
        house.stop()
        for pid in house.alive():
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[tuple[int, str]]:
    """Processes below one, with their names and commands."""
    found = [(each, text) for each, text, _ in _processes() if _parent(each) == pid]
    return found + [deeper for each, _ in found for deeper in descendants(each)]


def _processes() -> Iterator[tuple[int, str, Sequence[bytes]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                name = (folder / "comm").read_text().strip()
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            if text:  # a zombie, waited for by its parent in a moment, has none
                yield int(folder.name), f"{name}: {text}", environment


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
