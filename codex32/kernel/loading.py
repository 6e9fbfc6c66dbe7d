"""Loading plugins so that a broken one is left out entirely and the rest works.

pluggy checks names and arguments. Finding, importing and judging is done here, because pluggy's
own loader stops at the first plugin that cannot be imported.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pluggy

from codex32.kernel import hookspecs
from codex32.kernel.components import KINDS, Components, Kind
from codex32.kernel.conformance import faults_of
from codex32.kernel.contracts.migration import MigrationSource
from codex32.kernel.discovery import Candidate
from codex32.kernel.errors import PluginContractError, PluginError, PluginLoadError
from codex32.kernel.hook_calls import HookCall, PluginRaised, of_plugin
from codex32.kernel.problems import Problem
from codex32.kernel.text import did_you_mean

_log = logging.getLogger("codex32.plugins")
#: Of what a plugin prints while it is loaded.
_MOST_PRINTED = 200


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What became of one plugin.

    Attributes:
      distribution: The distribution it came from; empty if it was handed in by hand.
      reason: Why it is not loaded; empty if it is.
      offers: Names by kind: ``{"bot_types": ("http", "set")}``.
      hooks: The hooks it implements.
    """

    name: str
    distribution: str
    version: str
    state: Literal["loaded", "failed", "blocked"]
    reason: str = ""
    offers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hooks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    """What one plugin brings; it counts only once all of it was found to be right."""

    hooks: dict[str, HookCall]
    offers: dict[str, dict[str, Any]] = field(default_factory=dict)
    migrations: list[MigrationSource] = field(default_factory=list)


