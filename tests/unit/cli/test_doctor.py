"""``codex32 doctor`` in project folders where something is amiss."""

from __future__ import annotations

import json
import os
import socket

import pytest
from codex32_otlp import collecting

from codex32.kernel.caller import HOUSE
from codex32.kernel.models import ExecutionRow
from codex32.kernel.outbound_rows import EndpointRow
from codex32.kernel.statuses import Status
from codex32.runtime import open_runtime
from codex32.services.bots.written import Written
from codex32.services.executions.starting import Start
from codex32.services.safe import connections
from codex32.services.safe.connections import Wish
from codex32.services.upkeep import processes
from codex32_config.settings import load_settings

BOT = "name: orders\ntype: set\nwith: {values: {}}\nallow: {secrets: [SHOP_KEY]}\n"
ALERTS = "name: house\nalerts: [{name: late, bots: [order], late_by: 5m}]\n"


@pytest.fixture
def doctor(codex32, monkeypatch):
    """What is said under a name, as ``(state, detail)``; the sandboxes are tried elsewhere."""
    from codex32.cli import checkup

    monkeypatch.delitem(checkup._LOOKS, "sandbox")

    def look(name):
        checks = codex32("doctor", "--json").json["checks"]
        return [(each["state"], each["detail"]) for each in checks if each["name"] == name]

    return look


@pytest.fixture
def ready(codex32, project):
    """A house with tables; hands out writes of its runtime."""
    assert codex32("db", "upgrade").code == 0

    def write(work):
        runtime = open_runtime(load_settings(folder=project, environ={}), "cli")
        try:
            return runtime.door.write_now(lambda: work(runtime))
        finally:
            runtime.close()

    return write


def store(*texts):
    def write(runtime):
        for text in texts:
            written = Written.of(runtime.reader.read_text(text).only_bot(), text, "api")
            runtime.registry.store(written, runtime.clock.micros())

    return write


def test_a_folder_that_was_never_begun_is_told_how_to_begin(codex32):
    told = codex32("doctor").out
    assert "there is no database yet; codex32 up makes it" in " ".join(told.split())
    assert "0001" not in told


def test_settings_of_a_plugin_that_is_not_there_are_named(doctor, project):
    with (project / "codex32.yaml").open("a") as file:
        file.write("plugins: {slak: {api: 'https://slack.example.com'}}\n")
    told = [detail for state, detail in doctor("plugins") if state == "warn"]
    assert told == ["plugins.slak: no plugin is called 'slak' (did you mean 'slack'?)"]


def test_a_list_of_allowed_plugins_that_names_nobody_is_told(doctor, project):
    with (project / "codex32.yaml").open("a") as file:
        file.write("loading: {allow: [codex32-slack, codex32-teems]}\n")
    told = [detail for state, detail in doctor("plugins") if state == "warn"]
    near = "did you mean 'codex32-teams'?"
    assert told == [f"loading.allow: no plugin comes from 'codex32-teems' ({near})"]


