"""Users, workspaces, keys and signing in, from the command line."""

from __future__ import annotations

import io
import json
import re
import stat
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from codex32.cli.context import Context
from codex32.cli.credentials import server_and_token
from codex32.cli.failures import CommandFailed
from codex32.cli.remote import call

PHRASE = "a fresh fine phrase"


@pytest.fixture
def ready(codex32, project, monkeypatch, tmp_path_factory):
    """A project with tables, and a home of the user's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    assert codex32("db", "upgrade").code == 0
    return codex32


@pytest.fixture
def typed(monkeypatch):
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))


@dataclass
class Server:
    """The API of the project, in a process of its own, and what it said at its start."""

    url: str
    said: str


@pytest.fixture
def server(ready, project):
    with (project / "said").open("w+") as said:
        command = [sys.executable, "-m", "codex32", "serve", "--port", "0"]
        process = subprocess.Popen(command, cwd=project, stdout=said, stderr=said)
        try:
            home, deadline = project / ".codex32", time.monotonic() + 60
            while not (home / "api.json").exists() or "once" not in (project / "said").read_text():
                assert process.poll() is None, (project / "said").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            url = json.loads((home / "api.json").read_text())["url"]
            yield Server(url, (project / "said").read_text())
        finally:
            process.terminate()
            process.wait(60)


def test_users_are_made_listed_changed_disabled_and_deleted(ready):
    made = ready("users", "create", "anna", "--email", "A@example.com", "--json").json
    assert (made["username"], made["email"], made["admin"]) == ("anna", "a@example.com", False)
    assert made["code"].startswith("cx32_once_")
    assert ready("users", "change", "anna", "--name", "Anna A.", "--admin").code == 0
    told = ready("users", "disable", "a@example.com", "--json")
    assert told.fault["code"] == "last-administrator"
    assert ready("users", "change", "anna", "--no-admin", "--json").code == 3
    assert ready("users", "create", "root", "--email", "r@example.com", "--admin").code == 0
    assert ready("users", "disable", "anna").out == "anna is disabled\n"
    (anna, _) = ready("users", "list", "--json").json["users"]
    assert (anna["active"], anna["full_name"]) == (False, "Anna A.")
    assert ready("users", "enable", "anna").code == 0
    assert ready("users", "delete", "anna", "--yes").out == "anna is deleted\n"
    assert ready("users", "reset", "anna", "--json").fault["code"] == "account-not-found"
    for bad in (("Anna", "a@example.com"), ("anna", "nowhere")):
        assert ready("users", "create", bad[0], "--email", bad[1]).code == 2


def test_passwords_are_set_from_standard_input_and_refused_when_they_are_guessed(ready, typed):
    ready("users", "create", "anna", "--email", "a@example.com")
    typed("password1")
    told = ready("users", "passwd", "anna", "--password-stdin", "--json")
    assert told.fault["code"] == "password-refused"
    typed(PHRASE)
    assert ready("users", "passwd", "anna", "--password-stdin").code == 0


def test_workspaces_are_made_filled_and_deleted(ready):
    ready("users", "create", "anna", "--email", "a@example.com")
    assert ready("workspaces", "create", "lab", "--title", "The lab").code == 0
    listed = ready("workspaces", "list", "--json").json["workspaces"]
    assert [each["name"] for each in listed] == ["default", "lab"]
    assert ready("workspaces", "add", "lab", "anna", "--role", "admin").code == 0
    (member,) = ready("workspaces", "members", "lab", "--json").json["members"]
    assert (member["username"], member["role"]) == ("anna", "admin")
    assert ready("workspaces", "remove", "lab", "anna").code == 0
    assert (
        ready("workspaces", "remove", "lab", "anna", "--json").fault["code"] == "member-not-found"
    )
    assert ready("workspaces", "delete", "default", "--yes").code == 3
    assert ready("workspaces", "delete", "lab", "--yes").code == 0
    assert ready("workspaces", "members", "lab", "--json").fault["code"] == "workspace-not-found"


def test_keys_are_shown_once_and_bounded_by_their_owner(ready):
    ready("users", "create", "anna", "--email", "a@example.com")
    ready("workspaces", "add", "default", "anna", "--role", "viewer")
    asked = ("keys", "create", "--owner", "anna", "--name", "ci", "--json", "--scope")
    assert ready(*asked, "bots.execute").fault["code"] == "scopes-refused"
    made = ready(*asked, "bots.read").json
    (listed,) = ready("keys", "list", "--json").json["keys"]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert ready("keys", "revoke", made["id"]).code == 0
    assert ready("keys", "list", "--json").json["keys"] == []
    assert len(ready("keys", "list", "--all", "--json").json["keys"]) == 1


def test_the_first_administrator_signs_in_with_the_code_that_the_first_start_prints(
    ready, server, typed
):
    (code,) = re.findall(r"cx32_once_[\w-]+", server.said)
    typed("password1")
    refused = ready("login", "--code", code, "--password-stdin", "--json")
    assert refused.fault["code"] == "password-refused"
    typed(PHRASE)
    told = ready("login", "--code", code, "--password-stdin", "--json").json
    assert (told["server"], told["user"]) == (server.url, "admin")
    path = Path(told["file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    assert PHRASE not in before
    assert ready("whoami", "--json").json["account"]["username"] == "admin"
    assert path.read_text() != before  # the token was used up and replaced
    url, token = server_and_token(Context())
    assert (url, token.count(".")) == (server.url, 2)
    assert ready("logout").out == f"signed out of {server.url}\n"
    assert "admin" not in path.read_text()
    typed("wrong")
    wrong = ready("login", "--user", "admin", "--password-stdin", "--json")
    assert (wrong.code, wrong.fault["code"]) == (3, "invalid_grant")
    typed(PHRASE)
    assert ready("login", "--user", "admin", "--password-stdin").code == 0
    typed("another fine phrase")
    assert ready("users", "passwd", "admin", "--password-stdin").code == 0
    # Another process did that, and the server knows within a moment.
    ended = ready("whoami", "--json")
    assert "has ended; run: codex32 login" in ended.fault["message"]


def test_a_fresh_installation_is_closed(ready, server, project, monkeypatch):
    for user, password in (("admin", "admin"), ("admin", "password"), ("codex32", "codex32")):
        form = {"grant_type": "password", "username": user, "password": password}
        with pytest.raises(CommandFailed) as raised:
            call(server.url, "POST", "/api/v1/auth/token", form=form)
        assert raised.value.code == "invalid_grant"
    with pytest.raises(CommandFailed, match="Authorization"):
        call(server.url, "GET", "/api/v1/bots")
    assert server.url.startswith("http://127.0.0.1:")
    # Whoever may read the operator's token is the operator here, and only here.
    assert ready("whoami", "--json").json["kind"] == "operator"
    told = ready("whoami", "--server", "http://127.0.0.1:1", "--json")
    assert told.fault["code"] == "login"
    monkeypatch.setenv("CODEX32_SERVER", server.url + "/")
    monkeypatch.setenv("CODEX32_TOKEN", (project / ".codex32" / "token").read_text().strip())
    assert server_and_token(Context())[0] == server.url
    assert ready("whoami", "--json").json["name"] == "operator"
    monkeypatch.setenv("CODEX32_TOKEN", "wrong")
    assert ready("whoami", "--json").fault["code"] == "invalid-token"


def test_a_token_is_not_carried_to_where_a_server_points():
    asked = []

    class Pointing(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Pointing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(CommandFailed, match="answers with 302"):
            call(f"http://127.0.0.1:{server.server_port}", "GET", "/here", token="t")
        server.shutdown()
    assert asked == ["/here"]


@pytest.mark.parametrize("server", ["ftp://example.com", "file:///etc/passwd", "example.com"])
def test_only_http_leads_to_a_server(server):
    with pytest.raises(CommandFailed, match="is no server"):
        call(server, "GET", "/x", token="t")
