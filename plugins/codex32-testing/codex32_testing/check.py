"""``python -m codex32_testing.check``: an installed plugin held to the contracts it claims.

Reads ``{"plugin", "config", "live", "target"}`` as JSON from standard input and writes a report as
JSON. The tests of the conformance suites run that need nothing from the author and reach nothing
outside this process; ``live`` lets those run, too, that do.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from codex32 import EffectUnknown, Notification, Notifier, ProviderRejected
from codex32.kernel.discovery import HOUSE, Candidate, find
from codex32.kernel.errors import PluginError
from codex32.kernel.plugins import PluginRecord, Plugins
from codex32.kernel.text import did_you_mean
from codex32_testing import conformance
from codex32_testing.conformance.notifier import MADE_UP_TARGET, working_http
from codex32_testing.http import FakeHttp
from codex32_testing.imports import behind_the_face, weight

#: A test that wants to reach outside and waits this long for it is the last that waits: what is
#: left of its suite is skipped, since some clients go on for a minute.
_PATIENCE_SECONDS = 5.0
GROUP = "codex32"
_REACHES = "it reaches outside; run it with --live"
_SUITES = {
    "bot_types": ("BotTypeSuite", "bot_type"),
    "notifiers": ("NotifierSuite", "notifier"),
    "trigger_types": ("TriggerTypeSuite", "trigger_type"),
    "llm_providers": ("LLMProviderSuite", "provider"),
    "embedders": ("EmbedderSuite", "embedder"),
    "vector_stores": ("VectorStoreSuite", "vector_store"),
    "secret_stores": ("SecretStoreSuite", "secret_store"),
}
#: Tests that ask for what only the author knows: cases, a known secret, a store opened again.
_AUTHORS = (
    "there_are_cases",
    "good_params",
    "check_lets_expressions",
    "effect_is_known",
    "each_case",
    "there_are_configurations",
    "a_known_secret",
    "opened_again",
)


@dataclass(slots=True)
class Check:
    """One thing that was looked at: ``passed``, ``failed``, ``skipped`` or ``unchecked``, and why.

    What is ``unchecked`` ought to have been looked at, and could not: a setting is missing.
    """

    subject: str
    name: str
    status: str
    detail: str = ""


@dataclass(slots=True)
class Report:
    """What was found."""

    plugin: str
    distribution: str = ""
    version: str = ""
    checks: list[Check] = field(default_factory=list)

    def add(self, subject: str, name: str, faults: list[str]) -> None:
        """Note what was looked at; no faults means that it passed."""
        status = "failed" if faults else "passed"
        self.checks.append(Check(subject, name, status, "; ".join(faults)))

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(check.status != "failed" for check in self.checks)

    @property
    def exit_code(self) -> int:
        """1 where something failed, 4 where nothing did and not all could be looked at."""
        if not self.passed:
            return 1
        return 4 if any(check.status == "unchecked" for check in self.checks) else 0


class PluginNotInstalled(LookupError):
    """No installed plugin or distribution has this name."""


def check(
    plugin: str, config: Mapping[str, Any], *, live: bool = False, target: str = ""
) -> Report:
    """Look at one installed plugin.

    Args:
      plugin: Its name, or its distribution's if that has one plugin alone.
      config: Its table of settings.
      live: Whether tests may reach the services that it speaks to, which may cost money.
      target: Where a notifier may send to.

    Raises:
      PluginNotInstalled: There is none of this name.
    """
    candidate = _find(plugin)
    report = Report(candidate.name, candidate.distribution, candidate.version)
    module = next(p.value for p in entry_points(group=GROUP) if p.name == candidate.name)
    report.add("plugin", "it is quick to import and imports nothing heavy", weight(module))
    if candidate.distribution != HOUSE:
        report.add("plugin", "it uses the public face alone", behind_the_face(module))
    others = [each.name for each in find(GROUP, ()) if each.name != candidate.name]
    try:
        loaded = Plugins.load({candidate.name: dict(config)}, block=others, strict=True)
    except PluginError as error:
        report.add("plugin", "the house takes it", [error.message])
        return report
    report.add("plugin", "the house takes it", [])
    record = next(each for each in loaded.records if each.name == candidate.name)
    for kind, names in record.offers.items():
        for name in names:
            if kind in _SUITES:
                component = getattr(loaded.components, kind)[name]
                checks = _run_suite(kind, name, component, live=live, target=target)
                report.checks += _without_settings(checks, candidate.name)
    if not any(record.offers.values()):
        report.checks.append(_nothing_offered(record))
    return report


def _find(plugin: str) -> Candidate:
    wanted = plugin.lower().replace("_", "-")
    candidates = find(GROUP, ())
    found = [each for each in candidates if wanted == each.name]
    found = found or [each for each in candidates if wanted == each.distribution]
    if len(found) == 1:
        return found[0]
    names = [each.name for each in found or candidates]
    if found:
        raise PluginNotInstalled(f"{plugin} has several plugins; name one of {', '.join(names)}")
    raise PluginNotInstalled(
        f"no plugin {plugin!r} is installed here{did_you_mean(plugin, names)}; "
        "see: codex32 plugins"
    )


def _nothing_offered(record: PluginRecord) -> Check:
    name = "it keeps its contracts"
    if record.offers.keys() & _SUITES.keys():
        told = f"it offers nothing without settings; set plugins.{record.name}, see its README"
        return Check("plugin", name, "unchecked", told)
    return Check("plugin", name, "skipped", "nothing that it brings has a contract with tests")


def _without_settings(checks: list[Check], plugin: str) -> list[Check]:
    """One verdict instead of a failure a test, where the plugin itself asks for a setting."""
    asks = re.compile(rf"(?:[\w.]+: )?(.*\bplugins\.{re.escape(plugin)}\.\w.*)")
    asked = {check.detail: found[1] for check in checks if (found := asks.fullmatch(check.detail))}
    kept = [check for check in checks if check.detail not in asked]
    subject = checks[0].subject if checks else ""
    name = "it keeps its contract"
    told = [Check(subject, name, "unchecked", text) for text in dict.fromkeys(asked.values())]
    return told + kept


def _run_suite(kind: str, name: str, component: Any, *, live: bool, target: str) -> list[Check]:
    suite_name, fixture = _SUITES[kind]
    suite = getattr(conformance, suite_name)
    members: dict[str, Any] = {fixture: pytest.fixture(lambda self: component)}
    if kind == "trigger_types":
        members["valid"] = tuple(component.config_schema.get("examples", ()))
    if kind == "bot_types":
        members["wrong"] = ({"no such parameter": 1},)
    if kind == "llm_providers":
        members["model"] = next((model.name for model in component.models()), "")
    if kind in ("llm_providers", "embedders") and (secret := component.secret):
        # The service is not asked for its opinion of the stand-in: without live it is not reached.
        members["key"] = os.environ.get(secret) if live else "a stand-in for a key"
    if kind == "notifiers":
        members |= _stand_ins(component, target)
    module = type(sys)("codex32_checked")
    module.TestComponent = type("TestComponent", (suite,), members)  # type: ignore[attr-defined]
    run = _Run(module, f"{kind.removesuffix('s').replace('_', ' ')} {name}", live=live)
    left_out = " and ".join(f"not {word}" for word in _AUTHORS)
    # What else is installed beside pytest has no say in it, and takes seconds to load.
    options = ["-q", "--disable-plugin-autoload", "-p", "pytest_asyncio.plugin"]
    options += ["-p", "codex32_testing.pytest_plugin", "-p", "no:cacheprovider"]
    options += ["-c", "/dev/null", "-k", left_out]
    options += ["--rootdir", str(Path.cwd()), "-o", "asyncio_default_fixture_loop_scope=function"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pytest.main([*options, str(Path(__file__).with_name("checked_module.py"))], plugins=[run])
    return run.checks


def _stand_ins(notifier: Notifier, target: str) -> dict[str, Any]:
    """A target and a client, where the notifier takes those that the suite makes up."""
    asked = target or MADE_UP_TARGET

    @cache
    def attempt() -> tuple[FakeHttp, Exception | None]:
        http = working_http()
        sending = notifier.send(Notification("hello"), asked, http=http, timeout_seconds=5)
        try:
            asyncio.run(sending)
        except Exception as fault:
            return http, fault
        return http, None

    def aimed(_: Any) -> str:
        http, fault = attempt()
        if isinstance(fault, ProviderRejected) and not http.requests:
            pytest.skip("it takes targets of another form; name one with --target")
        return asked

    def working(_: Any) -> FakeHttp:
        if isinstance(attempt()[1], EffectUnknown):
            pytest.skip("its author alone knows what its service answers")
        return working_http()

    return {
        "target": pytest.fixture(aimed),
        "working_http": pytest.fixture(working),
        # One that sent, or failed, without asking for anything speaks another protocol.
        "speaks_http": property(lambda _: bool(attempt()[0].requests)),
    }


class _Run:
    """What pytest is told: which module it collects, and that nothing is reached outside."""

    def __init__(self, module: Any, subject: str, *, live: bool) -> None:
        self.checks: list[Check] = []
        self._module, self._subject, self._live = module, subject, live
        self._reached = ""
        self._waited = False

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> Any:
        """Collect the suite that was made, in the place of the file's own module."""
        made = pytest.Module.from_parent(parent, path=module_path)
        made._getobj = lambda: self._module  # type: ignore[method-assign]
        return made

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """Refuse connections while a test runs, and remember that one was wanted."""
        self._reached = ""
        if self._live:
            return (yield)
        began = time.monotonic()
        real = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
        socket.socket.connect = self._refuse  # type: ignore[method-assign]
        socket.socket.connect_ex = self._refuse  # type: ignore[method-assign]
        socket.getaddrinfo = self._refuse
        try:
            return (yield)
        finally:
            socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = real  # type: ignore[method-assign]
            if self._reached and time.monotonic() - began > _PATIENCE_SECONDS:
                self._waited = True

    def pytest_runtest_setup(self) -> None:
        """Let no later test wait as one did."""
        if self._waited:
            self._reached = _REACHES
            pytest.skip(_REACHES)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        self._reached = _REACHES
        raise ConnectionRefusedError("no connections while a plugin is checked")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what came of a test."""
        if report.when != "call" and report.outcome == "passed":
            return
        status, detail = report.outcome, ""
        if status == "failed":
            lines = str(report.longrepr).splitlines()
            detail = next((line[2:].strip() for line in lines if line.startswith("E ")), "")
        if status == "skipped" and isinstance(report.longrepr, tuple):
            detail = report.longrepr[2].removeprefix("Skipped: ")
        if status != "passed" and self._reached:
            status, detail = "skipped", self._reached
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        self.checks.append(Check(self._subject, name, status, detail))


def main() -> int:
    """Check what standard input names; for the exit code, see :class:`Report`."""
    asked = json.load(sys.stdin)
    began = time.monotonic()
    try:
        # What a plugin prints does not belong into the report.
        with contextlib.redirect_stdout(sys.stderr):
            report = check(asked.pop("plugin"), asked.pop("config"), **asked)
    except PluginNotInstalled as error:
        json.dump({"error": str(error)}, sys.stdout)
        return 2
    told = {**asdict(report), "passed": report.passed, "exit_code": report.exit_code}
    json.dump({**told, "seconds": time.monotonic() - began}, sys.stdout)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
