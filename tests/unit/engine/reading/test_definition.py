"""Reading whole bot files: what a good one becomes."""

import pytest

from codex32.engine.reading.definition import Reader
from codex32.kernel.bot import Concurrency, Rate, Retry
from codex32.kernel.errors import BotInvalid
from codex32.kernel.problems import Problem

SHORT = 'type: fetch\nwith: {url: "https://example.com"}\ntriggers: [{every: 5m}]\n'


@pytest.fixture
def bot(reader, full_text):
    reading = reader.read_text(full_text)
    assert reading.problems == []
    return reading.bots[0]


def test_every_key_of_a_full_file_arrives(bot):
    assert (bot.name, bot.priority, bot.timeout_seconds) == ("release-digest", 5, 600.0)
    assert bot.retry == Retry(3, 1.0, 2.0, 300.0)
    assert bot.rate == Rate(10, 60.0)
    assert bot.concurrency == Concurrency(1, "${{ inputs.pages }}", "queue", 100)
    assert bot.allow.secrets == ("TOKEN",)
    assert bot.allow.memory_bytes == 64 * 1024**2
    assert [(t.kind, t.timezone, t.on_missed) for t in bot.triggers] == [
        ("cron", "Europe/Berlin", "last"),
        ("webhook", "UTC", "skip"),
    ]
    assert bot.triggers[1].condition == "trigger.body.action == 'published'"
    assert bot.steps[3].timeout_seconds == 5.0
    assert bot.steps[1].retry == Retry(2)
    assert bot.on_failure[0].id == "tell"
    assert bot.finally_[0].id == "bye"


def test_a_step_needs_the_one_above_it_unless_it_says_otherwise(bot):
    assert [(step.id, step.needs) for step in bot.steps] == [
        ("pages", ()),
        ("entries", ("pages",)),
        ("fresh", ("entries",)),
        ("other", ()),
        ("stop", ("fresh", "other")),
    ]


def test_a_condition_is_kept_bare(bot):
    assert bot.steps[4].condition == "size(steps.fresh.output) == 0"


def test_a_bot_with_one_step_may_leave_out_steps(reader):
    bot = reader.read_text(SHORT, default_name="ping").only_bot()
    assert bot.name == "ping"
    assert [(step.id, step.type, step.needs) for step in bot.steps] == [("main", "fetch", ())]
    assert bot.output == "${{ steps.main.output }}"


def test_a_stored_document_gives_the_same_bot(reader, bot):
    assert reader.from_document(bot.document) == bot
    assert reader.check_document(bot.document).only_bot() == bot


def test_a_stored_document_whose_bot_type_has_gone_names_it(reader, bot, components):
    other = Reader(type(components).of(trigger_types=components.trigger_types.values()))
    with pytest.raises(BotInvalid, match="'fetch' is not installed"):
        other.from_document(bot.document)


def test_several_documents_are_several_bots_and_a_broken_one_harms_no_other(reader):
    text = f"name: one\n{SHORT}---\nname: two\ntype: nope\n---\nname: three\n{SHORT}"
    reading = reader.read_text(text, file="many.yaml")
    assert [(each.name, each.bot is None) for each in reading.documents] == [
        ("one", False),
        ("two", True),
        ("three", False),
    ]
    assert [problem.line for problem in reading.problems] == [7]


def test_of_several_bots_each_must_say_its_name_and_no_name_twice(reader):
    reading = reader.read_text(
        f"{SHORT}---\nname: a\n{SHORT}---\nname: a\n{SHORT}", default_name="x"
    )
    assert [problem.message[:16] for problem in reading.problems] == [
        "'name' is missin",
        "two bots of this",
    ]


def test_a_file_that_holds_nothing_says_so(reader):
    for text in ("", "# only words\n", "---\n"):
        assert [problem.code for problem in reader.read_text(text).problems] == ["empty"]


