"""Versions that may more than the live one wait for a person; where code comes from is known."""

import json

import pytest

from codex32.kernel.account_rows import WorkspaceRow
from codex32.kernel.bot import Allow
from codex32.kernel.caller import Caller
from codex32.kernel.errors import InvalidTransition
from codex32.kernel.models import BotRow, TriggerRow
from codex32.kernel.safe_rows import AuditRow
from codex32.services.bots import authoring, bot_views, bots, provenance
from codex32.services.bots.folders import FolderSync
from codex32.services.bots.registry import Policy, Registry
from codex32.services.bots.widening import widening
from codex32.services.bots.written import FILE, Written

ADA = Caller("user", "usr_1", "ada", workspace="default")
WIDE = "allow: {hosts: [example.com]}\n"
PLACE = {"origin": FILE, "source": "/bots/ping.yaml"}


@pytest.fixture
def registry(components, definitions):
    return Registry(components.trigger_types, definitions, Policy(approve_capabilities=True))


def view(door, name="ping"):
    return door.read_now(bot_views.view, name)


def approve(door, registry, now, number, name="ping"):
    return door.write_now(lambda: registry.approve(name, number, now, by=ADA))


def test_a_wider_version_waits_and_the_older_one_goes_on_until_somebody_approves(
    door, store, registry, now
):
    store("triggers: [{every: 1h}]")
    waiting = store(f"{WIDE}triggers: [{{every: 2h}}]")
    assert (waiting.number, waiting.change, waiting.widens) == (
        2,
        "waiting",
        ["hosts: example.com"],
    )
    found = view(door)
    assert (found.standing, found.number, found.pending) == ("active", 1, 2)
    assert json.loads(found.triggers[0].definition)["config"] == "1h"
    assert store(f"{WIDE}triggers: [{{every: 2h}}]").change is None

    approved = approve(door, registry, now, 2)

    assert (approved.number, approved.change) == (2, "approved")
    found = view(door)
    assert (found.number, found.pending) == (2, None)
    assert json.loads(found.triggers[0].definition)["config"] == "2h"
    newest = door.read_now(bots.history, "ping")[0]
    assert (newest.approved_by, newest.approved_at) == ("ada", now)
    with pytest.raises(InvalidTransition, match="not waiting"):
        approve(door, registry, now, 2)
    rows = door.read_now(lambda: list(AuditRow.select().order_by(AuditRow.seq)))
    assert [(row.action, row.actor_name) for row in rows][-1] == ("bot.approved", "ada")
    assert json.loads(rows[-1].change)["widens"] == ["hosts: example.com"]


def test_the_live_version_is_switched_off_whatever_waits(door, store, registry, reader, now):
    store("priority: 1")
    store(f"priority: 2\n{WIDE}")
    off = door.read_now(lambda: authoring.switched("ping", reader, ADA, enabled=False))
    stored = door.write_now(lambda: registry.store(off, now, by=ADA))
    assert (stored.number, stored.change) == (3, "changed")
    found = view(door)
    assert (found.standing, found.number, found.pending) == ("disabled", 3, None)


def test_a_version_that_was_never_approved_cannot_be_gone_back_to(door, store, registry, now):
    store("priority: 1")
    store(f"priority: 2\n{WIDE}")
    back = store("priority: 1")  # what is live: the wish is withdrawn
    assert (back.number, back.change, view(door).pending) == (1, "withdrawn", None)
    store(f"priority: 3\n{WIDE}")
    narrow = store("priority: 4")
    assert (narrow.number, narrow.change, view(door).pending) == (4, "changed", None)
    for number in (2, 3):
        with pytest.raises(InvalidTransition, match="not approved"):
            door.write_now(lambda number=number: registry.rollback("ping", number, now))
    assert door.write_now(lambda: registry.rollback("ping", 1, now)).number == 1


def test_a_new_bot_that_may_something_waits_whole(door, store, registry, now):
    store(f"{WIDE}triggers: [{{every: 1h}}]")
    assert view(door).standing == "waiting"
    assert door.read_now(TriggerRow.select().count) == 0
    approve(door, registry, now, 1)
    assert view(door).standing == "active"
    assert door.read_now(TriggerRow.select().count) == 1


