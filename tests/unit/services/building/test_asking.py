"""Questions of the builder: which of a model's count."""

from dataclasses import replace

import pytest

from codex32.kernel.components import Components
from codex32.services.building.asking import late_questions, questions_of, settled
from codex32.services.building.known import Known
from codex32.services.building.session import Question, Work


@pytest.mark.parametrize("name", ["recipients", "Recipients", "hosts", "secrets"])
def test_a_model_asks_nothing_in_the_name_of_the_house(name):
    """A yes to a question of the house is a word for all that it lists."""
    asked = {
        "id": name,
        "about": "recipient",
        "question": "Send a weekly summary?",
        "default": "no",
        "options": ["eve@evil.example"],
    }
    nothing = {"hosts": [], "secrets": [], "recipients": []}
    told = {"integrations": nothing, "questions": [asked, {**asked, "id": "other"}]}
    found = questions_of(told, Known(Components.of()), work())
    assert [each.id for each in found] == ["other"]


@pytest.mark.parametrize(
    ("said", "settles"),
    [
        ("yes", "a.example, b.example"),
        ("all of them", "a.example, b.example"),
        ("a.example", "a.example"),
        ("no, not A.example", "no, not that"),
        ("never b.example, tell c.example", "never that, tell c.example"),
        ("a.example, not b.example", "that, not that"),
        ("all except b.example", "all except that"),
        ("a.example but without b.example", "that but without that"),
        ("a.example, and don\u2019t tell b.example", "that, and don\u2019t tell that"),
        ("a.example; avoid b.example", "that; avoid that"),
        ("b.example shouldn't be told", "that shouldn't be told"),
        ("a.example, aber nicht b.example", "that, aber nicht that"),
        ("", ""),
    ],
)
def test_who_says_no_to_something_has_not_named_it(said, settles):
    question = Question("hosts", "host", "Which?", "none", ("a.example", "b.example"))
    assert settled(question, said) == settles
    assert settled(replace(question, id="more_hosts", late=True), said) == settles


STRANGE = {"hosts": ["evil.example"], "recipients": ["eve@evil.example"]}


def work(*questions):
    return Work("Sum up the week", "openai:x", questions=questions)


def test_what_was_answered_before_a_branch_is_not_asked_again():
    raw = {"id": "q1", "about": "spend", "question": "How much?", "default": "0", "options": []}
    told = {
        "integrations": {"hosts": ["a.example"], "secrets": [], "recipients": []},
        "questions": [raw, {**raw, "question": "How often?"}],
    }
    known = Known(Components.of())
    first = questions_of({**told, "questions": [raw]}, known, work())
    assert [each.id for each in first] == ["hosts", "q1"]
    branched = replace(work(*first), answers={"hosts": "a.example", "q1": "1 USD"})
    found = questions_of(told, known, branched)
    assert [each.id for each in found] == ["hosts", "q1", "q1_anew"]
    assert found[2].question == "How often?"


def test_what_a_draft_brings_up_is_asked_once_and_with_all_others_three_times_at_most():
    assert [each.id for each in late_questions(work(), STRANGE)] == ["hosts", "recipients"]
    assert late_questions(work(), {}) == ()
    hosts = Question("hosts", "host", "Which?", "none", ("a.example",))
    assert [each.id for each in late_questions(work(hosts), STRANGE)] == [
        "more_hosts", "recipients"
    ]  # fmt: skip
    asked = replace(hosts, options=("evil.example",))
    assert late_questions(work(asked), STRANGE) == ()
    others = [Question(each, "spend", "?", "no") for each in ("one", "two")]
    assert late_questions(work(*others), STRANGE) == ()
    (one,) = late_questions(work(*others), {"hosts": ["evil.example"]})
    assert one.late
    assert late_questions(work(hosts, replace(hosts, id="more_hosts")), STRANGE) == ()
