from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from codex32.kernel.account_rows import AccountRow
from codex32.kernel.caller import HOUSE
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
from codex32.kernel.retrieval_rows import (
    ChunkRow,
    CollectionRow,
    DocumentRow,
    EmbeddingRow,
    GoneRow,
)
from codex32.kernel.safe_rows import AuditRow, DataKeyRow
from codex32.services.access import workspaces
from codex32.services.access.accounts import NewAccount, create
from codex32.services.bots.written import Stored
from codex32.services.building import sessions
from codex32.services.events import outbound_endpoints
from codex32.services.safe import audit, secrets
from codex32.services.safe.keyring import KeySource
from codex32.services.safe.vault import Vault
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


def test_homes_and_builder_sessions_in_no_workspace_are_told(door: Door, now: int) -> None:
    def write() -> None:
        new = NewAccount("anna@example.com", "anna", id="usr_1")
        AccountRow.update(home="gone").where(AccountRow.id == create(new, HOUSE, now).id).execute()
        left = create(NewAccount("bert@example.com", "bert"), HOUSE, now)
        AccountRow.update(home="").where(AccountRow.id == left.id).execute()
        order = sessions.Order("a bot", "nobody:none", budget_nano=1, seconds=60.0)
        sessions.begin(order, replace(HOUSE, workspace="gone"), now)

    door.write_now(write)
    assert [problem.message for problem in door.read_now(check, now)] == [
        "homes of a workspace that is not there: gone",
        "builder sessions of a workspace that is not there: gone",
    ]


def collection(**changed: object) -> None:
    CollectionRow.insert(
        **{
            "id": "col_1", "workspace": "default", "name": "docs", "embedder": "hash",
            "dimension": 2, "store": "memory", "index_name": "col_1_1", "fingerprint": "f",
            "created_at": 0, "updated_at": 0, **changed,
        }
    ).execute()  # fmt: skip


def document(number: int, collection_id: str = "col_1", chunks: int = 1) -> None:
    DocumentRow.insert(
        id=f"doc_{number}", collection_id=collection_id, source=f"{number}.md", scope="",
        digest="", metadata="{}", characters=1, chunks=chunks, indexed_at=0,
    ).execute()  # fmt: skip


def chunk(number: int, document_id: str, collection_id: str = "col_1") -> None:
    ChunkRow.insert(
        id=f"chk_{number}", collection_id=collection_id, document_id=document_id, ordinal=number,
        heading="", text="x", sha256=f"s{number}", terms="wx",
    ).execute()  # fmt: skip


def vector(number: int, collection_id: str = "col_1", fingerprint: str = "f") -> None:
    EmbeddingRow.insert(
        collection_id=collection_id, fingerprint=fingerprint, sha256=f"s{number}", vector=b"12"
    ).execute()


def gone(index: str, record: str) -> None:
    GoneRow.insert(store="memory", index_name=index, record=record).execute()


def test_a_sound_collection_has_no_problems(door: Door, now: int) -> None:
    def write() -> None:
        collection()
        document(1)
        chunk(1, "doc_1")
        vector(1)
        vector(1, fingerprint="the embedder before")
        gone("col_1_1", "chk_0")
        gone("col_0_1", "")
        gone("col_0_1", "chk_9")

    door.write_now(write)
    assert door.read_now(check, now) == []


def test_rows_of_collections_that_contradict_each_other_are_told(door: Door, now: int) -> None:
    def write() -> None:
        collection(workspace="gone")
        document(1, chunks=2)
        chunk(1, "doc_1")
        document(2, "col_gone", chunks=1)
        chunk(2, "doc_2", "col_gone")
        chunk(3, "doc_gone")
        vector(3)
        vector(4, "col_gone")
        gone("col_0_1", "chk_9")

    door.write_now(write)
    told = {problem.message for problem in door.read_now(check, now)}
    assert told == {
        "collections of a workspace that is not there: gone",
        "documents of a collection that is not there: col_gone",
        "chunks of a document that is not there: doc_gone",
        "chunks of a collection that is not there: col_gone",
        "vectors of a collection that is not there: col_gone",
        "collections with chunks that have no vector: codex32 collections rebuild NAME: docs",
        "documents that have not as many chunks as they say; index them again: doc_1",
        "records that are to be deleted from an index which no collection has: chk_9",
    }


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


def test_what_no_key_opens_any_more_is_told(door: Door, now: int, tmp_path: Path) -> None:
    vault = Vault(KeySource(None, tmp_path / "keys"))
    audit.use(lambda: audit.VaultKeys(vault))

    def write() -> list[str]:
        made = []
        for name in ("default", "other"):
            if name != "default":
                workspaces.create(name, "", HOUSE, now)
            secrets.write(vault, "TOKEN", "a value", HOUSE, now, workspace=name)
            wish = outbound_endpoints.Wish(f"https://{name}.example.com/", events=("*",))
            row, _ = outbound_endpoints.create(vault, wish, HOUSE, now, workspace=name)
            made.append(row.id)
        return made

    made = door.write_now(write)
    assert door.read_now(check, now) == []

    door.write_now(
        lambda: DataKeyRow.delete().where(DataKeyRow.scope.endswith(":other")).execute()
    )
    told = {each.path: each.message for each in door.read_now(check, now)}
    assert set(told) == {"secret", "endpoint"}
    assert told["secret"].endswith(": TOKEN")
    assert told["endpoint"].endswith(f": {made[1]}")
