"""Sessions: one works on each, nothing is lost, and whoever comes late is told."""

from dataclasses import replace
from functools import partial

import pytest

from codex32.kernel.caller import Caller
from codex32.kernel.errors import BotNotFound
from codex32.kernel.json_values import loads
from codex32.kernel.safe_rows import AuditRow
from codex32.services.building import sessions
from codex32.services.building.faults import AnswersInvalid, BuildConflict, BuildNotFound
from codex32.services.building.session import Question
from codex32.services.building.sessions import Order

ANN = Caller("user", "usr_1", "ann", workspace="default", permissions=None)
MINUTE = 60_000_000
QUESTIONS = (
    Question("to", "recipient", "To whom?", "nobody"),
    Question("hosts", "host", "Which of these?", "none of them", ("a.example", "b.example")),
)


@pytest.fixture
def begin(door, now):
    def begin(**more):
        order = Order("Tell me the news.", "openai:gpt-5-mini", 500_000_000, 900.0, **more)
        return door.write_now(lambda: sessions.begin(order, ANN, now))

    return begin


@pytest.fixture
def asking(door, now, begin):
    """A session that asks two questions."""

    def interpreted():
        session = sessions.claim(now, now + MINUTE)
        done = replace(session.now(questions=QUESTIONS), status="asking", lease_until=None)
        return sessions.put(done, now)

    begin()
    return door.write_now(interpreted)


def answer(door, session, given, now, **more):
    return door.write_now(
        lambda: sessions.answer(session.id, given, ANN, now, seconds=900.0, **more)
    )


def test_a_session_is_read_as_it_was_written(door, begin):
    session = begin()
    assert door.read_now(sessions.get, session.id, "default") == session
    with pytest.raises(BuildNotFound):
        door.read_now(sessions.get, session.id, "elsewhere")


def test_one_process_works_on_a_session_until_its_lease_ends(door, begin, now):
    session = begin()
    held = door.write_now(lambda: sessions.claim(now, now + MINUTE))
    assert held.id == session.id
    assert door.write_now(lambda: sessions.claim(now + 1, now + MINUTE)) is None
    assert door.write_now(lambda: sessions.hold(held, now + 2 * MINUTE))
    assert door.write_now(lambda: sessions.claim(now + MINUTE, now + 2 * MINUTE)) is None
    other = door.write_now(lambda: sessions.claim(now + 2 * MINUTE, now + 3 * MINUTE))
    assert other.id == session.id
    assert not door.write_now(lambda: sessions.hold(held, now + 9 * MINUTE))
    with pytest.raises(BuildConflict):
        door.write_now(lambda: sessions.put(held, now))


def test_answers_come_in_any_order_and_the_last_one_lets_work_go_on(door, asking, now):
    session = answer(door, asking, {"hosts": "yes"}, now)
    assert session.status == "asking"
    assert session.work.answers == {"hosts": "a.example, b.example"}
    session = answer(door, session, {"to": "ann@example.com"}, now)
    assert (session.status, session.stage) == ("working", "compose")
    assert answer(door, session, {"to": "ann@example.com"}, now) == session  # sent again
    assert answer(door, session, {"hosts": "yes"}, now) == session
    with pytest.raises(BuildConflict):
        answer(door, session, {"to": "bob@example.com"}, now)


def test_who_answered_what_stands_in_the_audit_log_once(door, asking, now):
    for _ in range(2):  # the second time nothing is other than before
        answered = answer(door, asking, {"to": "ann@example.com"}, now, go_on=True)
    asked = AuditRow.select().where(AuditRow.action == "build.answered")
    (entry,) = door.read_now(lambda: list(asked))
    assert (entry.actor_name, entry.subject) == ("ann", answered.id)
    assert loads(entry.change) == {"questions": ["to"]}


