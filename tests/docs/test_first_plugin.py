"""The tutorial's code is the example plugin's code, and its commands and links lead somewhere."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-plugin.md"
PAGES = [
    TUTORIAL,
    *(
        ROOT / "docs" / "howto" / name
        for name in ("write-a-bot-type.md", "write-a-notifier.md", "test-a-plugin.md")
    ),
    *(ROOT / "docs" / "reference" / name for name in ("hooks.md", "contracts.md")),
    ROOT / "docs" / "explanation" / "plugins.md",
]
QUOTED = re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)


def test_the_tutorial_quotes_the_example():
    assert len(QUOTED) >= 6


@pytest.mark.parametrize(("path", "code"), QUOTED, ids=range(len(QUOTED)))
def test_what_is_quoted_stands_in_the_file_word_for_word(path, code):
    assert code in (ROOT / path).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_pages_can_be_compiled(page):
    blocks = re.findall(r"(?<!-->\n)```python\n(.*?)```", page.read_text(), re.DOTALL)
    for block in blocks:
        compile(block, str(page), "exec")


def test_every_file_of_the_folder_in_the_tutorial_is_there():
    listed = re.findall(r"^  (\S+)$", TUTORIAL.read_text(), re.MULTILINE)
    folder = ROOT / "plugins" / "codex32-example"
    assert listed
    assert [name for name in listed if not (folder / name).exists()] == []


def test_the_bot_in_the_tutorial_is_yaml_that_uses_the_plugin():
    (text,) = re.findall(r"```yaml\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    assert [step["type"] for step in yaml.safe_load(text)["steps"]] == ["http", "feed"]
