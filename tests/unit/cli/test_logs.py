"""What services say: whole, about what, in both forms, and without a secret."""

import asyncio
import io
import json
import logging
import sys
import threading
from pathlib import Path

import pytest
import structlog

from codex32.cli import ecs, printed
from codex32.cli.logs import formatter, speak_as_set
from codex32.kernel import redaction
from codex32.kernel.masking import HandedOut, handed_out
from codex32.kernel.subject import Subject, subject
from codex32.kernel.tracing import TraceContext
from codex32_config.settings import load_settings

TEMPLATE = Path(__file__).parents[3] / "config" / "observability" / "index-template.json"
TRACE = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
ABOUT = Subject("acme", "reports", "exe_1", "req_1", TRACE)


@pytest.fixture
def about():
    token = subject.set(ABOUT)
    yield
    subject.reset(token)


@pytest.fixture
def say():
    """Say something in a form; the lines that come of it."""

    def say(form, talk):
        told = io.StringIO()
        handler = logging.StreamHandler(told)
        handler.setFormatter(ecs.PlainForm() if form == "plain" else formatter(form))
        logger = logging.getLogger("codex32.said_in_a_test")
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False
        try:
            talk(logger)
        finally:
            logger.removeHandler(handler)
        return told.getvalue().splitlines()

    return say


def fail(logger):
    try:
        raise ValueError("Bearer abcdefgh1234 was refused")
    except ValueError:
        logger.exception("it failed with %s", "100%")


def test_a_line_for_people_ends_with_what_it_is_about(say, about):
    [line] = say("text", lambda logger: logger.info("%d rows", 3))
    assert line == (
        "INFO codex32.said_in_a_test: 3 rows  [workspace=acme bot=reports execution=exe_1 "
        "request=req_1 trace=0af7651916cd43dd8448eb211c80319c]"
    )


def test_where_nothing_is_worked_on_the_line_is_as_short_as_before(say):
    assert say("text", lambda logger: logger.info("ready")) == [
        "INFO codex32.said_in_a_test: ready"
    ]


def test_a_line_for_elasticsearch_is_one_document_with_the_names_of_the_schema(say, about):
    [line] = say("ecs", fail)
    told = json.loads(line)
    assert told["message"] == "it failed with 100%"
    assert told["log.level"] == "error"
    assert told["log.logger"] == "codex32.said_in_a_test"
    assert told["@timestamp"].endswith("+00:00")
    assert told["codex32.execution.id"] == "exe_1"
    assert told["codex32.bot"] == "reports"
    assert told["codex32.workspace"] == "acme"
    assert told["http.request.id"] == "req_1"
    assert (told["trace.id"], told["span.id"]) == TRACE[:2]
    assert told["error.type"] == "ValueError"
    assert told["error.message"] == "Bearer *** was refused"
    assert "test_logs.py" in told["error.stack_trace"]
    assert "abcdefgh1234" not in line


def test_the_template_of_the_index_knows_every_field(say, about):
    [line] = say("ecs", fail)
    news = {"event.action": "died", "error.code": "internal", **ecs.fields({"file": "a.yaml"})}
    line = json.dumps(json.loads(line) | json.loads(ecs.line("it died", "warning", "house", news)))
    mapped = json.loads(TEMPLATE.read_text())["template"]["mappings"]["properties"]

    def known(path, properties):
        first, _, rest = path.partition(".")
        found = properties.get(first)
        return found is not None and (not rest or known(rest, found.get("properties", {})))

    assert [path for path in json.loads(line) if not known(path, mapped)] == []


def test_fields_that_a_plugin_adds_are_kept_by_either_logger(say):
    speak_as_set(load_settings(environ={}))
    structured = structlog.get_logger("codex32.said_in_a_test")
    for talk in (
        lambda logger: logger.info("sent", extra={"target": "ops"}),
        lambda logger: structured.info("sent", target="ops"),
    ):
        [line] = say("ecs", talk)
        assert json.loads(line)["labels"] == {"target": "ops"}
        assert say("text", talk) == ["INFO codex32.said_in_a_test: sent  [target=ops]"]


@pytest.mark.parametrize("form", ["text", "ecs"])
@pytest.mark.parametrize("secret", ["correct horse", 'a"quoted\\one', "two\nsecret-lines"])
def test_a_secret_that_was_handed_out_is_in_no_line(say, form, secret):
    handed_out.add(secret)

    def talk(logger):
        try:
            raise ValueError(f"cannot sign in with {secret}")
        except ValueError:
            logger.exception("tried %r, that is %s", secret, secret, extra={"given": secret})

    text = "\n".join(say(form, talk))
    for part in secret.splitlines():
        assert part not in text
    if form == "ecs":
        assert json.loads(text)["labels"] == {"given": "***"}


def test_the_secrets_of_the_settings_are_masked_by_value():
    overrides = {
        "api.token": "not-like-a-token",
        "plugins": {"mail": {"password": "pass-of-mail"}},
    }
    settings = load_settings(environ={}, overrides=overrides)
    assert {"not-like-a-token", "pass-of-mail"} <= set(settings.secret_values())
    speak_as_set(settings)
    assert handed_out.mask("not-like-a-token and pass-of-mail") == "*** and ***"


def test_of_many_secrets_the_latest_are_remembered_and_a_longer_one_leaves_nothing_behind():
    remembered = HandedOut(most=10)
    remembered.keep("of-the-settings")
    for number in range(25):
        remembered.add(f"secret-{number:04}")
        remembered.add("used-again-and-again")
    assert remembered.mask("of-the-settings, used-again-and-again") == "***, ***"
    remembered.add("secret-0024-and-more")
    assert remembered.mask("secret-0024-and-more, secret-0023") == "***, ***"
    assert remembered.mask("secret-0000") == "secret-0000"