def test_what_is_not_answered_takes_its_default_and_is_told_as_assumed(door, asking, now):
    session = answer(door, asking, {}, now, go_on=True)
    assert session.status == "working"
    assert session.work.assumptions == [
        "To whom? nobody (nobody answered)",
        "Which of these? none of them (nobody answered)",
    ]


def test_answers_to_what_was_not_asked_or_to_a_former_version_are_refused(door, asking, now):
    with pytest.raises(AnswersInvalid, match="did you mean 'hosts'"):
        answer(door, asking, {"host": "x"}, now)
    with pytest.raises(BuildConflict, match="version"):
        answer(door, asking, {"to": "x"}, now, version=asking.version - 1)


def test_a_session_that_was_abandoned_is_not_written_over(door, begin, now):
    begin()
    held = door.write_now(lambda: sessions.claim(now, now + MINUTE))
    door.write_now(lambda: sessions.abandon(held.id, ANN, now))
    with pytest.raises(BuildConflict):
        door.write_now(lambda: sessions.put(replace(held, status="ready"), now))
    assert door.write_now(lambda: sessions.claim(now + MINUTE, now + 2 * MINUTE)) is None


def test_a_branch_asks_what_nobody_answered_and_leaves_the_other_alone(door, asking, now):
    def branch(stage, **more):
        work = partial(sessions.branch, before.id, stage, ANN, now, seconds=900.0, **more)
        return door.write_now(work)

    before = answer(door, asking, {"hosts": "yes"}, now, go_on=True)
    other = branch("compose")
    assert (other.status, other.parent_id) == ("asking", before.id)
    assert [each.id for each in other.work.questions] == ["hosts", "to"]
    assert other.work.answers == before.work.answers
    assert other.work.fence != before.work.fence
    assert door.read_now(sessions.get, before.id, "default") == before
    anew = branch("interpret")
    assert [each.id for each in anew.work.questions] == ["hosts"]
    assert anew.work.answers == before.work.answers
    assert branch("interpret", description="Another bot.").work.answers == {}
    other = answer(door, other, {"to": "ann@example.com"}, now)
    before = other
    assert branch("compose").status == "working"  # nothing is left to be asked
    with pytest.raises(BuildConflict, match="never came to prove"):
        door.write_now(lambda: sessions.branch(before.id, "prove", ANN, now, seconds=900.0))


def test_what_is_refined_has_to_be_there(begin):
    with pytest.raises(BotNotFound):
        begin(bot="nobody")


def test_sessions_are_listed_newest_first_by_status(door, begin, asking):
    later = begin()
    listed = door.read_now(lambda: sessions.listing("default"))
    assert [each.id for each in listed] == [later.id, asking.id]
    assert door.read_now(lambda: sessions.listing("default", status=["working"])) == [later]


async def test_sessions_that_nobody_changed_for_long_are_let_go(door, asking, now):
    day = 86_400_000_000
    assert await sessions.prune(door, now + 90 * day, 90.0) == 0
    assert await sessions.prune(door, now + 90 * day, None) == 0
    assert await sessions.prune(door, now + 90 * day + 1, 90.0) == 1
    with pytest.raises(BuildNotFound):
        await door.read(sessions.get, asking.id, "default")


def test_people_take_turns_so_that_nobody_waits_for_all_of_another_s(door, begin, now):
    order = Order("Mine, too.", "openai:gpt-5-mini", 500_000_000, 900.0)
    bob = Caller("user", "usr_2", "bob", workspace="default", permissions=None)
    mine = [begin().id for _ in range(4)]
    theirs = door.write_now(lambda: sessions.begin(order, bob, now)).id
    first, second, *rest = mine
    assert door.read_now(sessions.waiting, now) == [first, theirs, second, *rest]
    held = door.write_now(lambda: sessions.claim(now, now + MINUTE))
    assert held.id == first
    # Ann has one that is worked on: Bob comes next.
    assert door.read_now(sessions.waiting, now) == [theirs, second, *rest]