class Loader:
    """Takes plugins in, one after the other; what it holds at the end is what is installed."""

    def __init__(self, configs: Mapping[str, Mapping[str, Any]], *, strict: bool) -> None:
        self.configs = configs
        self._strict = strict
        self._manager = pluggy.PluginManager("codex32")
        self._manager.add_hookspecs(hookspecs)
        self._specs = {name for name in dir(self._manager.hook) if not name.startswith("_")}
        self._owners: dict[tuple[str, str], str] = {}
        self._offers: dict[str, dict[str, Any]] = {kind.key: {} for kind in KINDS}
        self._hooks: list[HookCall] = []
        self.records: list[PluginRecord] = []
        self.migrations: list[tuple[str, MigrationSource]] = []

    @property
    def components(self) -> Components:
        """Everything the loaded plugins offer."""
        offered = {key: named.values() for key, named in self._offers.items()}
        return replace(Components.of(**offered), absent=self._absent())

    def _absent(self) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for record in self.records:
            plugin = record.name
            if record.state == "loaded":
                kinds = [kind for kind in KINDS if record.offers.get(kind.key) == ()]
                why = f"the plugin {plugin!r} offers it once its settings are there: "
                why += f"plugins.{plugin}, see its README"
            else:
                kinds, why = list(KINDS), f"the plugin {plugin!r} is left out; `codex32 plugins`"
                why += " says why"
            found.update({(kind.word, plugin): why for kind in kinds})
        return found

    def calls(self) -> dict[str, tuple[HookCall, ...]]:
        """Every hook's implementations, in the order they are called.

        That is the order of loading; ``tryfirst`` and ``trylast`` go before and behind.
        """

        def place(call: HookCall) -> tuple[bool, bool]:
            return not call.implementation.tryfirst, call.implementation.trylast

        return {
            spec: tuple(sorted((c for c in self._hooks if c.hook == spec), key=place))
            for spec in self._specs
        }

    def leave_out(
        self, candidate: Candidate, state: Literal["failed", "blocked"], reason: str
    ) -> None:
        """Record a plugin that is not loaded."""
        self.records.append(
            PluginRecord(candidate.name, candidate.distribution, candidate.version, state, reason)
        )

    def take(self, candidate: Candidate) -> None:
        """Import a plugin and take in all it brings, or nothing of it.

        Raises:
          PluginError: It failed, and loading is strict.
        """
        # Standard output belongs to the command, whose JSON other programs read.
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                draft = self._draft(candidate)
            self._keep(candidate, draft)
        except PluginError as error:
            if candidate.name not in {r.name for r in self.records if r.state == "loaded"}:
                self._manager.unregister(name=candidate.name)
            if self._strict:
                raise
            _log.warning("plugin %s is left out: %s", candidate.name, error.message)
            self.leave_out(candidate, "failed", error.message)
        finally:
            if told := " ".join(printed.getvalue().split()):
                _log.warning(
                    "plugin %s prints while it is loaded, which it should not: %s",
                    candidate.name,
                    told[:_MOST_PRINTED],
                )

    def _keep(self, candidate: Candidate, draft: _Draft) -> None:
        for key, named in draft.offers.items():
            self._offers[key].update(named)
            self._owners.update(dict.fromkeys(((key, name) for name in named), candidate.name))
        self._hooks.extend(draft.hooks.values())
        self.migrations.extend((candidate.name, source) for source in draft.migrations)
        self.records.append(
            PluginRecord(
                candidate.name,
                candidate.distribution,
                candidate.version,
                "loaded",
                offers={key: tuple(sorted(named)) for key, named in draft.offers.items()},
                hooks=tuple(sorted(draft.hooks)),
            )
        )

    def _draft(self, candidate: Candidate) -> _Draft:
        plugin = candidate.name
        for record in self.records:
            if record.name == plugin and record.state == "loaded":
                raise PluginContractError(
                    f"{record.distribution or 'another plugin'} already has a plugin of this "
                    "name; uninstall one of the two",
                    plugin=plugin,
                )
        config = self._config(plugin)
        draft = _Draft(self._hooks_of(plugin, _import(candidate)))
        if check := draft.hooks.get("check_config"):
            problems = _listed(check, Problem, config=copy.deepcopy(config))
            if problems:
                told = "; ".join(str(problem.under(f"plugins.{plugin}")) for problem in problems)
                raise PluginContractError(f"its settings have faults: {told}", plugin=plugin)
        for kind in KINDS:
            if register := draft.hooks.get(kind.hook):
                offered = _listed(register, config=copy.deepcopy(config))
                draft.offers[kind.key] = self._judged(plugin, kind, offered)
        if register := draft.hooks.get("register_migrations"):
            draft.migrations = _listed(register, MigrationSource)
        return draft

    def _config(self, plugin: str) -> Mapping[str, Any]:
        config = self.configs.get(plugin) or {}
        if not isinstance(config, Mapping):
            raise PluginContractError(
                f"plugins.{plugin} in the settings must be a table of names and values, "
                f"not {config!r}",
                plugin=plugin,
            )
        return dict(config)

    def _hooks_of(self, plugin: str, module: Any) -> dict[str, HookCall]:
        for attribute in dir(module):
            options = self._manager.parse_hookimpl_opts(module, attribute)
            if options is not None:
                name = options.get("specname") or attribute
                self._refuse_hook(plugin, name, getattr(module, attribute), dict(options))
        try:
            self._manager.register(module, plugin)
        except (pluggy.PluginValidationError, ValueError) as error:
            told = " ".join(str(error).split())
            raise PluginContractError(
                f"one of its hooks is wrong: {told}", plugin=plugin
            ) from error
        found = {
            spec: HookCall(plugin, spec, implementation)
            for spec in self._specs
            for implementation in getattr(self._manager.hook, spec).get_hookimpls()
            if implementation.plugin_name == plugin
        }
        if not found:
            raise PluginContractError(
                "it implements no hook; mark its functions with @hookimpl from codex32",
                plugin=plugin,
            )
        return found

    def _refuse_hook(self, plugin: str, name: str, function: Any, options: dict[str, Any]) -> None:
        fault = ""
        if name not in self._specs and not options.get("optionalhook"):
            fault = f"no hook is called {name!r}{did_you_mean(name, self._specs)}"
        elif options.get("wrapper") or options.get("hookwrapper"):
            fault = f"{name} is a pluggy wrapper; stand around steps with wrap_step instead"
        elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            fault = f"{name} is a coroutine; hooks are called, not awaited: drop 'async'"
        if fault:
            raise PluginContractError(fault, plugin=plugin)

    def _judged(self, plugin: str, kind: Kind, offered: Iterable[Any]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for component in offered:
            if faults := faults_of(kind, component):
                raise PluginContractError(f"{kind.hook}: {'; '.join(faults)}", plugin=plugin)
            name = getattr(component, kind.label)
            owner = plugin if name in named else self._owners.get((kind.key, name))
            if owner:
                raise PluginContractError(
                    f"{kind.hook}: the plugin {owner!r} already offers the {kind.word} {name!r}; "
                    f"{plugin!r} must give its own another name",
                    plugin=plugin,
                )
            named[name] = component
        return named


def _import(candidate: Candidate) -> Any:
    try:
        with of_plugin():
            return candidate.load()
    except PluginRaised as fault:
        source = f"; reinstall or remove {candidate.distribution}" * bool(candidate.distribution)
        raise PluginLoadError(
            f"it cannot be imported: {fault}{source}", plugin=candidate.name
        ) from fault.__cause__


def _listed(call: HookCall, wanted: type[Any] = object, **arguments: Any) -> list[Any]:
    try:
        with of_plugin():
            items = list(call(**arguments))
    except PluginRaised as fault:
        raise PluginContractError(
            f"{call.hook} must return an iterable and raise nothing; it failed with {fault}",
            plugin=call.plugin,
        ) from fault.__cause__
    for item in items:
        if not isinstance(item, wanted):
            raise PluginContractError(
                f"{call.hook} must give {wanted.__name__}, not {item!r}", plugin=call.plugin
            )
    return items


def checked(calls: Sequence[HookCall], **arguments: Any) -> list[Problem]:
    """What plugins object to; a plugin that cannot say becomes a problem itself."""
    problems: list[Problem] = []
    for call in calls:
        try:
            problems += _listed(call, Problem, **arguments)
        except PluginError as error:
            problems.append(Problem(f"the plugin {call.plugin!r}: {error.message}", code="plugin"))
    return problems