async def test_what_runs_side_by_side_is_not_mixed_up(say):
    async def work(name, others):
        subject.set(Subject(bot=name))
        await others.wait()
        return subject.get().bot

    ready = asyncio.Event()
    tasks = [asyncio.create_task(work(name, ready)) for name in ("a", "b")]
    await asyncio.sleep(0)
    ready.set()
    assert await asyncio.gather(*tasks) == ["a", "b"]
    assert subject.get() == Subject()


MANY = {"workspace": "other", "bot": "one-of-many", "execution": "exe_2", "target": "ops"}


def test_who_speaks_of_many_in_turn_says_which_it_is(say, about):
    [line] = say("ecs", lambda logger: logger.info("its turn", extra=MANY))
    told = json.loads(line)
    assert (told["codex32.workspace"], told["codex32.bot"]) == ("other", "one-of-many")
    assert told["codex32.execution.id"] == "exe_2"
    assert told["http.request.id"] == "req_1"
    assert told["labels"] == {"target": "ops"}
    [text] = say("text", lambda logger: logger.info("its turn", extra=MANY))
    assert "workspace=other bot=one-of-many execution=exe_2 request=req_1" in text


def test_what_a_bot_says_forges_no_line_and_does_nothing_to_a_terminal(say):
    said = "done\nERROR codex32.engine: all is lost\x1b[2J\r"
    lines = say("text", lambda logger: logger.info("%s", said))
    assert lines == [
        "INFO codex32.said_in_a_test: done",
        "    ERROR codex32.engine: all is lost\\x1b[2J\\x0d",
    ]


def test_a_secret_of_several_lines_is_masked_in_a_line_for_people(say):
    handed_out.add("first-line-of-it\nsecond-line-of-it")
    lines = say("text", lambda logger: logger.info("<first-line-of-it\nsecond-line-of-it>"))
    assert lines == ["INFO codex32.said_in_a_test: <***>"]


def test_what_a_thread_dies_of_is_a_line_without_a_secret(say, monkeypatch, caplog):
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    for hook in ("unraisablehook", "excepthook"):
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    speak_as_set(load_settings(environ={}))

    def die():
        raise RuntimeError("Bearer abcdefgh1234 was refused")

    def talk(logger):
        with monkeypatch.context() as patched:
            patched.setattr(ecs, "log", logger)
            thread = threading.Thread(target=die, name="courier")
            thread.start()
            thread.join()

    try:
        [line] = say("ecs", talk)
    finally:
        logging.captureWarnings(False)
    told = json.loads(line)
    assert told["message"] == "the thread courier ended by a fault"
    assert told["error.type"] == "RuntimeError"
    assert "abcdefgh" not in line


class _Unspeakable:
    def __str__(self):
        raise ValueError(f"nothing to say of {SLIPPED}")


SLIPPED = "slipped-through-4711"


@pytest.mark.parametrize("form", ["text", "ecs", "plain"])
@pytest.mark.parametrize(
    "talk",
    [
        lambda logger: logger.warning("%d of %d", SLIPPED),
        lambda logger: logger.warning("of %s", _Unspeakable()),
        lambda logger: logger.warning("said", extra={"given": _Unspeakable()}),
        lambda logger: logger.warning("it broke", exc_info=ValueError(_Unspeakable())),
        lambda logger: logger.warning(_Unspeakable()),
    ],
)
def test_what_cannot_be_put_together_is_a_line_of_the_form_without_a_secret(
    say, capsys, monkeypatch, form, talk
):
    monkeypatch.setattr("codex32.kernel.redaction.handed_out", HandedOut())
    redaction.handed_out.keep(SLIPPED)
    lines = say(form, talk)
    assert lines
    if form != "text":
        (line,) = lines
        assert json.loads(line)["log.level"] == "warning"
    assert SLIPPED not in "".join(lines)
    assert capsys.readouterr().err == ""


def test_names_of_labels_are_masked_and_none_is_a_part_of_another(say, monkeypatch):
    monkeypatch.setattr("codex32.kernel.redaction.handed_out", HandedOut())
    redaction.handed_out.keep(SLIPPED)
    given = {"a": 1, "a.b": 2, SLIPPED: 3}
    (line,) = say("ecs", lambda logger: logger.warning("said", extra=given))
    assert json.loads(line)["labels"] == {"a": "1", "a_b": "2", "***": "3"}


def test_what_is_printed_past_the_log_holds_no_secret(monkeypatch):
    monkeypatch.setattr("codex32.cli.printed.handed_out", HandedOut())
    printed.handed_out.keep(SLIPPED)
    streams = {name: io.StringIO() for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    printed.mask_what_is_printed()
    printed.mask_what_is_printed()  # once is enough
    print("it is", SLIPPED)
    print(SLIPPED[:9], end="")
    other = threading.Thread(target=print, args=("another's",))
    other.start()
    other.join()
    print(SLIPPED[9:])
    print("in part", end="", file=sys.stderr)
    assert streams["stderr"].getvalue() == ""
    print("", end="", file=sys.stderr, flush=True)
    sys.stderr.writelines(["; ", "x" * 70_000])
    assert streams["stdout"].getvalue() == "it is ***\nanother's\n***\n"
    assert streams["stderr"].getvalue() == f"in part; {'x' * 70_000}"
    assert not sys.stdout.isatty()
