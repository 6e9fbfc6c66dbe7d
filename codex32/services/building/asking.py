"""What is asked of the person: little, and only where a wrong guess would hurt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from codex32.services.building.known import Known
from codex32.services.building.session import Question, Work
from codex32.services.building.specification import RISKS

#: Most questions that a session ever asks.
MOST: Final = 3
_LONGEST = 500
#: Ids of the house's own questions.
_OWN: Final = {"hosts": "host", "secrets": "credential", "recipients": "recipient"}
#: Who is asked for a credential may tell it.
_NEVER: Final = "(Values are never told here: codex32 secrets set NAME)"
#: Before these, where more of them come up when a draft is written.
_MORE: Final = "more_"
_YES = frozenset({"yes", "y", "all", "all of them"})
_NO = re.compile(
    r"\b(?:no|none|not|never|nobody|neither|nor|cannot|\w+n['\u2019]t|nein|nicht|nie(?:mals)?"
    r"|kein\w*|ohne|except|exclud\w+|without|but|avoid|skip|remove|drop|refuse|reject|instead|wrong"
    r"|other than|rather than)\b",
    re.IGNORECASE,
)
_ID = re.compile(r"[^a-z0-9_]+")


def questions_of(
    specification: Mapping[str, Any], known: Known, work: Work
) -> tuple[Question, ...]:
    """The questions of a session: the house's own first, then those of the model that count.

    Before them come those that were answered in the session that this one was branched from, if
    any; they are not asked again.

    Whatever the model asks beyond three is left to its assumptions, so that nobody is asked for
    ever; the house asks what the gate would refuse anyhow.
    """
    wanted, words = specification["integrations"], work.words
    own = [
        *_about("hosts", known.strange_hosts(wanted["hosts"], words)),
        *_about("secrets", known.strange_secrets(wanted["secrets"], words)),
        *_about("recipients", known.strange_recipients(wanted["recipients"], words)),
    ]
    theirs = (each for each in map(_question, specification["questions"]) if each is not None)
    before = {each.id: each for each in work.given}
    asked = {each.question for each in before.values()}
    found = dict(before)
    for each in own:
        found.setdefault(each.id, each)
    for each in theirs:
        if each.question not in asked:  # models number theirs, so one id may stand for two
            name = f"{each.id}_anew" if each.id in before else each.id
            found.setdefault(name, replace(each, id=name))
    return tuple(found.values())[:MOST]


def late_questions(work: Work, strange: Mapping[str, Sequence[str]]) -> tuple[Question, ...]:
    """What a draft brings up that names what nobody named; nothing where that is of no use.

    Args:
      work: With all that was asked before: nothing is asked twice, nor more than three in all.
      strange: ``hosts``, ``secrets`` and ``recipients`` that nobody named.
    """
    asked = {each.id for each in work.questions}
    told = {option for each in work.questions for option in each.options}
    if any(told.intersection(names) for names in strange.values()):
        return ()
    found = [
        replace(each, id=f"{_MORE}{name}" if name in asked else name, late=True)
        for name, names in strange.items()
        for each in _about(name, names)
    ]
    known = asked.intersection(each.id for each in found)
    return () if known or len(asked) + len(found) > MOST else tuple(found)


def settled(question: Question, answer: str) -> str:
    """An answer in words that say by themselves what is meant."""
    text = answer.strip()[:_LONGEST]
    if not question.options or question.id.removeprefix(_MORE) not in _OWN:
        return text
    if text.lower() in _YES:
        return ", ".join(question.options)
    if _NO.search(text):  # who says "not x" has not named x, nor who says "y, not x"
        for option in question.options:
            text = re.sub(re.escape(option), "that", text, flags=re.IGNORECASE)
    return text


def _about(name: str, strange: Sequence[str]) -> Iterable[Question]:
    if strange:
        risk = _OWN[name]
        ask = {
            "host": "You named no such host. Which of these may the bot speak to?",
            "credential": "Your workspace has no such secret yet. Which of these names shall the "
            f"bot use? {_NEVER}",
            "recipient": "You named no such recipient. Which of these may be told something?",
        }[risk]
        yield Question(name, risk, ask, "none of them", tuple(strange))


def _question(raw: Mapping[str, Any]) -> Question | None:
    """A question of the model, if it is one: about a risk, and with something that holds."""
    name = _ID.sub("_", raw["id"].lower()).strip("_")[:40]
    text, default = raw["question"].strip()[:_LONGEST], raw["default"].strip()[:_LONGEST]
    # A yes to one of these is a word for what it lists: the house asks them.
    if name.removeprefix(_MORE) in _OWN:
        return None
    if not name or not text or not default or raw["about"] not in RISKS:
        return None
    if raw["about"] == "credential":
        text = f"{text} {_NEVER}"
    options = tuple(each[:100] for each in raw["options"][:8])
    return Question(name, raw["about"], text, default, options)
