"""Taking over a former installation: every entry is accounted for, nothing is executed or lost."""

import hashlib
import json

import pytest

from codex32.kernel.caller import Caller
from codex32.kernel.models import BotRow, TriggerRow, VersionRow
from codex32.services.bots import bot_views, bots
from codex32.services.former.entries import RegistryUnreadable
from codex32.services.former.taking import Takeover
from codex32.services.former.translating import ADAPTER

BY = Caller("local", "local", "ada", workspace="default", permissions=None)
CODE = "def main(**given):\n    return given\n"


@pytest.fixture
def former(tmp_path):
    """Writes an installation: its registry, and code by path."""
    root = tmp_path / "former"

    def write(registry, **files):
        root.mkdir(exist_ok=True)
        (root / "codex32_registry.json").write_text(
            registry if isinstance(registry, str) else json.dumps(registry)
        )
        for name, code in files.items():
            folder = root / "bots" / name.replace("_", "-")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "bot.py").write_bytes(code.encode())
        return root

    return write


@pytest.fixture
def take(door, reader, registry, now):
    """Takes an installation over; the report as data."""

    def run(root, *, really=True, live=False):
        takeover = Takeover(root, reader, registry, BY, "default")
        report = door.read_now(takeover.look)
        if really:
            door.write_now(lambda: takeover.carry_out(report.entries, now, live=live))
            door.read_now(takeover.verify, report)
        return report.as_dict()

    return run


def outcomes(report):
    return {each["called"]: (each["outcome"], each["reason"]) for each in report["entries"]}


def counted(door):
    return door.read_now(lambda: (BotRow.select().count(), VersionRow.select().count()))


def test_bots_come_over_with_code_owner_and_version_one(door, former, take):
    root = former(
        {
            "bots": {
                "Daily_Report": {
                    "description": "tells",
                    "schedule": "0 8 * * *",
                    "owner": "grace",
                    "created_at": "2021-05-01",
                    "config": {"count": 3, "text": "${{ secrets.X }}", "api_key": "sk-1"},
                    "colour": "red",
                    "auth_token": "t0p",
                },
                "off": {"cron": {"every": "5m"}, "enabled": False, "file": "bots/off"},
            }
        },
        **{"Daily_Report": CODE, "off": "async def run():\r\n    return 1\r\n"},
    )
    (root / "bots" / "Daily-Report").rename(root / "bots" / "Daily_Report")
    looked = take(root, really=False)
    assert (looked["counts"]["taken"], counted(door)) == (2, (0, 0))
    report = take(root)
    assert report["counts"] == {"taken": 2, "there": 0, "changed": 0, "refused": 0}
    assert (report["differing"], report["unlisted"]) == ([], [])
    first = report["entries"][0]
    assert first["sha256"] == hashlib.sha256(CODE.encode()).hexdigest()
    assert (first["name"], first["owner"], first["version"]) == ("daily-report", "grace", 1)
    assert first["left_over"] == {"colour": "red", "auth_token": "********"}
    assert any("api_key" in note and "secret" in note for note in first["notes"])
    view = door.read_now(bot_views.view, "daily-report")
    assert (view.standing, view.row.owner, view.row.origin) == ("paused", "grace", "api")
    document = door.read_now(bot_views.document, view)
    assert document["with"]["code"] == CODE
    assert document["inputs"]["text"] == {"type": "string", "default": "${{ secrets.X }}"}
    assert document["inputs"]["api_key"] == {"type": "string"}
    (version,) = door.read_now(bots.history, "daily-report")
    assert (version.author, version.message) == ("ada", "taken over; made at 2021-05-01")
    off = door.read_now(bot_views.view, "off")
    assert off.standing == "disabled"
    adapted = door.read_now(bot_views.document, off)["with"]["code"]
    assert adapted == "async def run():\r\n    return 1\r\n" + ADAPTER
    kinds = door.read_now(lambda: sorted(t.kind for t in TriggerRow.select()))
    assert kinds == ["cron", "every"]


def test_taking_over_twice_changes_nothing_and_a_change_is_a_version(door, former, take):
    root = former([{"name": "one"}, {"name": "two"}], one=CODE, two=CODE)
    take(root)
    assert take(root)["counts"]["there"] == 2
    assert counted(door) == (2, 2)
    former([{"name": "one"}, {"name": "two"}], one=CODE + "# more\n", two=CODE)
    report = take(root)
    assert outcomes(report) == {"one": ("changed", None), "two": ("there", None)}
    assert (report["entries"][0]["version"], counted(door)) == (2, (2, 3))