def test_a_database_that_does_not_answer_is_named(codex32, doctor, monkeypatch):
    monkeypatch.setenv("CODEX32_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    ((state, detail),) = doctor("schema")
    assert (state, "refused" in detail) == ("fail", True)
    assert "database_url" in codex32("doctor").out


def test_a_database_of_a_newer_version_is_told_of(ready, doctor):
    later = "INSERT INTO schema_migration_core (name, applied) VALUES ('9999_later', '2030-01-01')"
    ready(lambda runtime: runtime.door.database.execute_sql(later))
    ((state, detail),) = doctor("schema")
    assert (state, "core/9999_later" in detail) == ("warn", True)


def test_a_database_file_that_is_damaged_is_restored_and_not_started(ready, codex32, project):
    with (project / ".codex32" / "codex32.db").open("r+b") as file:
        file.write(b"garbage!" * 200)
    (found,) = [
        each for each in codex32("doctor", "--json").json["checks"] if each["name"] == "schema"
    ]
    assert found["state"] == "fail"
    assert "restore a backup" in found["remedy"]
    assert "running" not in found["remedy"]


def test_a_user_without_a_name_is_told_by_number(monkeypatch):
    from codex32.cli import checkup

    def unknown():
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(checkup.getpass, "getuser", unknown)
    assert checkup._user() == f"the user {os.getuid()}"


def test_a_collector_that_takes_no_spans_is_told_of(doctor, monkeypatch):
    assert doctor("tracing") == []
    monkeypatch.setenv("CODEX32_TRACING__ENDPOINT", "http://127.0.0.1:1")
    ((state, detail),) = doctor("tracing")
    assert (state, detail) == ("warn", "http://127.0.0.1:1 takes no spans: ConnectionError")
    with collecting() as collector:
        monkeypatch.setenv("CODEX32_TRACING__ENDPOINT", collector.url)
        assert doctor("tracing") == [("ok", f"{collector.url} takes spans")]
        collector.how = "fails"
        ((state, detail),) = doctor("tracing")
    assert (state, detail.endswith("it answers 500")) == ("warn", True)
    assert collector.spans == []


def test_what_looks_like_a_secret_is_shown_to_nobody(doctor, monkeypatch):
    from codex32.cli import checkup

    def look(obj):
        raise RuntimeError("refused: Bearer abcdefgh12345678")

    monkeypatch.setitem(checkup._LOOKS, "disk", look)
    ((state, detail),) = doctor("disk")
    assert state == "fail"
    assert "abcdefgh" not in detail


def test_a_home_that_cannot_be_written_ends_the_look(doctor, project, monkeypatch):
    (project / "file").write_text("")
    monkeypatch.setenv("CODEX32_HOME", str(project / "file" / "home"))
    assert doctor("home") == [("fail", f"{project / 'file'}: Not a directory")]
    assert doctor("schema") == []


def test_a_folder_of_bots_that_is_not_there_is_named(doctor, project):
    assert [state for state, _ in doctor("folders")] == ["ok"]
    (project / "bots").rename(project / "elsewhere")
    ((state, detail),) = doctor("folders")
    assert (state, str(project / "bots") in detail) == ("warn", True)


def test_faults_of_bot_files_are_told_before_anybody_has_taken_them_in(doctor, project):
    good = "name: dup\ntype: set\nwith: {values: {}}\n"
    for name, text in (("a", good), ("b", good), ("c", good.replace("set", "sett"))):
        (project / "bots").mkdir(exist_ok=True)
        (project / "bots" / f"{name}.yaml").write_text(text)
    told = [each for state, each in doctor("files") if state == "warn"]
    assert len(told) == 2
    assert "c.yaml:2:7" in told[0]
    assert "a.yaml already holds a bot called 'dup'; rename one" in told[1]
    for name in "defghij":
        (project / "bots" / f"{name}.yaml").write_text("type: [")
    assert doctor("files")[-2][1].endswith("faults more")


def test_a_port_that_somebody_else_has_is_told_of_before_the_api_is_started(
    ready, doctor, project, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("CODEX32_API__PORT", str(port))
        assert doctor("port") == [("fail", f"127.0.0.1:{port}: somebody else listens")]
        api = {"pid": os.getpid(), "url": f"http://127.0.0.1:{port}"}
        (project / ".codex32" / "api.json").write_text(json.dumps(api))
        assert doctor("port") == [("ok", f"127.0.0.1:{port} is the API's")]
    assert doctor("port") == [("ok", f"127.0.0.1:{port} is free")]


def test_processes_without_redis_are_told_of(ready, doctor):
    assert len([told for _, told in doctor("processes") if "poll" in told]) == 0
    ready(
        lambda runtime: processes.heartbeat(
            "prc_1", "worker", runtime.clock.micros(), runtime.clock.micros()
        )
    )
    assert [state for state, told in doctor("processes") if "poll" in told] == ["warn"]


def test_what_bots_lack_is_named_with_them(ready, doctor, monkeypatch):
    ready(store(BOT, ALERTS))
    assert doctor("secrets") == [("warn", "orders in default may use SHOP_KEY, which is nowhere")]
    assert doctor("alerts") == [
        ("warn", "house: late: there is no bot 'order' (did you mean 'orders'?)"),
        ("ok", "1 known, 0 fire"),
    ]
    monkeypatch.setenv("CODEX32_SECRET_SHOP_KEY", "x")
    assert doctor("secrets") == []


def test_connections_that_bots_lack_are_named_and_what_they_lack(ready, doctor, monkeypatch):
    bot = "name: books\ntype: set\nwith: {values: {}}\nallow: {connections: [ledgre, ledger]}\n"

    def made(runtime):
        wish = Wish("postgresql", "db.example.com", secrets={"password": "LEDGER_PASSWORD"})
        now = runtime.clock.micros()
        connections.write("ledger", wish, HOUSE, now, workspace="default")

    ready(store(bot))
    assert doctor("connections") == [
        ("warn", "books in default may use ledgre, which is nowhere"),
        ("warn", "books in default may use ledger, which is nowhere"),
    ]
    ready(made)
    lacks = "ledger in default wants the secret LEDGER_PASSWORD, which is nowhere"
    assert doctor("connections") == [
        ("warn", "books in default may use ledgre, which is nowhere (did you mean 'ledger'?)"),
        ("warn", lacks),
    ]
    monkeypatch.setenv("CODEX32_SECRET_LEDGER_PASSWORD", "x")
    assert len(doctor("connections")) == 1


def test_models_that_nobody_brings_and_keys_of_models_that_are_nowhere_are_named(
    ready, doctor, monkeypatch
):
    models = "allow: {models: ['openai:gpt-5-mini', 'echo:m', 'opnai:*', '*']}"
    ready(store(f"name: sums\ntype: set\nwith: {{values: {{}}}}\n{models}\n"))
    lacks = "which wants the secret OPENAI_API_KEY, and that is nowhere"
    assert doctor("models") == [
        ("warn", f"sums in default may ask openai, {lacks}"),
        (
            "warn",
            "sums in default may ask opnai, which is not installed (did you mean 'openai'?)",
        ),
    ]
    monkeypatch.setenv("CODEX32_SECRET_OPENAI_API_KEY", "x")
    assert [state for state, told in doctor("models") if "openai," in told] == []


def test_hosts_that_no_operator_permits_are_named(ready, doctor, monkeypatch):
    named = "'127.0.0.1:8000', localhost, example.com, '*.example.com', '[::1]:1'"
    ready(store(f"name: sums\ntype: set\nwith: {{values: {{}}}}\nallow: {{hosts: [{named}]}}\n"))
    assert [told.split(" may reach ")[1] for _, told in doctor("hosts")] == [
        "127.0.0.1:8000, which is no public host",
        "localhost, which is no public host",
        "[::1]:1, which is no public host",
    ]
    monkeypatch.setenv("CODEX32_OUTSIDE__PRIVATE_HOSTS", '["127.0.0.1:8000", "::1"]')
    assert doctor("hosts") == []


def test_webhooks_that_the_house_gave_up_are_named(ready, doctor):
    def give_up(runtime):
        row = {"id": "whk_1", "workspace": "default", "url": "https://example.com/", "secrets": ""}
        EndpointRow.insert(
            **row, patterns='["*"]', enabled=False, disabled_because="gone",
            created_at=1, updated_at=1,
        ).execute()  # fmt: skip

    assert doctor("webhooks") == []
    ready(give_up)
    told = "whk_1 in default is told of no events any more: it answered 410"
    assert doctor("webhooks") == [("warn", told)]


def test_failures_that_nobody_looked_after_are_counted(ready, doctor):
    def fail(runtime):
        made = runtime.starter.start_many([Start(bot="orders")])[0]
        failed = {"status": Status.FAILED, "cause": "error", "finished_at": 1}
        ExecutionRow.update(failed).where(ExecutionRow.id == made.id).execute()

    ready(store(BOT))
    assert doctor("failures") == []
    ready(fail)
    assert doctor("failures") == [("warn", "1 failed executions that nobody has looked after")]
