"""All pages: links lead somewhere, bots are bots, commands are there, words have their place."""

import re
from pathlib import Path

import click
import pytest

from codex32.cli.main import cli, run
from codex32.engine.reading.definition import Reader
from codex32.kernel.plugins import Plugins

ROOT = Path(__file__).parents[2]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
PAGES = [*TOP, *sorted((ROOT / "changes").glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
BOT = re.compile(r"^(steps|type):", re.MULTILINE)
BOTS = [
    pytest.param(text, id=f"{name}:{number}")
    for name, page in TEXTS.items()
    for number, (_, text) in enumerate(BLOCK.findall(page))
    if BOT.search(text)
]


@pytest.fixture(scope="module")
def reader():
    return Reader(Plugins.load({}).components)


def headings(page):
    """The anchors of a page, made as GitHub makes them."""
    for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(name):
    prose = re.sub(r"^ *```.*?^ *```", "", TEXTS[name], flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / name).parent / target if target else ROOT / name
        if not path.exists() or (anchor and anchor not in headings(path.read_text())):
            broken.append(link)
    assert broken == []


def test_every_page_of_the_documents_is_reached_from_the_index():
    seen, left = set(), [ROOT / "docs" / "index.md"]
    while left:
        page = left.pop().resolve()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text())
        left += [page.parent / link for link in links if "://" not in link]
    assert [str(p) for p in sorted((ROOT / "docs").rglob("*.md")) if p.resolve() not in seen] == []


def test_there_are_bots_in_the_pages():
    assert len(BOTS) >= 6


@pytest.mark.parametrize("text", BOTS)
def test_every_bot_in_the_pages_is_one_that_would_be_taken(reader, text):
    reading = reader.read_text(text, default_name="page")
    assert [str(problem) for problem in reading.problems] == []
    assert len(reading.bots) == 1


def test_the_readme_begins_with_the_two_commands():
    first = re.search(r"```\n(.*?)```", TEXTS["README.md"], re.DOTALL)
    assert first is not None
    assert re.findall(r"^make (\w+)", first[1], re.MULTILINE) == ["run", "test"]


@pytest.mark.parametrize("name", TEXTS)
def test_every_word_behind_make_is_a_target(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?:^|`)make ([a-z]+)\b", TEXTS[name], re.MULTILINE))
    assert used <= targets


def commands(group, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_and_option_in_the_pages_is_one_that_is_there(name):
    known = dict(commands(cli))
    wrong = []
    for line in re.findall(r"(?:^ *|`|/)codex32 ([a-z][^`\n#|]*)", TEXTS[name], re.MULTILINE):
        words = line.split()
        path = tuple(words[:2]) if tuple(words[:2]) in known else tuple(words[:1])
        if path not in known:
            wrong.append(line)
            continue
        options = {opt for p in known[path].params for opt in (*p.opts, *p.secondary_opts)}
        used = {word for word in re.findall(r"(?<!\S)--[a-z-]+", line)}
        if not used <= options | {"--json", "--help"}:
            wrong.append(line)
    assert wrong == []


def test_the_glossary_bears_every_word_of_the_house_once():
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|", TEXTS["docs/reference/glossary.md"], re.MULTILINE)
    assert len(rows) == len(set(rows))
    needed = (
        "bot, version, step, bot type, execution, attempt, outcome, status, trigger, trigger type,"
        " schedule, occurrence, event, dispatcher, worker, message, scheduler, lease, provider,"
        " completion, embedder, vector store, notifier, secret reference, plugin, component,"
        " runtime"
    )
    assert set(needed.split(", ")) - set(rows) == set()


def test_every_fragment_is_named_by_issue_and_kind():
    names = [p.name for p in (ROOT / "changes").iterdir() if p.name != "README.md"]
    kinds = "added|changed|fixed|removed|security"
    assert [name for name in names if not re.fullmatch(rf"[a-z0-9-]+\.({kinds})\.md", name)] == []


def test_the_tests_of_bots_on_pages_pass(tmp_path, capfd):
    tested = [param.values[0] for param in BOTS if "\ntests:\n" in param.values[0]]
    assert tested
    for number, text in enumerate(tested):
        (tmp_path / f"bot{number}.yaml").write_text(text, encoding="utf-8")
    assert run(["test", str(tmp_path)]) == 0, capfd.readouterr().out
