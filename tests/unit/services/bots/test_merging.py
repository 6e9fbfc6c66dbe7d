"""Three-way merges of bot files: a person's edits and comments stay, conflicts are named."""

from __future__ import annotations

import pytest

from codex32.engine.reading.document import read_documents
from codex32.kernel.errors import BotInvalid
from codex32.services.bots.merging import merge

BASE = """\
# What this is for.
name: digest
description: Posts news
# Whom it may speak to.
allow: {hosts: [example.com]}
steps:
  # The feed comes first.
  - id: fetch
    type: http
    with: {url: "https://example.com/feed"}

  # Only what is new.
  - id: fresh
    type: dedupe
    with:
      items: "${{ steps.fetch.output.body }}"
      keep: 30d
  - id: post
    type: notify
    with: {to: log, text: hello}
output: "${{ steps.fresh.output }}"
"""


def value(text):
    (document,) = read_documents(text)
    return document.value


def step(text, name):
    return next(each for each in value(text)["steps"] if each["id"] == name)


def test_what_was_proposed_goes_into_what_was_edited_and_comments_stay():
    mine = BASE.replace("Posts news", "Posts news to the team").replace(
        "  # Only what is new.", "  # Only what is new, says Ada."
    )
    theirs = BASE.replace("keep: 30d", "keep: 7d").replace(
        "  - id: post", "  # VIPs are left out.\n  - id: vips\n    type: set\n  - id: post"
    )
    merged = merge(BASE, mine, theirs)
    assert merged.conflicts == []
    assert merged.text == (
        mine.replace("keep: 30d", "keep: 7d").replace(
            "  - id: post", "  # VIPs are left out.\n  - id: vips\n    type: set\n  - id: post"
        )
    )


def test_what_only_one_side_changed_is_theirs_whole():
    mine = BASE.replace("hello", "good morning")
    assert merge(BASE, mine, BASE).text == mine
    assert merge(BASE, BASE, mine).text == mine
    assert merge(BASE, mine, mine).text == mine


def test_what_both_changed_is_a_conflict_and_the_persons_stays():
    mine = BASE.replace("keep: 30d", "keep: 1d").replace("hello", "mine")
    theirs = BASE.replace("keep: 30d", "keep: 7d").replace("Posts news", "Tells news")
    merged = merge(BASE, mine, theirs)
    (conflict,) = merged.conflicts
    assert conflict.as_dict() == {
        "path": "steps.fresh.with.keep",
        "base": "30d",
        "mine": "1d",
        "theirs": "7d",
    }
    assert merged.text == mine.replace("Posts news", "Tells news")


def test_both_may_change_the_same_line_in_different_keys():
    mine = BASE.replace("{to: log, text: hello}", "{to: log, text: mine}")
    theirs = BASE.replace("{to: log, text: hello}", "{to: log, text: hello, title: News}")
    merged = merge(BASE, mine, theirs)
    assert merged.conflicts == []
    assert step(merged.text, "post")["with"] == {"to": "log", "text": "mine", "title": "News"}
    assert "# Only what is new." in merged.text


def test_steps_are_removed_and_moved_with_their_comments():
    mine = BASE.replace("hello", "mine")
    without = BASE.replace(
        "  # The feed comes first.\n  - id: fetch\n    type: http\n    with: {url: "
        '"https://example.com/feed"}\n\n',
        "",
    )
    merged = merge(BASE, mine, without)
    assert [each["id"] for each in value(merged.text)["steps"]] == ["fresh", "post"]
    assert "# The feed comes first." not in merged.text
    assert "# Only what is new.\n  - id: fresh" in merged.text
    head, tail = BASE.split("  # Only what is new.\n")
    fresh, post = tail.split("  - id: post")
    post, output = post.split("output:")
    moved = f"{head}  - id: post{post}  # Only what is new.\n{fresh}output:{output}"
    merged = merge(BASE, mine, moved)
    assert merged.conflicts == []
    assert [each["id"] for each in value(merged.text)["steps"]] == ["fetch", "post", "fresh"]
    assert "# Only what is new.\n  - id: fresh" in merged.text
    assert step(merged.text, "post")["with"]["text"] == "mine"


def test_what_one_changed_and_the_other_removed_is_a_conflict():
    without = BASE.replace(
        "  - id: post\n    type: notify\n    with: {to: log, text: hello}\n", ""
    )
    merged = merge(BASE, BASE.replace("hello", "mine"), without)
    assert [each.path for each in merged.conflicts] == ["steps.post"]
    assert merged.conflicts[0].theirs is None
    assert step(merged.text, "post")["with"]["text"] == "mine"


def test_a_bot_written_in_another_hand_is_merged_by_value():
    theirs = (
        "name: digest\ndescription: Posts news\n"
        "allow: {hosts: [example.com, example.org]}\n"
        'steps: [{id: fetch, type: http, with: {url: "https://example.com/feed"}}, {id: fresh, '
        'type: dedupe, with: {items: "${{ steps.fetch.output.body }}", keep: 30d}}, {id: post, '
        'type: notify, with: {to: log, text: hello}}]\noutput: "${{ steps.fresh.output }}"\n'
    )
    mine = BASE.replace("hello", "mine")
    merged = merge(BASE, mine, theirs)
    assert merged.conflicts == []
    assert value(merged.text)["allow"] == {"hosts": ["example.com", "example.org"]}
    assert "# The feed comes first." in merged.text
    assert "# Whom it may speak to." in merged.text


@pytest.mark.parametrize("text", ["", "a: [", "- a", "a: 1\n---\nb: 2\n"])
def test_what_is_no_bot_is_refused(text):
    with pytest.raises(BotInvalid):
        merge(BASE, text, BASE)


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        ("hello}", "hi}", 'with: {to: log, text: hi}  # "#" is no channel\n'),
        (
            "with: {to: log, text: hello}",
            "with:\n      to: log\n      text: hi",
            'with:  # "#" is no channel\n      to: log\n      text: hi\n',
        ),
    ],
    ids=["one line", "several"],
)
def test_a_comment_behind_what_is_changed_stays(old, new, merged):
    mine = BASE.replace("hello}", 'hello}  # "#" is no channel')
    assert merged in merge(BASE, mine, BASE.replace(old, new)).text


def test_a_comment_stands_above_where_what_takes_the_place_cannot_have_one_behind():
    mine = BASE.replace("Posts news", "Posts news  # for Ada")
    theirs = BASE.replace("Posts news", '"Posts news\n  and more"')
    merged = merge(BASE, mine, theirs).text
    assert '# for Ada\ndescription: "Posts news\n  and more"\n' in merged


def test_what_stays_in_a_conflict_stays_as_it_was_written():
    hosts = "allow: {hosts: [example.com, ada.example]}  # both are ours"
    mine = BASE.replace("allow: {hosts: [example.com]}", hosts)
    theirs = BASE.replace("[example.com]", "[example.com, bob.example]")
    merged = merge(BASE, mine, theirs)
    assert [each.path for each in merged.conflicts] == ["allow.hosts"]
    assert merged.text == mine
