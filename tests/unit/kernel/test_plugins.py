"""A broken plugin is named and left out entirely; the rest works."""

import asyncio
import logging
import signal
import sys
from datetime import UTC, datetime

import click
import pytest

from codex32 import Failed, Problem, RetryDecision, StepInfo
from codex32.kernel.bot import Bot, Step
from codex32.kernel.errors import ComponentNotFound, PluginContractError, PluginLoadError
from codex32.kernel.events import BotChanged
from codex32.kernel.hookspecs import ProcessInfo
from codex32.kernel.plugins import Plugins

BOT = Bot("ping", steps=(Step("main", "http"),), document={})
STEP = StepInfo("main", "http", 1, "key")
EVENT = BotChanged(at=datetime(2026, 1, 1, tzinfo=UTC), bot="ping", change="changed", version=1)
REGISTER = "@hookimpl\ndef register_bot_types(config): "


def load(configs=None, **options):
    return Plugins.load(configs or {}, **{"group": "codex32_shelf", **options})


def only(plugins):
    (record,) = plugins.records
    return record


def test_a_plugin_is_listed_with_where_it_came_from_and_what_it_offers(shelf, shout):
    shelf.install(shout + REGISTER + "yield Shout()", "loud", version="1.2.3")
    plugins = load()
    record = only(plugins)
    assert (record.name, record.distribution, record.version) == ("loud", "codex32-loud", "1.2.3")
    assert (record.state, record.reason) == ("loaded", "")
    assert record.offers == {"bot_types": ("shout",)}
    assert record.hooks == ("register_bot_types",)
    assert plugins.components.bot_type("shout").name == "shout"


