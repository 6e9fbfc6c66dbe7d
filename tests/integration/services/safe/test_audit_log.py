"""Reading the audit log, noting its head outside, and moving its oldest part into a file."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import peewee as pw
import pytest

from codex32.kernel.account_rows import ApiKeyRow
from codex32.kernel.caller import Caller
from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.json_values import loads
from codex32.kernel.models import database_proxy
from codex32.kernel.safe_rows import AuditRow, AuditSealRow
from codex32.services.safe import audit, audit_log
from codex32.services.safe.audit_anchors import Anchors
from codex32.services.safe.audit_chain import verify
from codex32.services.safe.audit_log import AuditBroken, Part, Query, SealRefused

ADA = Caller("user", "usr_1", "ada", workspace="default")
BOB = Caller("key", "key_2", "bob", workspace="other")


def note(door: Door, caller: Caller, action: str, subject: str, at: int) -> None:
    door.write_now(partial(audit.record, caller, action, subject, at, change={"n": at}))


@pytest.fixture
def log(door: Door) -> Door:
    note(door, ADA, "bot.paused", "a", 10)
    note(door, ADA, "bot.resumed", "a", 20)
    note(door, BOB, "secret.created", "b", 30)
    note(door, ADA, "bot.paused", "c", 40)
    return door


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [4, 3, 2, 1]),
        (Query(workspace="other"), [3]),
        (Query(action="bot"), [4, 2, 1]),
        (Query(action="bot.paused"), [4, 1]),
        (Query(actor="bob"), [3]),
        (Query(actor="usr_1", subject="a"), [2, 1]),
        (Query(since=20, until=40), [3, 2]),
        (Query(before=3, limit=1), [2]),
        (Query(outcome="refused"), []),
    ],
)
def test_entries_are_found_by_what_they_say(log: Door, query: Query, found: list[int]) -> None:
    assert [row.seq for row in log.read_now(audit_log.listing, query)] == found


def test_what_the_keys_of_a_person_did_is_found_under_her(log: Door) -> None:
    for number, owner in enumerate(("ada", "ada", "adam"), 5):
        key = Caller("key", f"key_{number}", f"{owner} (key deploy)", workspace="default")
        note(log, key, "bot.created", "d", number * 10)
    columns = dict(prefix="p", digest="", workspace="default", scopes="[]", name="deploy")
    owned = dict(id="key_6", account_id="usr_1", created_at=0, expires_at=0)
    log.write_now(lambda: ApiKeyRow.insert(**columns, **owned).execute())

    def found(actor: str) -> list[int]:
        return [row.seq for row in log.read_now(audit_log.listing, Query(actor=actor))]

    assert found("ada") == [6, 5, 4, 2, 1]
    assert found("usr_1") == [6, 4, 2, 1]
    assert found("key_5") == [5]


def test_a_workspace_reads_from_where_it_was_made_last_and_no_other_of_a_like_name(
    log: Door, caplog: pytest.LogCaptureFixture
) -> None:
    # Names that look like secrets stand masked in the log, and so are all alike.
    names = ("sk-aaaaaaaaaaaaaaaa", "sk-bbbbbbbbbbbbbbbb", "lab", "lab")
    for at, name in enumerate(names, 50):
        told = ("workspace.created", name, at)
        log.write_now(partial(audit.record, ADA, *told, workspace=name))
    note(log, BOB, "bot.created", "lab", 60)
    found = [log.read_now(audit_log.beginning, each) for each in (*names, "other", "default")]
    assert found == [5, 6, 8, 8, 0, 0]

    with caplog.at_level("DEBUG", logger="peewee"):
        log.read_now(audit_log.beginning, "default")
    ((sql, params),) = [each.msg for each in caplog.records if "audit" in str(each.msg)]
    explain = "EXPLAIN QUERY PLAN " if is_sqlite() else "EXPLAIN "
    rows = log.read_now(lambda: database_proxy.execute_sql(explain + sql, params).fetchall())
    assert "audit_workspace" not in str(rows)  # that is all that ever was done there
    assert not is_sqlite() or "audit_subject" in str(rows)


# anchors


def test_the_head_is_noted_once_and_shows_that_the_end_was_cut_off(
    log: Door, tmp_path: Path
) -> None:
    anchors = Anchors(tmp_path / "heads")
    for _ in range(2):
        log.read_now(anchors.note, 50)
    path = tmp_path / "heads"
    assert [each.seq for each in anchors.read()] == [4]
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("a") as file:
        file.write('{"seq": 5, "ha')
    trigger = "DROP TRIGGER audit_no_delete" + ("" if is_sqlite() else " ON audit")
    log.write_now(partial(database_proxy.execute_sql, trigger))
    log.write_now(AuditRow.delete().where(AuditRow.seq == 4).execute)
    assert log.read_now(verify).broken is None
    assert log.read_now(verify, Anchors(path).read()).broken == 4


# sealing


def export(door: Door, until: int) -> tuple[Part, bytes]:
    out = io.BytesIO()
    query = door.read_now(audit_log.sealable, until, [])
    part = door.read_now(lambda: audit_log.exported(audit_log.oldest_first(query), out.write))
    assert part is not None
    return part, out.getvalue()


def test_what_was_sealed_may_leave_and_the_rest_of_the_chain_goes_on(log: Door) -> None:
    part, text = export(log, 30)
    assert (part.first, part.last, text.count(b"\n")) == (1, 2, 2)
    assert loads(text.splitlines()[0])["subject"] == "a"
    log.write_now(partial(audit_log.seal, part, ADA, 50))
    assert log.write_now(partial(audit_log.let_go, part.last)) == 2
    assert log.write_now(partial(audit_log.let_go, part.last)) == 0
    verdict = log.read_now(verify)
    assert (verdict.broken, verdict.entries, verdict.seq) == (None, 3, 5)
    assert log.read_now(audit_log.genuine, text) == (1, 2)
    assert log.read_now(audit_log.genuine, text + b" ") is None
    part, _ = export(log, 60)
    log.write_now(partial(audit_log.seal, part, ADA, 70))
    log.write_now(partial(audit_log.let_go, part.last))
    verdict = log.read_now(verify)
    assert (verdict.broken, verdict.entries, verdict.seq) == (None, 1, 6)


def test_what_was_not_sealed_stays(log: Door) -> None:
    with pytest.raises(pw.DatabaseError, match="append-only"):
        log.write_now(partial(audit_log.let_go, 4))


def test_a_part_that_does_not_come_next_is_not_sealed(log: Door) -> None:
    part, _ = export(log, 30)
    log.write_now(partial(audit_log.seal, part, ADA, 50))
    with pytest.raises(SealRefused, match="export them anew"):
        log.write_now(partial(audit_log.seal, part, ADA, 50))
    other = Part(3, 4, "f" * 64, part.digest)
    with pytest.raises(SealRefused):
        log.write_now(partial(audit_log.seal, other, ADA, 50))


def test_a_seal_that_somebody_made_up_is_found(log: Door) -> None:
    part, _ = export(log, 30)
    made_up = AuditSealRow.insert(
        last_seq=2, first_seq=1, hash=part.hash, digest="", at=1, key_id="1", mac="0" * 64
    )
    log.write_now(made_up.execute)
    verdict = log.read_now(verify)
    assert (verdict.broken, verdict.entries) == (1, 0)
    assert "not genuine" in verdict.reason


def test_a_log_that_is_not_whole_is_not_sealed(log: Door) -> None:
    trigger = "DROP TRIGGER audit_no_update" + ("" if is_sqlite() else " ON audit")
    log.write_now(partial(database_proxy.execute_sql, trigger))
    log.write_now(AuditRow.update(subject="x").where(AuditRow.seq == 2).execute)
    with pytest.raises(AuditBroken, match="entry 2"):
        log.read_now(audit_log.sealable, 100, [])