def test_plugins_may_object(components, full_text):
    def no_labels(bot):
        yield Problem("labels are not wanted", path="labels.team", code="policy")

    reading = Reader(components, [no_labels]).read_text(full_text, file="f.yaml")
    assert [str(problem) for problem in reading.problems] == [
        "f.yaml:3:16: labels.team: labels are not wanted"
    ]
    assert reading.bots == []


def test_a_body_is_checked_like_a_file_without_places(reader):
    reading = reader.check_document({"name": "a", "steps": [{"id": "x", "type": "nope"}]})
    assert [(p.path, p.line) for p in reading.problems] == [("steps.0.type", 0)]
    assert (
        reader.check_document({"name": {1, 2}})
        .problems[0]
        .message.startswith("a definition is JSON")
    )


def test_yaml_means_what_version_1_2_says(reader):
    listed = "on, yes, 1:30, 010, 2026-01-01, 0o10, 0x1F, ~, true, .5, 1e3, +3"
    text = f'type: script\nname: y\nwith: {{code: "def main(): 0", args: {{a: [{listed}]}}}}\n'
    bot = reader.read_text(text).only_bot()
    assert bot.steps[0].params["args"]["a"] == [
        *("on", "yes", "1:30", "010", "2026-01-01"),
        *(8, 31, None, True, 0.5, 1000.0, 3),
    ]  # fmt: skip


# files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "work.py").write_text("def main(): return 1\n")
    (tmp_path / "bot.yaml").write_text("type: script\nwith: {file: lib/work.py}\n")
    return tmp_path


def test_the_text_of_a_named_file_is_part_of_the_version(reader, folder):
    reading = reader.read_path(folder / "bot.yaml")
    bot = reading.only_bot()
    assert bot.name == "bot"
    assert bot.document["with"] == {"file": "lib/work.py", "code": "def main(): return 1\n"}
    assert reading.dependencies == ("lib/work.py",)
    assert reader.from_document(bot.document).steps[0].params["code"].startswith("def main")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../secret.py", "below the bot file's folder"),
        ("/etc/passwd", "below the bot file's folder"),
        ("lib\\\\work.py", "below the bot file's folder"),
        ("link.py", "outside the bot file's folder"),
        ("missing.py", "there is no such file"),
        ("lib", "there is no such file"),
        ("large.py", "more than 256 KiB"),
        ("binary.py", "not UTF-8"),
        ("${{ bot.name }}", "no place for expressions"),
    ],
)
def test_a_file_that_cannot_or_must_not_be_read_is_refused(reader, folder, name, told):
    (folder.parent / "outside.py").write_text("def main(): 0")
    (folder / "link.py").symlink_to(folder.parent / "outside.py")
    (folder / "large.py").write_text("#" * (256 * 1024 + 1))
    (folder / "binary.py").write_bytes(b"\xff")
    (folder / "bot.yaml").write_text(f'type: script\nwith: {{file: "{name}"}}\n')
    (problem,) = reader.read_path(folder / "bot.yaml").problems
    assert told in problem.message
    assert (problem.path, problem.line, problem.column) == ("with.file", 2, 14)


def test_a_file_that_is_missing_is_a_dependency_all_the_same(reader, folder):
    (folder / "lib" / "work.py").unlink()
    assert reader.read_path(folder / "bot.yaml").dependencies == ("lib/work.py",)


def test_a_file_beside_code_or_in_a_body_is_refused(reader, folder):
    (folder / "bot.yaml").write_text(
        'type: script\nwith: {file: lib/work.py, code: "def main(): 0"}\n'
    )
    assert "not both" in reader.read_path(folder / "bot.yaml").problems[0].message
    body = {"name": "a", "type": "script", "with": {"file": "lib/work.py"}}
    assert "in bot files only" in reader.check_document(body).problems[0].message


def test_a_path_that_cannot_be_read_is_a_problem_and_no_crash(reader, tmp_path):
    (problem,) = reader.read_path(tmp_path / "gone.yaml").problems
    assert problem.code == "unreadable"
