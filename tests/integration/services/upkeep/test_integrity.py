from collections.abc import Callable
from hashlib import sha256

from codex32.kernel.database import Door, is_sqlite
from codex32.kernel.models import (
    AttemptRow,
    BotRow,
    ExecutionRow,
    LogLineRow,
    StateRow,
    StepRow,
    TriggerRow,
    VersionRow,
    database_proxy,
)
from codex32.kernel.safe_rows import AuditRow
from codex32.services.bots.written import Stored
from codex32.services.upkeep.integrity import check

SECOND = 1_000_000


def test_a_sound_database_has_no_problems(
    door: Door, store: Callable[..., Stored], execution: Callable[..., str], now: int
) -> None:
    stored = store("triggers: [{every: 1h}]")
    version = {"bot_id": stored.bot_id, "version_id": stored.version_id}

    def write() -> None:
        one = execution(**version, status="succeeded", finished_at=now)
        execution(**version, status="running", worker="w", lease_at=now + SECOND, attempt_at=now)
        execution(**version, ready_at=now)
        execution(**version, gate="g", admitted=False)
        execution(**version, status="waiting")
        StepRow.insert(execution_id=one, step="a", status="succeeded").execute()

    door.write_now(write)

    assert door.read_now(check, now) == []


def test_everything_that_should_not_be_is_told(
    door: Door, store: Callable[..., Stored], execution: Callable[..., str], now: int
) -> None:
    stored = store("triggers: [{every: 1h}]")
    other = store("name: other\ntriggers: [{every: 1h}]")

    def write() -> None:
        version = {"bot_id": stored.bot_id, "version_id": stored.version_id}
        execution(version_id="ver_gone", ready_at=now)
        execution(**version, status="running", worker="w", lease_at=now - 1)
        execution(**version, status="running")
        execution(**version, status="succeeded")
        execution(**version, status="queued", finished_at=now, ready_at=now)
        execution(**version, status="queued")
        execution(**version, status="sleeping")
        StepRow.insert(execution_id="gone", step="a", status="succeeded").execute()
        LogLineRow.insert(execution_id="gone", at=now, level="info", message="").execute()
        AttemptRow.insert(
            execution_id="gone", number=1, worker="w", started_at=0, ended_at=0, outcome="lost"
        ).execute()
        TriggerRow.update(bot_id="bot_gone").where(TriggerRow.bot_id == other.bot_id).execute()
        VersionRow.delete().where(VersionRow.id == other.version_id).execute()
        BotRow.update(enabled=False).where(BotRow.id == stored.bot_id).execute()

    door.write_now(write)

    told = [problem.message for problem in door.read_now(check, now)]

    expected = [
        "step rows without their execution: gone",
        "attempt rows without their execution: gone",
        "log line rows without their execution: gone",
        "executions of versions that are not there",
        "triggers of bots that are not there",
        f"bots whose live version is not there; save their files again: {other.bot_id}",
        "executions of an unknown status",
        "ended executions without an end",
        "executions with an end that have not ended",
        "running executions that no worker holds",
        "running executions whose lease has ended",
        "queued executions that nothing will ever start",
        "live triggers of bots that are removed or disabled",
    ]
    assert [
        found for found, start in zip(told, expected, strict=True) if found[: len(start)] != start
    ] == []


def test_a_bot_that_waits_and_one_that_was_changed_by_hand_are_told_apart(
    door: Door, store: Callable[..., Stored], now: int
) -> None:
    one, two = store("name: one"), store("name: two")
    assert door.read_now(check, now) == []

    def damage() -> None:
        BotRow.update(pending_version_id="ver_gone", workspace="nowhere").where(
            BotRow.name == "one"
        ).execute()
        BotRow.update(active_version_id=one.version_id).where(BotRow.name == "two").execute()
        VersionRow.update(document="{}").where(VersionRow.id == two.version_id).execute()
        VersionRow.insert(
            id="ver_lost", bot_id="bot_lost", number=1, digest=sha256(b"{}").hexdigest(),
            document="{}", text="", origin="api", created_at=now,
        ).execute()  # fmt: skip
        StateRow.insert(bot_id="bot_lost", key="k", value="1", updated_at=now).execute()

    door.write_now(damage)

    assert [problem.message for problem in door.read_now(check, now)] == [
        "versions of a bot that is not there: bot_lost",
        "bots that wait for the approval of versions that are not there; send them again: "
        "ver_gone",
        "state of a bot that is not there: bot_lost",
        "bots of a workspace that is not there: nowhere",
        f"bots whose version is another bot's; save them again: {two.bot_id}",
        f"versions whose definition was changed in the database: {two.version_id}",
    ]


def test_a_broken_audit_log_is_told(door: Door, store: Callable[..., Stored], now: int) -> None:
    store("name: one")
    store("name: two")

    def damage() -> None:
        for name in ("audit_no_update", "audit_no_delete"):
            on = "" if is_sqlite() else " ON audit"
            database_proxy.execute_sql(f"DROP TRIGGER IF EXISTS {name}{on}")
        AuditRow.update(actor_name="nobody").where(AuditRow.seq == 2).execute()

    door.write_now(damage)

    (problem,) = door.read_now(check, now)
    assert problem.message.startswith("the audit log is broken at entry 2: ")


def test_many_of_a_kind_are_told_in_one_sentence(
    door: Door, execution: Callable[..., str], now: int
) -> None:
    for _ in range(9):
        door.write_now(lambda: execution(ready_at=now))

    (problem,) = door.read_now(check, now)

    assert problem.message.endswith("and 4 more")
    assert door.read_now(lambda: ExecutionRow.select().count()) == 9