def test_a_removed_bot_comes_back_with_what_was_approved(door, store, now):
    store("priority: 1", **PLACE)
    store(f"priority: 2\n{WIDE}", **PLACE)
    door.write_now(lambda: bots.remove("ping", now, origin=FILE))
    assert view(door).pending is None
    again = store(f"priority: 2\n{WIDE}", **PLACE)
    found = view(door)
    assert (again.change, found.number, found.standing) == ("waiting", 1, "active")


async def test_folders_wait_too_and_ask_once(door, reader, registry, tmp_path, now):
    folder = tmp_path / "bots"
    folder.mkdir()
    file = folder / "ping.yaml"
    file.write_text("type: set\nwith: {values: {}}\n")
    sync = FolderSync([folder], reader, registry, door, settle_seconds=0)
    await sync.scan()
    file.write_text(f"type: set\nwith: {{values: {{}}}}\n{WIDE}")
    assert (await sync.scan()).stored == {"ping": "waiting"}
    for _ in range(2):
        assert not await sync.scan()
    assert not await FolderSync([folder], reader, registry, door, settle_seconds=0).scan()
    await door.write(lambda: registry.approve("ping", 2, now, by=ADA))
    assert not await sync.scan()
    found = await door.read(bot_views.view, "ping")
    assert (found.number, found.pending) == (2, None)
    file.write_text(f"type: set\nwith: {{values: {{b: 1}}}}\n{WIDE}")
    assert (await sync.scan()).stored == {"ping": "changed"}  # it may no more than before


async def test_folders_serve_the_workspace_of_the_settings(door, reader, registry, tmp_path):
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "ping.yaml").write_text("type: set\nwith: {values: {}}\n")
    sync = FolderSync([tmp_path / "bots"], reader, registry, door, workspace="ops")
    changes = await sync.scan()
    (problem,) = changes.problems[str(tmp_path / "bots")]
    assert "codex32 workspaces create ops" in problem.message
    assert await door.read(BotRow.select().count) == 0
    await door.write(lambda: WorkspaceRow.insert(name="ops", created_at=1).execute())
    await sync.scan()
    rows = await door.read(lambda: [(row.workspace, row.name) for row in BotRow.select()])
    assert rows == [("ops", "ping")]
    assert not await sync.scan()


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ({"hosts": ("a",)}, {"hosts": ("a",)}, []),
        ({"hosts": ("a", "b")}, {"hosts": ("a",)}, []),
        ({"hosts": ("a",)}, {"hosts": ("*",)}, ["hosts: *"]),
        ({}, {"files": ({"path": "/x"},)}, ['files: {"path":"/x"}']),
        ({"memory_bytes": 10}, {"memory_bytes": 20}, ["memory: 20"]),
        ({"memory_bytes": 20}, {"memory_bytes": 10}, []),
        ({"memory_bytes": 20}, {}, ["memory: no limit of its own"]),
        ({}, {"processes": 3}, ["processes: 3"]),
        (
            {"models": ("m",), "spend_usd": {"day": 1.0}},
            {"models": ("m",), "spend_usd": {"day": 2.0}},
            ["spend_usd.day: 2.0"],
        ),
        (
            {"models": ("m",), "spend_usd": {"day": 1.0}},
            {"models": ("m",)},
            ["spend_usd.day: no limit of its own"],
        ),
        ({"models": ("m",), "spend_usd": {"day": 1.0}}, {}, []),
    ],
)
def test_what_is_more_is_told_line_by_line(before, after, more):
    assert widening(Allow(**before), Allow(**after)) == more


def test_code_is_known_by_its_digest_wherever_it_is_saved(door, registry, reader, now):
    code = "def main():\n    return 1\n"

    def store(name, origin, source=None, workspace="default"):
        text = json.dumps({"name": name, "type": "python", "with": {"code": code}})
        bot = reader.read_text(text).only_bot()
        written = Written.of(bot, text, origin, source)
        door.write_now(lambda: registry.store(written, now, workspace=workspace))
        return door.read_now(provenance.told, workspace, bot.document, written.digest)

    built = store("built", "builder")
    assert [(each["path"], each["origin"]) for each in built] == [
        ("", "builder"),
        ("with.code", "builder"),
    ]
    saved = store("saved", FILE, "/bots/saved.yaml")
    assert [(each["path"], each["origin"]) for each in saved] == [
        ("", "file"),
        ("with.code", "builder"),
    ]
    other = store("saved", FILE, "/bots/saved.yaml", workspace="other")
    assert {each["origin"] for each in other} == {"file"}  # what others have is not told
