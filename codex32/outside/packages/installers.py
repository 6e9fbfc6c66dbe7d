"""The programs that find and unpack wheels: uv where it is, else the pip of our own Python."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from codex32.outside.packages import without_builds
from codex32.outside.packages.faults import UNAVAILABLE, UNFIT, PackagesFault, judged

#: What an installer is given of our environment: its own configuration and the way to the index.
_KEPT = (
    *("PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT"),
    *("UV_CONFIG_FILE", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_NATIVE_TLS", "UV_INSECURE_HOST"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "SYSTEMROOT"),
)
_LOOK_SECONDS = 0.2
_CREDENTIALS = re.compile(r"://[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where wheels come from.

    Attributes:
      index_url: An index; None for the one that the installer is configured for.
      find_links: Folders or pages with wheels beside it.
      offline: Whether no index is asked.
    """

    index_url: str | None = field(default=None, repr=False)
    find_links: tuple[str, ...] = ()
    offline: bool = False

    def arguments(self) -> list[str]:
        """As both installers take them; an index may hold a password, so it is none of them."""
        told = ["--no-index"] if self.offline else []
        return [*told, *(f"--find-links={each}" for each in self.find_links)]

    def environment(self) -> dict[str, str]:
        """What an installer finds in its environment."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        if self.index_url is not None:
            kept |= {"PIP_INDEX_URL": self.index_url, "UV_DEFAULT_INDEX": self.index_url}
            kept.pop("UV_INDEX_URL", None)
        return kept


@dataclass(eq=False)
class Work:
    """One use of an installer, which :meth:`stop` ends.

    Attributes:
      folder: A directory of its own.
      seconds: How long all of it may take.
    """

    folder: Path
    seconds: float
    requirements: Sequence[str]
    stopped: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a command to its end; blocks.

        Raises:
          PackagesFault: It failed, or took too long, or was stopped.
        """
        log = self.folder / "installer.log"
        with log.open("w+b") as told:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                env={**environment, "TMPDIR": str(self.folder)},
                cwd=self.folder,
                start_new_session=True,
            )
            try:
                self._await(process)
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if process.returncode:
            said = _CREDENTIALS.sub("://***@", log.read_text(encoding="utf-8", errors="replace"))
            raise judged(self.requirements, last_words(said), said)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
                return
            names = ", ".join(self.requirements)
            if self.stopped.is_set():
                raise PackagesFault(f"installing {names} was stopped", UNAVAILABLE)
            if time.monotonic() - self.began > self.seconds:
                why = f"not done within {self.seconds:g} s (packages.timeout_seconds)"
                raise PackagesFault(f"cannot install {names}: {why}", UNAVAILABLE)


class Installer(ABC):
    """Finds which wheels a set of requirements comes to, and unpacks them; both block."""

    name: str

    @abstractmethod
    def resolve(self, work: Work, sources: Sources) -> str:
        """The text of a lock: every package, with its version and the digests of its wheels.

        Raises:
          PackagesFault: There is no answer.
        """

    @abstractmethod
    def install(self, work: Work, sources: Sources, lock: Path, target: Path) -> None:
        """Unpack what ``lock`` names, and nothing else, into ``target``.

        Raises:
          PackagesFault: Something is not to be had, or is not what was locked.
        """


class Uv(Installer):
    """uv, which with ``--no-build`` runs nothing of what it finds."""

    name = "uv"

    def __init__(self, program: str) -> None:
        self._program = program

    def resolve(self, work: Work, sources: Sources) -> str:
        """See :meth:`Installer.resolve`."""
        wanted, lock = work.folder / "wanted.txt", work.folder / "lock.txt"
        wanted.write_text("\n".join(work.requirements) + "\n", encoding="utf-8")
        told = ["--generate-hashes", "--no-header", "--no-annotate", "--output-file", str(lock)]
        self._run(work, sources, "compile", [*told, str(wanted)])
        return lock.read_text(encoding="utf-8")

    def install(self, work: Work, sources: Sources, lock: Path, target: Path) -> None:
        """See :meth:`Installer.install`."""
        told = ["--no-deps", "--require-hashes", "--link-mode=copy", "--compile-bytecode"]
        self._run(work, sources, "install", [*told, "--target", str(target), "-r", str(lock)])

    def _run(self, work: Work, sources: Sources, verb: str, rest: Sequence[str]) -> None:
        common = ["--quiet", "--no-build", "--no-cache", "--python", sys.executable]
        work.run(
            [self._program, "pip", verb, *common, *sources.arguments(), *rest],
            {**sources.environment(), "UV_PYTHON_DOWNLOADS": "never"},
        )


class Pip(Installer):
    """The pip of our own Python, kept from starting anything."""

    name = "pip"

    def resolve(self, work: Work, sources: Sources) -> str:
        """See :meth:`Installer.resolve`."""
        report = work.folder / "report.json"
        told = ["--dry-run", "--ignore-installed", "--report", str(report)]
        self._run(work, sources, [*told, *work.requirements])
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
        return "".join(f"{line}\n" for line in sorted(map(_locked, found)))

    def install(self, work: Work, sources: Sources, lock: Path, target: Path) -> None:
        """See :meth:`Installer.install`."""
        told = ["--no-deps", "--require-hashes", "--target", str(target), "-r", str(lock)]
        self._run(work, sources, told)

    def _run(self, work: Work, sources: Sources, rest: Sequence[str]) -> None:
        common = ["--only-binary", ":all:", "--no-cache-dir", "--no-input", "--quiet"]
        common += ["--disable-pip-version-check", "--retries", "2"]
        runner = [sys.executable, "-I", str(without_builds.__file__), "install"]
        work.run([*runner, *common, *sources.arguments(), *rest], sources.environment())


def _locked(found: Mapping[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    about, origin = found["metadata"], found["download_info"]
    digest = origin.get("archive_info", {}).get("hashes", {}).get("sha256")
    if digest is None or origin.get("vcs_info") or found.get("is_direct"):
        why = f"{about['name']} is named by its address, and only wheels of an index are taken"
        raise PackagesFault(why, UNFIT)
    return f"{about['name']}=={about['version']} --hash=sha256:{digest}"


def last_words(said: str) -> str:
    """What an installer said it fails for, without its progress and its advertisements."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    faults = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if not faults:
        faults = [line for line in lines if not line.startswith(("WARNING", "[notice]", "hint:"))]
    return " ".join(faults[-6:])


def find_installer() -> Installer | None:
    """What is there to install with, or None."""
    beside = str(Path(sys.executable).parent)
    if program := shutil.which("uv", path=beside) or shutil.which("uv"):
        return Uv(program)
    return Pip() if importlib.util.find_spec("pip") else None