def test_every_entry_that_cannot_be_taken_says_why(door, former, take, store, tmp_path):
    (tmp_path / "secret.py").write_text(CODE)
    store("name: mine", origin="api")
    root = former(
        {
            "bots": [
                {"name": "../../etc/cron"},
                {"name": "outside", "path": "../secret.py"},
                {"name": "absolute", "path": "/etc/hostname"},
                {"name": "linked"},
                {"name": "missing"},
                {"name": "nomain"},
                {"name": "latin"},
                {"name": "badtime", "schedule": "99 * * * *"},
                {"name": "badkey", "config": {"../x": 1}},
                {"name": "mine"},
                {"name": "twice"},
                {"name": "twice"},
                {"name": 7},
                "nothing",
                {"name": "a\u0000b"},
                {"name": "moved", "path": "/opt/former/bots/moved/bot.py"},
            ]
        },
        **{name: CODE for name in ("badtime", "badkey", "mine", "twice", "moved", "alone")},
        nomain="print('x')\n",
    )
    (root / "bots" / "linked").mkdir()
    (root / "bots" / "linked" / "bot.py").symlink_to(tmp_path / "secret.py")
    (root / "bots" / "latin").mkdir()
    (root / "bots" / "latin" / "bot.py").write_bytes(b"# \xff\n")
    report = take(root)
    told = [(each["called"], each["outcome"], each["reason"] or "") for each in report["entries"]]
    reasons = {
        "../../etc/cron": "name cannot be used",
        "outside": "lies outside",
        "absolute": "lies outside",
        "linked": "lies outside",
        "missing": "missing: bots/missing/bot.py",
        "nomain": "no function `main`",
        "latin": "not UTF-8",
        "badtime": "triggers.0",
        "badkey": "no name of an input",
        "mine": "is there already",
        "entry 13": "name cannot be used",
        "entry 14": "no object",
        "a\x00b": "name cannot be used",
    }
    for called, outcome, reason in told:
        if called in reasons:
            assert (called, outcome) == (called, "refused")
            assert reasons[called] in reason
    assert [(o, r) for c, o, r in told if c == "twice"] == [
        ("taken", ""),
        ("refused", "another entry is called twice already"),
    ]
    assert sum(report["counts"].values()) == 16
    assert report["unlisted"] == ["bots/alone/bot.py"]
    names = door.read_now(lambda: sorted(row.name for row in BotRow.select()))
    assert names == ["mine", "moved", "twice"]


def test_paths_that_lead_nowhere_spare_the_other_entries(door, former, take):
    root = former(
        {"bots": {"good": {}, "loop": {}, "long": {"path": "a" * 5000}}},
        good="def main():\n    return 1\n",
    )
    circle = root / "bots" / "loop"
    circle.mkdir()
    (circle / "bot.py").symlink_to(circle / "bot.py")
    report = outcomes(take(root))
    assert report["good"][0] == "taken"
    for name in ("loop", "long"):
        outcome, reason = report[name]
        assert (outcome, bool(reason)) == ("refused", True)


def test_an_entry_that_is_too_deep_spares_the_others(former, take, door):
    deep = "[" * 900 + "]" * 900
    entries = f'{{"name": "deep", "config": {{"a": {deep}}}}}, {{"name": "flat"}}'
    report = take(former(f'{{"bots": [{entries}]}}', deep=CODE, flat=CODE))
    told = outcomes(report)
    assert told["flat"] == ("taken", None)
    assert told["deep"][0] == "refused"
    assert "64 levels" in told["deep"][1]


def test_a_key_that_stands_twice_is_accounted_for_twice(former, take):
    root = former('{"bots": {"one": {}, "one": {"description": "2"}}}', one=CODE)
    assert [each["outcome"] for each in take(root)["entries"]] == ["taken", "refused"]


def test_the_code_is_never_executed(former, take, tmp_path):
    canary = tmp_path / "canary"
    code = (
        f"open({str(canary)!r}, 'w').close()\n@print\ndef main(a=open({str(canary)!r}, 'w')): 1\n"
    )
    report = take(former([{"name": "one"}], one=code))
    assert (report["counts"]["taken"], canary.exists()) == (1, False)


def test_what_was_changed_afterwards_is_told(door, former, take, reader, registry, now):
    root = former([{"name": "one"}], one=CODE)
    take(root)
    takeover = Takeover(root, reader, registry, BY, "default")
    report = door.read_now(takeover.look)
    door.write_now(lambda: VersionRow.update(document='{"with":{"code":"x"}}').execute())
    door.read_now(takeover.verify, report)
    assert report.differing == ["one"]


@pytest.mark.parametrize("text", ["", "{", "7", '{"bots": 7}', "[" * 100_000])
def test_what_is_no_registry_is_refused(former, take, text):
    with pytest.raises(RegistryUnreadable):
        take(former(text))


def test_passwords_in_urls_are_left_out_wherever_they_stand(former, take, door):
    url = "postgres://ann:hunter2@db.example/x"
    entry = {"name": "a", "config": {"place": url, "more": {"hosts": [url]}, "plain": "x"}}
    report = take(former([{**entry, "backend": [url]}], a=f"{CODE}DB = {url!r}\n"))
    (told,) = report["entries"]
    assert "hunter2" not in json.dumps(report)
    document = json.loads(door.read_now(lambda: VersionRow.get().document))
    inputs = document["inputs"]
    assert ("default" in inputs["place"], "default" in inputs["more"]) == (False, False)
    assert inputs["plain"]["default"] == "x"
    # Code is taken over as it is, and somebody has to look.
    assert any("its code holds what looks like a secret" in note for note in told["notes"])
