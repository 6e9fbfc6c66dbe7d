"""A bot in plain words: what starts it, what it does, what it may, how it ends."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from codex32.kernel.bot import Bot, Step, Trigger
from codex32.kernel.components import Components
from codex32.kernel.json_values import JSON, dumps, loads
from codex32.kernel.text import format_duration
from codex32.services.explaining.wants import wants_of

#: Characters of a text that is repeated.
_LONGEST: Final = 80
_SILENCE: Final = {"reject": "refuses", "approve": "approves", "fail": "is a failure"}
_FULL: Final = {
    "queue": "each waits its turn",
    "skip": "none is done",
    "cancel_oldest": "the oldest is cancelled",
}
_CHANGED: Final = {"created": "created", "modified": "changed", "deleted": "deleted"}


@dataclass(frozen=True, slots=True)
class Words:
    """A bot, in sentences.

    Attributes:
      summary: What its author says, else what its steps are.
      starts: What starts it, a sentence each.
      needs: What it is given.
      does: Step by step: the id, and a sentence.
      ends: What comes of it, and what is done when it fails.
      may: What it may do beyond its own walls.
      limits: What holds it.
    """

    name: str
    summary: str
    starts: Sequence[str]
    needs: Sequence[str]
    does: Sequence[tuple[str, str]]
    ends: Sequence[str]
    may: Sequence[str]
    limits: Sequence[str]

    def as_dict(self) -> dict[str, JSON]:
        """Plain data for JSON."""
        told = {name: getattr(self, name) for name in self.__slots__}
        steps = [{"step": step, "text": text} for step, text in self.does]
        lists = {name: list(each) for name, each in told.items() if isinstance(each, Sequence)}
        return {**lists, "name": self.name, "summary": self.summary, "does": steps}

    def text(self) -> str:
        """For people to read."""
        lines = [f"{self.name}: {self.summary}"]
        numbered = [f"{number}. {text}" for number, (_, text) in enumerate(self.does, 1)]
        for title, each in (
            ("It starts", self.starts),
            ("It is given", self.needs),
            ("It does", numbered),
            ("In the end", self.ends),
            ("It may", self.may),
            ("It is held by", self.limits),
        ):
            if each:
                lines += ["", f"{title}:", *(f"  {line}" for line in each)]
        return "\n".join(lines)


def explain(bot: Bot, components: Components) -> Words:
    """What ``bot`` is; the same words for the same definition."""
    types = list(dict.fromkeys(step.type for step in bot.steps))
    return Words(
        bot.name,
        bot.description or f"does {_count(bot)}: {', '.join(types)}",
        list(_starts(bot)),
        list(_needs(bot)),
        list(_does(bot, components)),
        list(_ends(bot, components)),
        list(_may(bot)),
        list(_limits(bot)),
    )


# when


def _count(bot: Bot) -> str:
    return "1 step" if len(bot.steps) == 1 else f"{len(bot.steps)} steps"


def _starts(bot: Bot) -> Iterator[str]:
    if not bot.enabled:
        yield "never, as it is switched off; and switched on:"
    for trigger in bot.triggers:
        told = _trigger(trigger)
        if trigger.condition is not None:
            told += f", if {trigger.condition}"
        if trigger.dedupe is not None:
            told += f"; once for the same {_short(trigger.dedupe)}"
        yield told if trigger.enabled else f"not at present: {told}"
    yield "whenever somebody starts it by hand"


def _trigger(trigger: Trigger) -> str:
    config = trigger.config
    match trigger.kind, config:
        case "cron", str():
            return f"{_cron(config)} ({trigger.timezone})"
        case "every", _:
            return f"every {config}"
        case "at", _:
            return f"once, at {config}"
        case "webhook", Mapping():
            scheme = (config.get("auth") or {}).get("scheme", "none")
            signed = "that nobody signs" if scheme == "none" else f"signed as {scheme} does"
            return f"when a request comes to /hooks/…/{config.get('path')}, {signed}"
        case "event", _:
            name = config if isinstance(config, str) else config.get("name", dumps(config))
            return f"when the event {name} happens"
        case "file", Mapping():
            changes = [_CHANGED.get(each, each) for each in config.get("changes", _CHANGED)]
            glob = config.get("glob", "*")
            return f"when {glob} in {config.get('path')} is {' or '.join(changes)}"
        case "mail", _:
            return "when mail comes"
    return f"by {trigger.kind} {_short(config)}"


def _cron(text: str) -> str:
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    try:
        words = CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)).explain()
    except CronSimError:  # @daily and the like explain themselves
        return text
    return f"{words[:1].lower()}{words[1:]}"


# what


def _needs(bot: Bot) -> Iterator[str]:
    for name, schema in bot.inputs.items():
        kind = schema.get("type", "anything")
        kind = kind if isinstance(kind, str) else " or ".join(kind)
        given = f", {_short(schema['default'])} by default" if "default" in schema else ""
        said = f": {schema['description']}" if "description" in schema else ""
        yield f"{name} ({kind}{given}){said}"


def _does(bot: Bot, components: Components) -> Iterator[tuple[str, str]]:
    """Its steps; of one that does not simply come after the one above it, what it comes after."""
    before: str | None = None
    for step in bot.steps:
        text = _step(step, components)
        if step.needs_written and list(step.needs) != ([] if before is None else [before]):
            text = f"{_order(step)}: {text}"
        yield step.id, text
        before = step.id


def _order(step: Step) -> str:
    if not step.needs:
        return "at once, beside the others"
    return f"as soon as {' and '.join(step.needs)} {'are' if len(step.needs) > 1 else 'is'} done"


def _step(step: Step, components: Components) -> str:
    told = _WORDS.get(step.type)
    if told is not None:
        text = told(step.params)
    else:
        kind = components.bot_types.get(step.type)
        summary = (kind.summary if kind else "").rstrip(".")
        text = f"{step.type}: {summary[:1].lower()}{summary[1:]}" if summary else step.type
    if step.foreach is not None:
        text += f", for each of {_short(step.foreach)}"
        if step.parallel > 1:
            text += f", {step.parallel} at a time"
        if step.on_item_error == "collect":
            text += ", going on where one fails"
    if step.condition is not None:
        text = f"if {step.condition}: {text}"
    if step.retry is not None and step.retry.attempts > 1:
        text += f"; tried up to {step.retry.attempts} times"
    if step.timeout_seconds is not None:
        text += f"; for {format_duration(step.timeout_seconds)} at most"
    if step.on_error == "continue":
        text += "; whatever comes of it"
    return text


def _http(params: Mapping[str, Any]) -> str:
    method, url = str(params.get("method", "GET")), _short(params.get("url"))
    verb = "fetches" if method.upper() == "GET" else f"sends {method.upper()} to"
    return f"{verb} {url}"


def _python(params: Mapping[str, Any]) -> str:
    said = _docstring(params.get("code"))
    where = f" of {params['file']}" if "file" in params else ""
    return f"runs Python{where}{f': {said}' if said else ''}"


def _docstring(code: Any) -> str | None:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, TypeError, RecursionError):
        return None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "main":
            return _short((ast.get_docstring(node) or "").partition("\n")[0]) or None
    return None


def _asks(params: Mapping[str, Any]) -> str:
    words = params.get("prompt") or params.get("question") or "what was said before"
    others = params.get("fallback") or ()
    instead = f" (or {', '.join(map(str, others))})" if others else ""
    return f"asks {params.get('model')}{instead}: {_short(words)}"


def _agent(params: Mapping[str, Any]) -> str:
    tools = params.get("tools") or ()
    names = [str(each.get("name")) if isinstance(each, Mapping) else str(each) for each in tools]
    given = f" with the tools {', '.join(names)}" if names else ""
    return f"lets a model act on its own{given}: {_asks(params)}"


def _gather(params: Mapping[str, Any]) -> str:
    window = f", for {params['window']} from the first on" if "window" in params else ""
    quiet = params.get("quiet")
    hours = f", not between {quiet.replace('-', ' and ')}" if isinstance(quiet, str) else ""
    zone = f" ({params['timezone']})" if hours and "timezone" in params else ""
    told = f"gathers {_short(params.get('items'))} of all its executions{window}{hours}{zone}"
    return f"{told}, and goes on in one of them with all that came together"


def _notify(params: Mapping[str, Any]) -> str:
    target = f" {_short(params['target'])}" if "target" in params else ""
    return f"tells {params.get('to')}{target}: {_short(params.get('text') or params.get('title'))}"


def _set(params: Mapping[str, Any]) -> str:
    values, state = params.get("values") or {}, params.get("state") or {}
    parts = [f"works out {', '.join(values)}"] if values else []
    parts += [f"remembers {', '.join(state)}"] if state else []
    return " and ".join(parts) or "does nothing"


def _dedupe(params: Mapping[str, Any]) -> str:
    keep = f" in the last {params['keep']}" if "keep" in params else ""
    return f"keeps of {_short(params.get('items'))} what it has not seen{keep}"


def _end(params: Mapping[str, Any]) -> str:
    why = f": {_short(params['message'])}" if params.get("message") else ""
    return f"ends here as {params.get('status', 'succeeded')}{why}"


def _approve(params: Mapping[str, Any]) -> str:
    silence = _SILENCE[params.get("on_expire", "reject")]
    within = f" for {params['expires']} (silence {silence})" if "expires" in params else ""
    return f"asks people, and waits for their answer{within}: {_short(params.get('text'))}"


def _wait(params: Mapping[str, Any]) -> str:
    for key, words in (("for", "for"), ("until", "until"), ("event", "for the event")):
        if key in params:
            return f"waits {words} {_short(params[key])}"
    return "waits"


def _bot(params: Mapping[str, Any]) -> str:
    waits = " and waits for it" if params.get("wait", True) else ""
    return f"executes the bot {params.get('name')}{waits}"


def _sql(params: Mapping[str, Any]) -> str:
    verb = "writes to" if params.get("write") else "asks"
    return f"{verb} the database {params.get('connection')}: {_short(params.get('query'))}"


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "http": _http,
    "python": _python,
    "llm": _asks,
    "agent": _agent,
    "answer": lambda params: f"answers from {params.get('collection')}: {_asks(params)}",
    "index": lambda params: f"takes documents into the collection {params.get('collection')}",
    "retrieve": lambda params: (
        f"searches {params.get('collection')} for {_short(params.get('query'))}"
    ),
    "sql": _sql,
    "notify": _notify,
    "bot": _bot,
    "wait": _wait,
    "approve": _approve,
    "set": _set,
    "dedupe": _dedupe,
    "gather": _gather,
    "end": _end,
}


# how it ends, what it may, what holds it


def _ends(bot: Bot, components: Components) -> Iterator[str]:
    if bot.output is not None:
        yield f"its output is {_short(bot.output)}"
    for step in bot.on_failure:
        yield f"when it fails: {_step(step, components)}"
    for step in bot.finally_:
        yield f"however it ends: {_step(step, components)}"


def _may(bot: Bot) -> Iterator[str]:
    phrases = {
        "hosts": "speak to",
        "secrets": "use the secret",
        "models": "ask the model",
        "tools": "let a model use the tool",
        "bots": "execute the bot",
        "files": "reach the file",
        "packages": "import the package",
        "connections": "use the connection",
        "mcp": "use tools of the MCP server",
        "recipients": "tell",
    }
    for want in wants_of(bot):
        if want.kind in phrases:
            yield f"{phrases[want.kind]} {_plain(want.name)}"
        elif want.kind.startswith("spend_usd."):
            span = want.kind.partition(".")[2]
            yield f"spend {want.name} {'an' if span == 'execution' else 'a'} {span}"


def _plain(name: str) -> str:
    """An entry of ``allow``, which may be a mapping: ``in, mode read``."""
    try:
        value = loads(name) if name.startswith("{") else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return name
    first = next((key for key in ("path", "name") if key in value), None)
    rest = [f"{key} {_short(each)}" for key, each in value.items() if key != first]
    return ", ".join([str(value[first])] * (first is not None) + rest)


def _limits(bot: Bot) -> Iterator[str]:
    yield f"a limit of {format_duration(bot.timeout_seconds)} of running"
    if (most := bot.concurrency) is not None:
        full = _FULL[most.when_full]
        yield f"{most.limit} execution(s) at once{_each(most.key)}; of those beyond, {full}"
    if bot.rate is not None:
        per = format_duration(bot.rate.per_seconds)
        yield f"{bot.rate.limit} execution(s) in {per}{_each(bot.rate.key)}"
    if any(step.type == "agent" and step.params.get("tools") for step in bot.steps):
        yield (
            "a person, who is asked before a model that has read text of strangers changes "
            "anything, unless its tool says `writes: false`"
        )
    if bot.retry is not None:
        yield f"{bot.retry.attempts} tries of a step"
    tests = len(bot.tests)
    yield f"{tests} test(s)" if tests else "no test"


def _each(key: JSON) -> str:
    return "" if key is None else f" for each {_short(key)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else dumps(value)
    return textwrap.shorten(text, _LONGEST, placeholder=" …") or text[:_LONGEST]
