"""The processes behind ``codex32 up``: kept running, stopped in good order, and what they say.

``codex32 up`` becomes this program once everything is prepared: what only waits for others shall
not hold what they work with. So it knows neither settings nor the database; what happens in the
house the scheduler tells it.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex32.cli import ecs
from codex32.cli.holding import Hold
from codex32.cli.output import Output
from codex32.kernel.errors import Codex32Error
from codex32.outside.children import Children
from codex32.outside.redis_server import BundledRedis
from codex32.outside.stopping import KILL_SECONDS, SIGNALS

#: Seconds between looks at the children; one that ends is seen at once.
LOOK_EVERY_SECONDS = 5.0
#: The same until the API answers, for which people wait, and while a child waits for its start.
BUSY_LOOK_SECONDS = 0.05
#: The name under which it speaks, and how what went wrong is shown at a terminal.
LOGGER, ALARMING = "codex32.cli.house", ("yellow", "red")


@dataclass(frozen=True)
class Plan:
    """What a house is to be.

    Attributes:
      began: When ``codex32 up`` was called (monotonic seconds).
      log_format: ``text`` or ``ecs``: of what is said, where that is not ``as_json``.
      redis: ``bundled``, which is started for it, or ``yours``.
      processes: Name, group and arguments of each process, in the order of their start.
      environment: Of the processes, beside ours.
      grace_seconds: What workers get to end their steps.
      hopeless: Exit codes with which a process says that starting it again cannot help.
      token: What people are told of the API's token.
      about: What they are told of workers, database and Redis.
    """

    began: float
    folder: str
    home: str
    as_json: bool
    log_format: str
    redis: str
    processes: Sequence[tuple[str, str, Sequence[str]]]
    environment: Mapping[str, str]
    grace_seconds: float
    hopeless: Sequence[int]
    token: str
    about: str


def become(plan: Plan, held: Hold) -> None:
    """Go on as this program, in the same process, holding what was held; never returns."""
    # They wait until this program heeds them.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    told, tell = os.pipe()
    os.write(tell, json.dumps(asdict(plan)).encode())
    os.close(tell)
    kept = (told, held.fileno)
    for each in kept:
        os.set_inheritable(each, True)
    sys.stdout.flush()
    command = [sys.executable, "-P", "-m", "codex32.cli.house", plan.folder]
    os.execv(sys.executable, [*command, *map(str, kept)])  # noqa: S606 - it is Python itself


class House:
    """One project folder with all its processes.

    Args:
      held: The home folder.
    """

    def __init__(self, plan: Plan, held: Hold) -> None:
        self.plan, self.held = plan, held
        self.out = Output(plan.as_json)
        self._redis = BundledRedis(Path(plan.home)) if plan.redis == "bundled" else None
        self._environment = {**os.environ, **plan.environment}
        self._groups: dict[str, Children] = {}
        self._said, self._news = os.pipe(), os.pipe()
        self._woken = os.pipe()
        self._stops = 0
        self._ready = False
        #: News that came before anybody was told that the house is ready.
        self._early: list[Mapping[str, Any]] | None = []
        self._telling = threading.Lock()
        #: Lines of several threads do not run into each other.
        self._saying = threading.Lock()
        self._fault = 0

    def run(self) -> int:
        """Run until SIGINT or SIGTERM; the exit code."""
        self._heed_signals()
        try:
            if self._redis is not None:
                self._start_redis(self._redis)
            self._launch()
            while not self._stops and not self._fault:
                self._look()
            self._wind_down()
        finally:
            if self._redis is not None:
                self._redis.stop()
        return self._fault

    # the beginning

    def _heed_signals(self) -> None:
        for end in self._woken:
            os.set_blocking(end, False)
        # Whatever signal comes wakes who waits.
        signal.set_wakeup_fd(self._woken[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in SIGNALS:
            signal.signal(number, lambda *_: self._interrupted())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _start_redis(self, redis: BundledRedis) -> None:
        try:
            redis.start()
        except Codex32Error as error:
            self._redis = None
            self._tell(error.message, event="warning", style="yellow")
        else:
            self._environment["CODEX32_REDIS_URL"] = redis.url

    def _launch(self) -> None:
        for source, heard in ((self._said[0], self._hear), (self._news[0], self._hear_news)):
            listen = threading.Thread(target=_listen, args=(source, heard), daemon=True)
            listen.start()
        for name, group, command in self.plan.processes:
            if group not in self._groups:
                # The scheduler tells news by what it prints; the others print what they say.
                printed = self._news[1] if name == "scheduler" else None
                self._groups[group] = Children(
                    self._on_death, dict(self._environment), self._said[1], printed
                )
            self._groups[group].start(name, command)

    # the life

    def _look(self) -> None:
        """Look after the children once, and wait until there may be something to do."""
        for children in self._groups.values():
            children.look()
        api = Path(self.plan.home, "api.json")
        if not self._ready and (url := _address(api, self._groups["api"])):
            self._ready = True
            self.held.tell(url)
            # Started anew, it is where people have learned that it is.
            self._groups["api"].environment["CODEX32_API__PORT"] = url.rpartition(":")[2]
            self._welcome(url)
        busy = not self._ready or any(each.lack for each in self._groups.values())
        seconds = BUSY_LOOK_SECONDS if busy else LOOK_EVERY_SECONDS
        if select.select([self._woken[0]], [], [], seconds)[0]:
            os.read(self._woken[0], 4096)

    def _welcome(self, url: str) -> None:
        took = time.monotonic() - self.plan.began
        told = f"ready in {took:.1f} s: {url}  token: {self.plan.token}"
        self._tell(told, event="ready", style="bold green", url=url, seconds=round(took, 3))
        missing = self.plan.redis == "bundled" and self._redis is None
        redis = "none" if missing else self.plan.redis
        self._tell(f"{self.plan.about}, redis: {redis}; Ctrl-C stops", event="house")
        with self._telling:
            early, self._early = self._early or [], None
        for item in early:
            self._tell_item(item)

    def _on_death(self, name: str, code: int, pause_seconds: float) -> None:
        if name == "api" and not self._ready and code in self.plan.hopeless:
            self._fault = code
            return
        told = f"{name} ended with {code}; starting it again"
        if pause_seconds:
            told += f" in {pause_seconds:.1f} s"
        self._tell(told, event="died", style="yellow", name=name, code=code)

    def _interrupted(self) -> None:
        self._stops += 1
        if self._stops > 1:
            for children in self._groups.values():
                for pid in children.pids().values():
                    os.kill(pid, signal.SIGKILL)

    # the end

    def _wind_down(self) -> None:
        """The API first, so that nothing more comes in; Redis last, when nobody needs it."""
        self._tell("stopping", event="stopping")
        for name in ("api", "scheduler", "companions", "workers"):
            if name in self._groups:
                grace = self.plan.grace_seconds if name == "workers" else 0.0
                self._groups[name].stop(KILL_SECONDS + grace)
        self._tell("stopped; what had begun goes on at the next start", event="stopped")

    # what is said

    def _hear(self, line: str) -> None:
        """Pass on what a process says."""
        if self._says_ecs and ecs.is_line(line):
            self._say(line.rstrip("\n"))
            return
        text = line.rstrip().replace(f"{self.plan.folder}{os.sep}", "")
        self._tell(text.replace("INFO codex32.notify: ", "✉ ", 1), event="said")

    def _hear_news(self, line: str) -> None:
        """Tell what happened, once people know that the house is ready."""
        try:
            item = json.loads(line)
            with self._telling:
                if self._early is not None:
                    self._early.append(item)
                    return
            self._tell_item(item)
        except (ValueError, LookupError, TypeError):  # a plugin prints something
            self._hear(line)

    def _tell_item(self, item: Mapping[str, Any]) -> None:
        at = "" if self._says_ecs else f"{time.strftime('%H:%M:%S')}  "
        self._tell(f"{at}{item['text']}", item["event"], item["style"], **item["data"])

    def _tell(self, text: str, event: str, style: str | None = None, **data: Any) -> None:
        if self.out.as_json:
            self._say(json.dumps({"event": event, "text": text, **data}, ensure_ascii=False))
        elif self._says_ecs:
            level = "warning" if style in ALARMING else "info"
            self._say(ecs.line(text, level, LOGGER, {"event.action": event, **_about(data)}))
        else:
            with self._saying:
                self.out.line(text, style)

    @property
    def _says_ecs(self) -> bool:
        return self.plan.log_format == "ecs" and not self.out.as_json

    def _say(self, line: str) -> None:
        with self._saying:
            self.out.stdout.write(f"{line}\n")
            self.out.stdout.flush()


def _about(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the schema that tell what a piece of news is about."""
    is_bot = "tag" in data
    about = {
        "workspace": data.get("workspace"),
        "bot": data.get("name" if is_bot else "bot"),
        "execution": None if is_bot else data.get("id"),
        "file": data.get("source"),
    }
    trace = data.get("trace")
    return ecs.fields(about) | ({"trace.id": trace["id"]} if trace else {})


def _listen(source: int, heard: Callable[[str], None]) -> None:
    with open(source, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            heard(line)


def _address(path: Path, children: Children) -> str | None:
    """Where the API listens, once the process that we started says so."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(told["url"]) if told["pid"] in children.pids().values() else None


def main(told: int, held: int) -> int:
    """Read the plan, and run it."""
    with open(told, encoding="utf-8") as source:
        plan = Plan(**json.load(source))
    if plan.log_format == "ecs":
        logging.basicConfig(level=logging.WARNING)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(ecs.PlainForm())
        ecs.log_what_nobody_catches()
    return House(plan, Hold.taken_over(held)).run()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[2:])))
