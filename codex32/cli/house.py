"""The processes behind ``codex32 up``: started together, kept running, stopped in good order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex32.cli import failures
from codex32.cli.context import Context
from codex32.cli.holding import Hold, hold
from codex32.kernel.errors import Codex32Error
from codex32.outside.children import Children

if TYPE_CHECKING:
    from codex32.cli.news import Item
    from codex32.outside.redis_server import BundledRedis
    from codex32.runtime import Runtime

#: Seconds between looks at children and rows.
LOOK_EVERY_SECONDS = 0.5
#: The same until the API answers, for which people wait.
BIRTH_LOOK_SECONDS = 0.05
#: What a process gets, beside the workers' own grace, to let go of everything.
STOP_SECONDS = 10.0
#: Exit codes with which a child says that starting it again cannot help.
_HOPELESS = frozenset({failures.FAILED, failures.USAGE, failures.NOT_POSSIBLE, failures.NOT_READY})


class House:
    """One project folder with all its processes."""

    def __init__(self, obj: Context) -> None:
        self.obj, self.out = obj, obj.output
        self.settings = obj.settings
        self._began = time.monotonic()
        self._redis: BundledRedis | None = None
        self._groups: dict[str, Children] = {}
        self._said = os.pipe()
        self._stop: asyncio.Event
        self._stops = 0
        self._ready = False
        self._fault: int | None = None

    def run(self) -> int:
        """Run until SIGINT or SIGTERM; the exit code.

        Raises:
          FolderHeld: The folder is run by another process already.
        """
        with hold(self.settings.home) as held:
            self._tell(f"Codex-32 {version('codex32')} in {self.settings.folder}", event="start")
            self._prepare()
            try:
                return asyncio.run(self._live(held))
            finally:
                if self._redis is not None:
                    self._redis.stop()

    # the beginning

    def _prepare(self) -> None:
        """Redis and the tables, at the same time; then all processes, in parallel."""
        from codex32.bundled import start_bundled_redis
        from codex32.runtime import upgrade_schema

        with ThreadPoolExecutor(1) as pool:
            redis = None
            if self.settings.redis_url is None:
                redis = pool.submit(start_bundled_redis, self.settings)
            applied = upgrade_schema(self.settings, self.obj.plugins)
            try:
                self._redis = redis.result() if redis else None
            except Codex32Error as error:
                self._tell(error.message, event="warning", style="yellow")
        if applied:
            count = len(applied)
            self._tell(f"database  brought up to date ({count} migrations)", event="migrated")
        self._launch()

    def _launch(self) -> None:
        threading.Thread(target=self._listen, name="said", daemon=True).start()
        # Bots may need what a companion serves, as soon as the first of them runs.
        for name in self.settings.up.companions:
            self._start(name, [name], group="companions")
        self._start("api", ["serve"])
        self._start("scheduler", ["scheduler"])
        for number in range(self.settings.worker.processes):
            self._start(f"worker {number + 1}", ["worker", "--processes", "1"], group="workers")

    def _start(self, name: str, command: Sequence[str], group: str | None = None) -> None:
        children = self._groups.get(group or name)
        if children is None:
            children = Children(self._on_death, self._environment(), self._said[1])
            self._groups[group or name] = children
        options = [part for file in self.obj.files for part in ("--config", str(file))]
        options += ["--folder", str(self.settings.folder)]
        children.start(name, [sys.executable, "-P", "-m", "codex32", *options, *command])

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        environment = dict(os.environ)
        environment["CODEX32_API__HOST"] = settings.api.host
        environment["CODEX32_API__PORT"] = str(settings.api.port)
        if self._redis is not None:
            environment["CODEX32_REDIS_URL"] = self._redis.url
        if settings.where("log.level") == "default":
            # What goes well is told here, in one place; the processes tell what does not.
            environment["CODEX32_LOG__LEVEL"] = "warning"
        return environment

    # the life

    async def _live(self, held: Hold) -> int:
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupted)
        try:
            with self.obj.runtime() as runtime:
                await self._watch(runtime, held)
        finally:
            await self._wind_down()
        return failures.OK if self._fault is None else self._fault

    async def _watch(self, runtime: Runtime, held: Hold) -> None:
        from codex32.cli.news import News

        news = News(runtime.clock.micros())
        api = self.settings.home / "api.json"
        while not self._stop.is_set():
            for children in self._groups.values():
                children.look()
            if not self._ready and (url := _address(api, self._groups["api"])):
                self._ready = True
                held.tell(url)
                # Started anew, it is where people have learned that it is.
                self._groups["api"].environment["CODEX32_API__PORT"] = url.rpartition(":")[2]
                self._welcome(url)
            if self._ready:
                try:
                    for item in await runtime.door.read(news.look):
                        self._tell_item(item)
                except Exception as error:
                    told = failures.describe(error)[0]["message"]
                    self._tell(told, event="warning", style="red")
                    await _pause(self._stop, 5.0)
            await _pause(self._stop, LOOK_EVERY_SECONDS if self._ready else BIRTH_LOOK_SECONDS)

    def _welcome(self, url: str) -> None:
        settings = self.settings
        redis = "bundled" if self._redis else "yours" if settings.redis_url else "none"
        kind = settings.database_url.partition(":")[0]
        token = "as set" if settings.api.token else str(_short(settings.token_file))
        workers = settings.worker.processes
        took = time.monotonic() - self._began
        told = f"ready in {took:.1f} s: {url}  token: {token}"
        self._tell(told, event="ready", style="bold green", url=url, seconds=round(took, 3))
        self._tell(f"{workers} workers, {kind}, redis: {redis}; Ctrl-C stops", event="house")

    def _on_death(self, name: str, code: int, pause_seconds: float) -> None:
        if name == "api" and not self._ready and code in _HOPELESS:
            self._fault = code
            self._stop.set()
            return
        told = f"{name} ended with {code}; starting it again"
        if pause_seconds:
            told += f" in {pause_seconds:.1f} s"
        self._tell(told, event="died", style="yellow", name=name, code=code)

    def _interrupted(self) -> None:
        self._stops += 1
        self._stop.set()
        if self._stops > 1:
            for children in self._groups.values():
                for pid in children.pids().values():
                    os.kill(pid, signal.SIGKILL)

    # the end

    async def _wind_down(self) -> None:
        """The API first, so that nothing more comes in; Redis last, when nobody needs it."""
        self._tell("stopping", event="stopping")
        grace = self.settings.worker.stop_grace_seconds
        for name in ("api", "scheduler", "companions", "workers"):
            if name in self._groups:
                seconds = STOP_SECONDS + (grace if name == "workers" else 0.0)
                await asyncio.to_thread(self._groups[name].stop, seconds)
        self._tell("stopped; what had begun goes on at the next start", event="stopped")

    # what is said

    def _listen(self) -> None:
        """Pass on what the processes say."""
        folder = f"{self.settings.folder}{os.sep}"
        with open(self._said[0], encoding="utf-8", errors="replace") as lines:
            for line in lines:
                text = line.rstrip().replace(folder, "")
                text = text.replace("INFO codex32.notify: ", "✉ ", 1)
                self._tell(text, event="said")

    def _tell_item(self, item: Item) -> None:
        kind = "execution" if "id" in item.data else "bot"
        self._tell(f"{time.strftime('%H:%M:%S')}  {item.text}", kind, item.style, **item.data)

    def _tell(self, text: str, event: str, style: str | None = None, **data: Any) -> None:
        if self.out.as_json:
            told = json.dumps({"event": event, "text": text, **data}, ensure_ascii=False)
            print(told, file=self.out.stdout, flush=True)
        else:
            self.out.line(text, style)


def _address(path: Path, children: Children) -> str | None:
    """Where the API listens, once the process that we started says so."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(told["url"]) if told["pid"] in children.pids().values() else None


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