BROKEN = {
    "a missing import": (
        "import no_such_sdk",
        "ModuleNotFoundError: No module named 'no_such_sdk'",
    ),
    "a syntax error": ("def x(:", "SyntaxError"),
    "an exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "a panic": ("class Panic(BaseException): pass\nraise Panic('core')", "Panic: core"),
    "no hooks": ("x = 1", "it implements no hook; mark its functions with @hookimpl"),
    "a misspelt hook": (
        "{shout}@hookimpl\ndef register_bot_type(config): yield Shout()",
        "no hook is called 'register_bot_type' (did you mean 'register_bot_types'?)",
    ),
    "a wrong argument": (
        "{shout}@hookimpl\ndef register_bot_types(settings): yield Shout()",
        "settings",
    ),
    "an async hook": (
        "{shout}@hookimpl\nasync def register_bot_types(config): return [Shout()]",
        "register_bot_types is a coroutine; hooks are called, not awaited: drop 'async'",
    ),
    "a wrapper": (
        "{shout}@hookimpl(wrapper=True)\ndef on_event(event): yield",
        "on_event is a pluggy wrapper",
    ),
    "a hook that raises": ("{shout}{register}raise ValueError('boo')", "ValueError: boo ("),
    "a hook that exits": ("{shout}{register}raise SystemExit('bye')", "SystemExit: bye"),
    "a generator that raises": ("{shout}{register}yield Shout(); 1 / 0", "ZeroDivisionError"),
    "a single component": ("{shout}{register}return Shout()", "'Shout' object is not iterable"),
    "nothing": ("{shout}{register}return None", "'NoneType' object is not iterable"),
    "a stranger": ("{shout}{register}yield 3", "3 is no BotType"),
    "a class": ("{shout}{register}yield Shout", "Shout is a class; offer an instance: Shout()"),
    "an abstract class": (
        "{shout}class Half(BotType): name = 'half'\n{register}yield Half()",
        "Can't instantiate abstract class Half",
    ),
    "no name": ("{shout}class X(Shout): name = None\n{register}yield X()", "X.name is None"),
    "an ill-formed name": (
        "{shout}class X(Shout): name = 'Big Noise'\n{register}yield X()",
        "X.name is 'Big Noise'",
    ),
    "no schema": (
        "{shout}class X(Shout): params_schema = 'text'\n{register}yield X()",
        "X.params_schema must be a JSON Schema written as a dict, not str",
    ),
    "a schema of a list": (
        "{shout}class X(Shout): params_schema = dict(type='array')\n{register}yield X()",
        "X.params_schema must describe an object",
    ),
    "a schema that is none": (
        "{shout}class X(Shout): params_schema = dict(type='object', "
        "properties=dict(a=dict(type='txt')))\n{register}yield X()",
        "X.params_schema is no valid JSON Schema: Unknown type",
    ),
    "a schema from the network": (
        "{shout}class X(Shout): output_schema = {{'$ref': 'https://example.com/s.json'}}\n"
        "{register}yield X()",
        "it refers to https://example.com/s.json; write the schema in place",
    ),
    "a plain run": (
        "{shout}class X(Shout):\n def run(self, context, params): return 1\n{register}yield X()",
        "X.run must be written with 'async def'",
    ),
    "a run of nothing": (
        "{shout}class X(Shout):\n async def run(self): return 1\n{register}yield X()",
        "X.run must take context, params",
    ),
    "an awaited effect": (
        "{shout}class X(Shout):\n async def effect(self, params): ...\n{register}yield X()",
        "X.effect must not be a coroutine",
    ),
    "the same name twice": (
        "{shout}{register}return [Shout(), Shout()]",
        "already offers the bot type 'shout'",
    ),
    "a migration that is none": (
        "{shout}@hookimpl\ndef register_migrations(): return ['0001.py']",
        "register_migrations must give MigrationSource, not '0001.py'",
    ),
    "settings it refuses": (
        "{shout}from codex32 import Problem\n@hookimpl\ndef check_config(config):\n"
        " return [Problem('a token is needed', 'token')]",
        "its settings have faults: plugins.under_test.token: a token is needed",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_with_its_fault_and_its_neighbour_works(
    shelf, shout, source, reason
):
    # Its good component comes first, so that a half registered plugin would be seen.
    shelf.install(source.format(shout=shout, register=REGISTER))
    neighbour = shout.replace('"shout"', '"whisper"')
    shelf.install(neighbour + REGISTER + "yield Shout()", "neighbour")
    plugins = load()
    broken = next(record for record in plugins.records if record.name == "under_test")
    assert broken.state == "failed"
    assert reason in broken.reason
    assert broken.offers == {}
    assert list(plugins.components.bot_types) == ["whisper"]
    assert not plugins.listening
    assert plugins.migrations() == ()


def test_what_a_failing_plugin_offered_before_it_failed_is_left_out_too(shelf, shout):
    shelf.install(
        shout
        + REGISTER
        + "yield Shout()\n@hookimpl\ndef on_event(event): 1 / 0\n"
        + "@hookimpl\ndef register_notifiers(config): raise OSError('no key')"
    )
    plugins = load()
    assert "no key" in only(plugins).reason
    assert dict(plugins.components.bot_types) == {}
    assert not plugins.listening


@pytest.mark.parametrize("state", ["loaded", "failed"])
def test_what_a_plugin_prints_stays_out_of_the_output_and_names_it(
    shelf, shout, capsys, caplog, state
):
    """The output is a command's, and programs read it as JSON."""
    body = "print('hook'); return [Shout()]" if state == "loaded" else "print('hook'); return 3"
    hook = "@hookimpl\ndef register_bot_types(config):\n    "
    shelf.install("print('module')\n" + shout + hook + body)
    plugins = load()
    assert only(plugins).state == state
    assert capsys.readouterr().out == ""
    (told,) = [each for each in caplog.messages if "prints" in each]
    assert "under_test prints while it is loaded" in told
    assert told.endswith("module hook")


@pytest.mark.parametrize(
    ("source", "error"), [("import no_such_sdk", PluginLoadError), ("x = 1", PluginContractError)]
)
def test_strict_loading_raises(shelf, source, error):
    shelf.install(source)
    with pytest.raises(error) as raised:
        load(strict=True)
    assert raised.value.plugin == "under_test"


def test_the_second_plugin_that_offers_a_name_is_left_out(shelf, shout):
    shelf.install(shout + REGISTER + "yield Shout()", "aaa")
    shelf.install(shout + REGISTER + "yield Shout()", "bbb")
    first, second = load().records
    assert (first.name, first.state) == ("aaa", "loaded")
    assert second.state == "failed"
    assert "the plugin 'aaa' already offers the bot type 'shout'" in second.reason
    assert "'bbb' must give its own another name" in second.reason


def test_the_house_wins_over_a_stranger_who_takes_its_names(shelf, shout):
    source = shout.replace('"shout"', '"http"') + REGISTER + "yield Shout()"
    shelf.install(source, "aaa", group="codex32")
    shelf.install(source, "builtin", distribution="aaa-evil", group="codex32")
    plugins = load(group="codex32")
    states = {(r.name, r.distribution): r.state for r in plugins.records}
    assert plugins.records[0].distribution == "codex32"
    assert states["builtin", "codex32"] == "loaded"
    assert states["aaa", "codex32-aaa"] == "failed"
    assert states["builtin", "aaa-evil"] == "failed"
    assert type(plugins.components.bot_type("http")).__module__.startswith("codex32.builtin")


@pytest.mark.parametrize(
    ("allow", "block", "state", "reason"),
    [
        (["codex32-under-test"], [], "loaded", ""),
        (["Codex32_Under.Test==1.0"], [], "loaded", ""),
        (["codex32-under-test==2.0"], [], "blocked", "version 1.0 is installed, allowed is 2.0"),
        ([], [], "blocked", "codex32-under-test is not on the list of allowed plugins"),
        (None, ["under_test"], "blocked", "it is on the list of blocked plugins"),
        (None, ["codex32-under-test"], "blocked", "it is on the list of blocked plugins"),
    ],
)
def test_what_is_not_allowed_is_not_even_imported(shelf, shout, allow, block, state, reason):
    module = shelf.install(shout + REGISTER + "yield Shout()", distribution="codex32-under-test")
    record = only(load(allow=allow, block=block))
    assert record.state == state
    assert reason in record.reason
    assert (module in sys.modules) is (state == "loaded")


@pytest.mark.parametrize("metadata", [None, "", "Metadata-Version: 2.1\n"])
def test_broken_metadata_neither_stops_the_process_nor_passes_the_list(shelf, shout, metadata):
    shelf.install(shout + REGISTER + "yield Shout()")
    (file,) = shelf.folder.glob("*.dist-info/METADATA")
    if metadata is None:
        file.unlink()
    else:
        file.write_text(metadata)
    assert only(load()).state == "loaded"
    assert only(load(allow=["codex32-under-test"])).state == "blocked"


def test_an_entry_point_that_is_no_module_is_named(shelf, shout):
    shelf.install(shout)
    (file,) = shelf.folder.glob("*.dist-info/entry_points.txt")
    file.write_text("[codex32_shelf]\nunder_test = not a module!\n")
    assert "it cannot be imported" in only(load()).reason


def test_an_allow_list_never_shuts_out_the_house():
    plugins = load(group="codex32", allow=[])
    house = {r.name: r.state for r in plugins.records if r.distribution == "codex32"}
    assert house == dict.fromkeys(["api", "builtin", "outside", "workers"], "loaded")
    assert {r.state for r in plugins.records if r.distribution != "codex32"} <= {"blocked"}


def test_a_plugin_sees_its_own_settings_and_no_other(shelf, shout):
    shelf.install(
        shout + "seen = []\n" + REGISTER + "seen.append(config); config['x'] = 1; return []",
        "mine",
    )
    configs = {"mine": {"key": "a"}, "other": {"key": "b"}}
    plugins = load(configs)
    (name,) = [name for name in sys.modules if name.startswith("shelf_module_")]
    assert only(plugins).state == "loaded"
    assert sys.modules[name].seen == [{"key": "a", "x": 1}]
    assert configs["mine"] == {"key": "a"}


def test_settings_that_are_no_table_leave_the_plugin_out(shelf, shout):
    shelf.install(shout + REGISTER + "return []", "mine")
    assert "plugins.mine in the settings must be a table" in only(load({"mine": "x"})).reason


def test_what_a_plugin_would_offer_is_told_with_what_is_in_its_way(shelf, shout):
    shelf.install(shout + REGISTER + "return [Shout()] if config else []", "shout")
    with pytest.raises(ComponentNotFound, match=r"once its settings are there: plugins\.shout"):
        load().components.bot_type("shout")
    assert load({"shout": {"loud": True}}).components.bot_type("shout")
    with pytest.raises(ComponentNotFound, match=r"'shout' is left out; `codex32 plugins` says"):
        load({"shout": 3}).components.bot_type("shout")
    with pytest.raises(ComponentNotFound, match="no notifier is called 'shout'; installed: none"):
        load().components.notifier("shout")


def test_settings_of_a_plugin_that_is_not_there_are_named(shelf, shout):
    shelf.install(shout + REGISTER + "return []", "slack")
    (problem,) = load().check_config({"slak": {}, "slack": {}})
    assert str(problem) == "plugins.slak: no plugin is called 'slak' (did you mean 'slack'?)"


def test_new_settings_are_put_to_the_plugins_they_belong_to():
    def check_config(config):
        return [Problem("a token is no number", "token")] if config.get("token") == 3 else []

    plugins = with_hooks({"check_config": check_config}, {"on_event": lambda: None})
    assert plugins.check_config({"p0": {"token": "t"}, "p1": {}}) == []
    (problem,) = plugins.check_config({"p0": {"token": 3}})
    assert str(problem) == "plugins.p0.token: a token is no number"


CTRL_C = "import signal, time; signal.raise_signal(signal.SIGINT); time.sleep(5)"


@pytest.fixture
def interruptible():
    """Who is started in the background, as by a script with an ampersand, ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("source", [CTRL_C, "{register}" + CTRL_C])
def test_a_person_who_interrupts_is_not_taken_for_a_broken_plugin(shelf, shout, source):
    shelf.install(shout + source.format(register=REGISTER))
    with pytest.raises(KeyboardInterrupt):
        load()


@pytest.mark.usefixtures("interruptible")
def test_a_person_may_interrupt_a_hook_at_any_time():
    def slow(event):
        exec(CTRL_C)

    with pytest.raises(KeyboardInterrupt):
        with_hooks({"on_event": slow}).tell(EVENT)


def test_a_plugin_may_be_handed_in_by_the_name_of_its_module(shelf, shout):
    module = shelf.install(shout + REGISTER + "yield Shout()")
    plugins = load(extra=[("by_hand", module)], block=["under_test"], allow=[])
    assert [(r.name, r.state) for r in plugins.records] == [
        ("by_hand", "loaded"),
        ("under_test", "blocked"),
    ]


class Listener:
    """Hooks in an object; pluggy takes anything with marked attributes."""

    def __init__(self, **hooks):
        from codex32 import hookimpl

        for name, function in hooks.items():
            setattr(self, name, hookimpl(function))


def with_hooks(*plugins):
    extra = [(f"p{number}", Listener(**hooks)) for number, hooks in enumerate(plugins)]
    return load(extra=extra)


def test_every_listener_is_told_even_if_one_raises(caplog):
    told = []

    def broken(event):
        raise ValueError("deaf")

    plugins = with_hooks({"on_event": broken}, {"on_event": lambda event: told.append(event)})
    assert plugins.listening
    with caplog.at_level(logging.ERROR):
        plugins.tell(EVENT)
    assert told == [EVENT]
    assert "plugin p0: on_event: ValueError: deaf" in caplog.text


class Odd(BaseException):
    """What some library of a plugin may raise."""


ODD = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Odd]


@pytest.mark.parametrize("odd", ODD)
def test_a_plugin_that_raises_odd_things_does_not_end_the_process(caplog, odd):
    def leave():
        raise odd("bye")

    names = ["on_event", "decide_retry", "on_process_started", "on_process_stopping",
             "wrap_step", "register_api_routes", "register_cli_commands"]  # fmt: skip
    plugins = with_hooks(dict.fromkeys(names, leave))
    plugins.tell(EVENT)
    assert plugins.decide_retry("ping", STEP, Failed("x")) is None
    plugins.process_started(ProcessInfo("worker", "w1", 7))
    plugins.process_stopping(ProcessInfo("worker", "w1", 7))
    assert plugins.wrap_step(print) is print
    assert plugins.api_routes() == []
    plugins.cli_commands(click.Group())
    for name in names:
        assert f"plugin p0: {name}: {odd.__name__}: bye" in caplog.text


@pytest.mark.parametrize("odd", ODD)
def test_a_plugin_that_raises_odd_things_while_it_loads_is_left_out(odd):
    def leave():
        raise odd("bye")

    plugins = with_hooks({"register_bot_types": leave}, {"check_bot": leave})
    assert [record.state for record in plugins.records] == ["failed", "loaded"]
    assert f"{odd.__name__}: bye" in plugins.records[0].reason
    (problem,) = plugins.check_bot(None)
    assert f"{odd.__name__}: bye" in problem.message


def test_processes_are_told_of_in_order_and_back():
    told = []
    hooks = [
        {
            "on_process_started": lambda n=number: told.append(("start", n)),
            "on_process_stopping": lambda n=number: told.append(("stop", n)),
        }
        for number in range(2)
    ]
    plugins = with_hooks(*hooks)
    process = ProcessInfo("worker", "w1", 7)
    plugins.process_started(process)
    plugins.process_stopping(process)
    assert told == [("start", 0), ("start", 1), ("stop", 1), ("stop", 0)]


def test_the_first_plugin_that_answers_decides():
    plugins = with_hooks(
        {"decide_retry": lambda bot, step, outcome: None},
        {"decide_retry": lambda outcome: RetryDecision(True, 2.0)},
        {"decide_retry": lambda: RetryDecision(False)},
    )
    assert plugins.decide_retry("ping", STEP, Failed("x")) == RetryDecision(True, 2.0)


def test_a_decision_that_raises_or_is_none_is_read_as_none(caplog):
    def broken(outcome):
        raise KeyError("x")

    plugins = with_hooks({"decide_retry": broken}, {"decide_retry": lambda: "yes"})
    assert plugins.decide_retry("ping", STEP, Failed("x")) is None
    assert "plugin p0: decide_retry: KeyError" in caplog.text
    assert "plugin p1: decide_retry: it answered 'yes'" in caplog.text


def test_tryfirst_and_trylast_order_plugins():
    from codex32 import hookimpl

    late, early = Listener(), Listener()
    late.decide_retry = hookimpl(trylast=True)(lambda: RetryDecision(True, 1.0))
    early.decide_retry = hookimpl(tryfirst=True)(lambda: RetryDecision(True, 2.0))
    plugins = load(extra=[("a", late), ("z", early)])
    assert plugins.decide_retry("ping", STEP, Failed("x")).delay_seconds == 2.0


def test_objections_of_all_plugins_are_gathered():
    plugins = with_hooks(
        {"check_bot": lambda bot: [Problem(f"{bot.name} is too loud", "name")]},
        {"check_bot": lambda bot: []},
        {"check_bot": lambda: [Problem("not on Fridays")]},
    )
    assert [p.message for p in plugins.check_bot(BOT)] == ["ping is too loud", "not on Fridays"]


@pytest.mark.parametrize("answer", [["loud"], None, 3])
def test_a_check_that_gives_no_problems_refuses_and_names_the_plugin(answer):
    (problem,) = with_hooks({"check_bot": lambda bot: answer}).check_bot(BOT)
    assert "the plugin 'p0'" in problem.message
    assert problem.code == "plugin"


def test_a_check_that_raises_refuses_and_names_the_plugin():
    def broken(bot):
        raise OSError("policy server is down")

    (problem,) = with_hooks({"check_bot": broken}).check_bot(BOT)
    assert "the plugin 'p0'" in problem.message
    assert "policy server is down" in problem.message


def test_the_first_plugin_stands_innermost():
    order = []

    def around(name):
        def wrap_step(call):
            async def wrapped(bot_type, context, params):
                order.append(name)
                return await call(bot_type, context, params)

            return wrapped

        return {"wrap_step": wrap_step}

    async def call(bot_type, context, params):
        order.append("step")
        return params

    wrapped = with_hooks(around("first"), around("second")).wrap_step(call)
    assert asyncio.run(wrapped(None, None, {"a": 1})) == {"a": 1}
    assert order == ["second", "first", "step"]


def test_a_plugin_that_cannot_stand_around_stands_aside():
    def broken(call):
        raise ValueError("no")

    async def call(bot_type, context, params): ...

    plugins = with_hooks({"wrap_step": broken}, {"wrap_step": lambda call: None})
    assert plugins.wrap_step(call) is call
    assert [r.state for r in plugins.records] == ["failed", "failed"]
    assert "wrap_step: ValueError: no" in plugins.records[0].reason
    assert "it must return a call, not None" in plugins.records[1].reason


async def answer(request): ...


def test_routes_come_with_their_plugins_name():
    from codex32 import Route

    route = Route("GET", "/x", "x.get", "bots.read", answer)

    def broken():
        raise OSError("no")

    plugins = with_hooks(
        {"register_api_routes": lambda config: [route]},
        {"register_api_routes": broken},
        {"register_api_routes": lambda: ["/x"]},
    )
    assert list(plugins.api_routes()) == [("p0", route)]
    assert [r.state for r in plugins.records] == ["loaded", "failed", "failed"]


def test_commands_are_added_whole_or_not_at_all():
    import click

    cli = click.Group(commands={"run": click.Command("run")})
    run = cli.commands["run"]

    def good(cli):
        cli.add_command(click.Command("weather"))

    def half(cli):
        cli.add_command(click.Command("half"))
        raise ValueError("no")

    def thief(cli):
        cli.add_command(click.Command("run"))

    plugins = with_hooks(*({"register_cli_commands": hook} for hook in (good, half, thief)))
    plugins.cli_commands(cli)
    assert sorted(cli.commands) == ["run", "weather"]
    assert cli.commands["run"] is run
    assert [r.state for r in plugins.records] == ["loaded", "failed", "failed"]
    assert "the command 'run' is there already" in plugins.records[2].reason


def test_migrations_come_with_their_plugins_name(tmp_path):
    from codex32 import MigrationSource

    source = MigrationSource("mine", tmp_path)
    assert with_hooks({"register_migrations": lambda: [source]}).migrations() == (("p0", source),)


def test_calls_are_traced_when_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("CODEX32_TRACE_PLUGINS", "1")
    with_hooks({"on_event": lambda event: None}).tell(EVENT)
    assert "plugin p0: on_event 0." in capsys.readouterr().err


def test_nothing_is_told_where_nobody_listens():
    plugins = with_hooks({"check_bot": lambda bot: []})
    assert not plugins.listening
    plugins.tell(EVENT)
