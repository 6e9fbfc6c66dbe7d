"""``codex32 plan`` and ``apply`` against a server that is really there."""

import http.server
import io
import json
import threading

import pytest

from codex32.cli import remote
from codex32.cli.main import run
from codex32.services.bots.written import FILE, Written

TOKEN = "a token of the test"
ONE = "# kept\nname: one\ntype: set\nwith: {values: {a: 1}}\n"
PAIR = """\
name: two
type: set
with: {values: {}}
---
name: three
type: python
with: {file: code.py}
"""
CODE = "def main():\n    return 1\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project elsewhere, signed in at nothing, with three bots in two files."""
    place = tmp_path / "elsewhere"
    (place / "bots").mkdir(parents=True)
    (place / "bots" / "one.yaml").write_text(ONE)
    (place / "bots" / "pair.yaml").write_text(PAIR)
    (place / "bots" / "code.py").write_text(CODE)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CODEX32_TOKEN", TOKEN)
    return place / "bots"


@pytest.fixture
def codex32(served, folder, capfd):
    """Carries out a command against the server: its exit code and its JSON."""

    def call(command, *args):
        capfd.readouterr()
        code = run([command, "bots", "--server", served, "--json", *args])
        told = capfd.readouterr()
        return code, json.loads(told.out or told.err)

    return call


def actions(told):
    return {each["name"]: each["action"] for each in told["bots"]}


def test_what_is_here_comes_there_and_then_nothing_is_left_to_do(codex32, runtime):
    code, told = codex32("plan")
    assert (code, actions(told)) == (2, {"one": "create", "two": "create", "three": "create"})
    code, told = codex32("apply", "--yes", "--message", "first")
    assert code == 0
    assert {(r["name"], r["version"], r["error"]) for r in told["results"]} == {
        (name, 1, None) for name in ("one", "two", "three")
    }
    assert codex32("plan") == (0, {**codex32("plan")[1], "bots": [], "unchanged": 3})
    code, told = codex32("apply", "--yes")
    assert (code, told["results"]) == (0, [])


def test_a_change_is_told_by_path_and_comments_travel_along(codex32, folder, served):
    codex32("apply", "--yes")
    (folder / "one.yaml").write_text(ONE.replace("a: 1", "a: 2"))
    (folder / "code.py").write_text(CODE.replace("1", "2"))
    code, told = codex32("plan")
    changes = {each["name"]: [c["path"] for c in each["changes"]] for each in told["bots"]}
    assert (code, changes) == (2, {"one": ["with.values.a"], "three": ["with.code"]})
    assert codex32("apply", "--yes")[0] == 0
    text = remote.call(served, "GET", "/api/v1/bots/one/versions", token=TOKEN)
    assert text["items"][0]["changes"] == ["with.values.a: 1 -> 2"]
    assert codex32("plan")[0] == 0


def test_only_prune_deletes_and_a_broken_file_stops_all_but_who_keeps_going(
    codex32, folder, served
):
    codex32("apply", "--yes")
    (folder / "one.yaml").unlink()
    code, told = codex32("plan")
    assert (code, actions(told)) == (0, {"one": "only there"})
    (folder / "pair.yaml").write_text("name: two\ntype: sett\n")
    (folder / "four.yaml").write_text("type: set\nwith: {values: {}}\n")
    code, told = codex32("apply", "--yes", "--prune")
    assert (code, told["code"]) == (1, "bot-invalid")
    code, told = codex32("apply", "--yes", "--keep-going", "--prune")
    assert (code, [r["name"] for r in told["results"]]) == (1, ["four"])
    (folder / "pair.yaml").write_text(PAIR)
    code, told = codex32("apply", "--yes", "--prune")
    assert (code, [(r["name"], r["action"]) for r in told["results"]]) == (0, [("one", "delete")])
    there = remote.call(served, "GET", "/api/v1/bots", token=TOKEN)["items"]
    assert [bot["name"] for bot in there] == ["four", "three", "two"]


def test_what_belongs_to_a_file_there_is_left_alone(codex32, runtime):
    text = "name: one\ntype: set\nwith: {values: {}}\n"
    bot = runtime.reader.read_text(text).only_bot()
    written = Written.of(bot, text, FILE, "/bots/one.yaml")
    now = runtime.clock.micros()
    runtime.door.write_now(lambda: runtime.registry.store(written, now))
    code, told = codex32("apply", "--yes")
    refused = next(each for each in told["bots"] if each["name"] == "one")
    assert (code, refused["action"]) == (1, "refused")
    assert refused["reason"] == "there it belongs to the file bots/one.yaml"
    assert {r["name"] for r in told["results"]} == {"two", "three"}


def test_what_somebody_changed_meanwhile_is_left_alone_and_told(
    codex32, folder, served, monkeypatch
):
    codex32("apply", "--yes")
    (folder / "one.yaml").write_text(ONE.replace("a: 1", "a: 2"))
    from codex32.cli import differences

    honest = differences.Server.carry_out

    def overtaken(self, entry, message):
        body = {"description": "from elsewhere"}
        remote.call(served, "PATCH", f"/api/v1/bots/{entry.name}", token=TOKEN, body=body)
        return honest(self, entry, message)

    monkeypatch.setattr(differences.Server, "carry_out", overtaken)
    code, told = codex32("apply", "--yes")
    assert (code, told["results"][0]["error"]) == (1, "precondition-failed")
    there = remote.call(served, "GET", "/api/v1/bots/one", token=TOKEN)
    assert (there["version"], there["description"]) == (2, "from elsewhere")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_yes_somebody_is_asked(codex32, served, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code = run(["apply", "bots", "--server", served])
    assert code == 130
    assert remote.call(served, "GET", "/api/v1/bots", token=TOKEN)["items"] == []


def test_a_server_that_wants_patience_gets_it():
    asked = []

    class Busy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            busy = len(asked) < 3
            self.send_response(429 if busy else 200)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(b'{"code":"busy","detail":"later"}')

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(remote.CommandFailed, match="later"):
            remote.call(url, "GET", "/", tries=1)
        assert remote.call(url, "GET", "/", tries=3)["code"] == "busy"
        server.shutdown()
    assert len(asked) == 3
