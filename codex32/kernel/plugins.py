"""The plugins of a process: every hook as a typed method. No other module touches pluggy.

How each hook is called and what happens when it raises stands in ``hookspecs.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codex32.kernel.bot import Bot
from codex32.kernel.contracts.migration import MigrationSource
from codex32.kernel.contracts.route import Route
from codex32.kernel.discovery import find, refusal
from codex32.kernel.events import Event
from codex32.kernel.hook_calls import HookCall, PluginRaised, of_plugin
from codex32.kernel.hookspecs import ProcessInfo, RetryDecision, StepCall
from codex32.kernel.loading import Loader, PluginRecord, checked
from codex32.kernel.outcomes import Failed
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean
from codex32.kernel.views import StepInfo

if TYPE_CHECKING:
    import click

__all__ = ["PluginRecord", "Plugins"]

_log = logging.getLogger("codex32.plugins")


class Plugins:
    """What is installed, and the way to speak to it.

    Attributes:
      components: Everything the loaded plugins offer.
      listening: Whether any plugin wants events; :meth:`tell` costs nothing where none does.
    """

    def __init__(self, loader: Loader) -> None:
        self.components = loader.components
        self._records = loader.records
        self._migrations = tuple(loader.migrations)
        self._calls = loader.calls()
        self._configs = loader.configs
        self.listening = bool(self._calls["on_event"])

    @classmethod
    def load(
        cls,
        configs: Mapping[str, Mapping[str, Any]],
        *,
        allow: Sequence[str] | None = None,
        block: Sequence[str] = (),
        strict: bool = False,
        group: str = "codex32",
        extra: Sequence[tuple[str, Any]] = (),
    ) -> Plugins:
        """Find, import and judge all plugins; one that fails is left out entirely and listed.

        Args:
          configs: Each plugin's own table of settings, by the plugin's name.
          allow: Distributions, as ``name`` or ``name==version``; others are not even imported.
            None allows all. The house's own plugins need no permission.
          block: Names of plugins or distributions that are not imported.
          strict: Raise at the first plugin that fails.
          group: The entry-point group that is searched.
          extra: More plugins, as name and module (or the module's name).

        Raises:
          PluginError: A plugin failed and ``strict`` is set.
        """
        loader = Loader(configs, strict=strict)
        for candidate in find(group, extra):
            if reason := refusal(candidate, allow, block):
                loader.leave_out(candidate, "blocked", reason)
            else:
                loader.take(candidate)
        return cls(loader)

    @property
    def records(self) -> Sequence[PluginRecord]:
        """What became of each plugin that was found, in the order of loading."""
        return tuple(self._records)

    def migrations(self) -> Sequence[tuple[str, MigrationSource]]:
        """The plugins' own tables, each with the plugin's name."""
        return self._migrations

    def check_config(self, configs: Mapping[str, Mapping[str, Any]]) -> Sequence[Problem]:
        """Faults of the plugins' settings, with paths such as ``plugins.slack.channel``."""
        names = {record.name for record in self._records}
        problems = [
            Problem(f"no plugin is called {name!r}{did_you_mean(name, names)}", f"plugins.{name}")
            for name in configs
            if name not in names
        ]
        for call in self._calls["check_config"]:
            found = checked([call], config=dict(configs.get(call.plugin) or {}))
            problems += [problem.under(f"plugins.{call.plugin}") for problem in found]
        return problems

    def check_bot(self, bot: Bot) -> Sequence[Problem]:
        """What plugins object to in a bot; any problem refuses it."""
        return checked(self._calls["check_bot"], bot=bot)

    def decide_retry(self, bot: str, step: StepInfo, outcome: Failed) -> RetryDecision | None:
        """The first plugin's answer; None where every plugin leaves it to the bot file."""
        for call in self._calls["decide_retry"]:
            answer = self._ask(call, bot=bot, step=step, outcome=outcome)
            if isinstance(answer, RetryDecision):
                return answer
            if answer is not None:
                self._note(call, f"it answered {answer!r}, which is no RetryDecision")
        return None

    def wrap_step(self, call: StepCall) -> StepCall:
        """``call`` with every plugin around it, the first plugin innermost.

        A plugin whose hook raises, or gives back nothing that can be called, stands aside and
        is listed as failed.
        """
        for wrap in self._calls["wrap_step"]:
            try:
                with of_plugin():
                    wrapped = wrap(call=call)
            except PluginRaised as fault:
                self._fail(wrap, str(fault))
                continue
            if callable(wrapped):
                call = wrapped
            else:
                self._fail(wrap, f"it must return a call, not {wrapped!r}")
        return call

    def tell(self, event: Event) -> None:
        """Tell every plugin that listens; called after the commit, not on the event loop."""
        if self.listening:
            for call in self._calls["on_event"]:
                self._ask(call, event=event)

    def process_started(self, process: ProcessInfo) -> None:
        """Tell every plugin that this process is ready."""
        for call in self._calls["on_process_started"]:
            self._ask(call, process=process)

    def process_stopping(self, process: ProcessInfo) -> None:
        """Tell every plugin that this process is about to end, the last loaded first."""
        for call in reversed(self._calls["on_process_stopping"]):
            self._ask(call, process=process)

    def api_routes(self) -> Sequence[tuple[str, Route]]:
        """The plugins' routes, each with the plugin's name; asked for by the API alone.

        A plugin that raises has no routes and is listed as failed.
        """
        found: list[tuple[str, Route]] = []
        for call in self._calls["register_api_routes"]:
            try:
                with of_plugin():
                    routes = list(call(config=dict(self._configs.get(call.plugin) or {})))
            except PluginRaised as fault:
                self._fail(call, str(fault))
                continue
            if strangers := [route for route in routes if not isinstance(route, Route)]:
                self._fail(call, f"{strangers[0]!r} is no Route")
            else:
                found += [(call.plugin, route) for route in routes]
        return found

    def cli_commands(self, cli: click.Group) -> None:
        """Let plugins add commands; one that raises or takes a command's place adds nothing."""
        for call in self._calls["register_cli_commands"]:
            before = dict(cli.commands)
            try:
                with of_plugin():
                    call(cli=cli)
            except PluginRaised as raised:
                fault = str(raised)
            else:
                taken = [name for name in before if cli.commands.get(name) is not before[name]]
                fault = f"the command {taken[0]!r} is there already" if taken else ""
            if fault:
                cli.commands = before
                self._fail(call, fault)

    def _ask(self, call: HookCall, **arguments: Any) -> Any:
        try:
            with of_plugin():
                return call(**arguments)
        except PluginRaised as fault:
            self._note(call, str(fault), fault.__cause__)
        return None

    def _note(self, call: HookCall, fault: str, error: BaseException | None = None) -> None:
        _log.error("plugin %s: %s: %s", call.plugin, call.hook, fault, exc_info=error)

    def _fail(self, call: HookCall, fault: str) -> None:
        self._note(call, fault)
        for place, record in enumerate(self._records):
            if record.name == call.plugin and record.state == "loaded":
                reason = f"{call.hook}: {fault}"
                self._records[place] = replace(record, state="failed", reason=reason)
