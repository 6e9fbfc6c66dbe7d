from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from codex32_config import Settings, SettingsError, load_settings


@pytest.fixture
def load(tmp_path: Path):
    def load_one(
        text: str = "", environ: Mapping[str, str] | None = None, **overrides: Any
    ) -> Settings:
        if text:
            (tmp_path / "codex32.yaml").write_text(text)
        return load_settings(folder=tmp_path, environ=environ or {}, overrides=overrides)

    return load_one


def _refused(load, *arguments: Any, **overrides: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(*arguments, **overrides)
    return str(caught.value)


# layers


def test_without_anything_the_defaults_hold(load, tmp_path: Path) -> None:
    settings = load()
    assert settings.home == tmp_path / ".codex32"
    assert settings.database_url == f"sqlite:///{tmp_path}/.codex32/codex32.db"
    assert settings.redis_url is None
    assert settings.bots.folders == (tmp_path / "bots",)
    assert settings.worker.processes == 2
    assert settings.worker.programs == max(2 * os.cpu_count(), 4)
    assert settings.token_file == tmp_path / ".codex32" / "token"
    assert settings.payload_directory == tmp_path / ".codex32" / "payloads"
    assert settings.folder == tmp_path


def test_a_fresh_installation_is_closed(load) -> None:
    settings = load()
    assert settings.api.host == "127.0.0.1"
    assert (settings.api.token, settings.auth.registration, settings.auth.oidc.issuer) == (
        None,
        False,
        None,
    )
    assert not settings.api.cors_origins
    assert not settings.api.trusted_proxies
    assert not settings.outside.private_hosts


def test_each_layer_wins_over_the_ones_below(load) -> None:
    text = "worker: {processes: 3, threads: 3, concurrency: 3}"
    environ = {"CODEX32_WORKER__THREADS": "4", "CODEX32_WORKER__CONCURRENCY": "4"}
    settings = load(text, environ, **{"worker.concurrency": 5})
    worker = settings.worker
    assert (worker.processes, worker.threads, worker.concurrency) == (3, 4, 5)
    assert settings.where("worker.processes") == "codex32.yaml:1"
    assert settings.where("worker.threads") == "CODEX32_WORKER__THREADS"
    assert settings.where("worker.concurrency") == "the command line"
    assert settings.where("worker.lease_seconds") == "default"


def test_files_by_name_stand_in_for_the_projects_own_and_later_ones_win(tmp_path: Path) -> None:
    (tmp_path / "codex32.yaml").write_text("dispatcher: own")
    (tmp_path / "a.yaml").write_text("api: {port: 1}\nlog: {level: debug}")
    (tmp_path / "b.yaml").write_text("api: {port: 2}")
    given = load_settings(folder=tmp_path, files=[Path("a.yaml"), tmp_path / "b.yaml"], environ={})
    named = load_settings(folder=tmp_path, environ={"CODEX32_CONFIG": "a.yaml:b.yaml"})
    for settings in (given, named):
        assert settings.api.port == 2
        assert settings.log.level == "debug"
        assert settings.dispatcher == "dramatiq"
    assert load_settings(folder=tmp_path, environ={}).dispatcher == "own"


def test_relative_paths_are_meant_from_the_project_folder(load, tmp_path: Path) -> None:
    settings = load("home: data\nbots: {folders: [one, /two]}\nstorage: {directory: big}")
    assert settings.home == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/codex32.db"
    assert settings.bots.folders == (tmp_path / "one", Path("/two"))
    assert settings.payload_directory == tmp_path / "big"
    assert load("database_url: sqlite:///x.db").database_url == f"sqlite:///{tmp_path}/x.db"


def test_a_table_whose_lines_are_all_comments_changes_nothing(load) -> None:
    assert load("worker:\n  # processes: 4\n").worker.processes == 2


def test_overrides_may_be_nested_or_dotted(load) -> None:
    settings = load(worker={"threads": 3}, **{"worker.processes": 4})
    assert (settings.worker.threads, settings.worker.processes) == (3, 4)


def test_no_layer_leaks_into_the_next_load(load) -> None:
    load(**{"plugins.x": {"a": 1}, "worker.processes": 9})
    assert load().plugins == {}
    assert load().worker.processes == 2


def test_settings_cannot_be_changed(load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().worker.processes = 3


# the environment


def test_the_environment_gives_numbers_lists_and_truths(load) -> None:
    settings = load(
        environ={
            "CODEX32_API__PORT": "0",
            "CODEX32_LOADING__STRICT": "true",
            "CODEX32_LOADING__BLOCK": "a, b",
            "CODEX32_OUTSIDE__PRIVATE_HOSTS": '["10.0.0.0/8"]',
            "CODEX32_RETENTION__DAYS__FAILED": "1.5",
        }
    )
    assert settings.api.port == 0
    assert settings.loading.strict is True
    assert settings.loading.block == ("a", "b")
    assert settings.outside.private_hosts == ("10.0.0.0/8",)
    assert settings.retention.days.failed == 1.5


def test_a_plugins_table_may_come_from_the_environment_in_part(load) -> None:
    settings = load(
        "plugins: {openai: {base_url: 'http://a', retries: 2}}",
        {"CODEX32_PLUGINS__OPENAI__RETRIES": "5", "CODEX32_PLUGINS__MILVUS__URI": "x.db"},
    )
    assert settings.plugins == {
        "openai": {"base_url": "http://a", "retries": 5},
        "milvus": {"uri": "x.db"},
    }


def test_an_empty_variable_counts_as_not_set(load) -> None:
    assert load(environ={"CODEX32_REDIS_URL": "", "REDIS_URL": ""}).redis_url is None


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"DATABASE_URL": "postgres://d/x"}, "postgres://d/x"),
        ({"DATABASE_URL": "postgres://d/x", "CODEX32_DATABASE_URL": "postgres://c/x"}, "c"),
        ({"TEST_DATABASE_URL": "postgres://t/x"}, "sqlite"),
        ({"TEST_DATABASE_URL": "postgres://t/x", "DATABASE_URL": "postgres://d/x"}, "://d"),
        (
            {
                "TEST_DATABASE_URL": "postgres://t/x",
                "DATABASE_URL": "postgres://d/x",
                "CODEX32_ENV": "test",
            },
            "://t",
        ),
        (
            {
                "TEST_DATABASE_URL": "postgres://t/x",
                "CODEX32_DATABASE_URL": "postgres://c/x",
                "CODEX32_ENV": "test",
            },
            "://c",
        ),
    ],
)
def test_the_classic_names_are_understood_and_ours_win(load, environ, wanted) -> None:
    assert wanted in load(environ=environ).database_url


def test_the_classic_name_of_redis_is_understood(load) -> None:
    assert load(environ={"REDIS_URL": "redis://r/1"}).redis_url == "redis://r/1"
    ours = {"REDIS_URL": "redis://r/1", "CODEX32_REDIS_URL": "unix:///s"}
    assert load(environ=ours).redis_url == "unix:///s"


def test_a_value_may_stand_in_a_file(load, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    settings = load(environ={"CODEX32_API__TOKEN_FILE": str(tmp_path / "token")})
    assert settings.api.token is not None
    assert settings.api.token.get_secret_value() == "s3cret"


def test_a_value_file_that_is_not_there_is_named(load) -> None:
    told = _refused(load, "", {"CODEX32_API__TOKEN_FILE": "/nowhere"})
    assert told == "CODEX32_API__TOKEN_FILE: /nowhere cannot be read: No such file or directory"


def test_a_value_and_its_file_together_are_refused(load) -> None:
    both = {"CODEX32_API__TOKEN_FILE": "/x", "CODEX32_API__TOKEN": "y"}
    assert "CODEX32_API__TOKEN is set too" in _refused(load, "", both)


def test_names_of_ours_that_are_no_settings_are_passed_over(load) -> None:
    load(
        environ={
            "CODEX32_SECRET_SLACK_URL": "x",
            "CODEX32_SECRET_SLACK_FILE": "/nowhere",
            "CODEX32_TEST_REDIS_URL": "x",
            "CODEX32_FAULT_POINTS": "x",
            "CODEX32_TRACE_PLUGINS": "1",
            "CODEX32_ENV": "production",
        }
    )


# faults


def test_all_faults_are_told_together_each_with_its_place(load) -> None:
    told = _refused(
        load,
        "worker:\n  proceses: 4\n  threads: many\n",
        {"CODEX32_API__PROT": "1", "REDIS_URL": "http://r"},
        **{"log.level": "loud"},
    ).splitlines()
    assert sorted(told) == [
        "CODEX32_API__PROT: api.prot: no setting has this name (did you mean 'port'?)",
        "REDIS_URL: redis_url: write redis://HOST:PORT/0, rediss://… or unix:///PATH",
        "codex32.yaml:2: worker.proceses: no setting has this name (did you mean 'processes'?)",
        "codex32.yaml:3: worker.threads: input should be a valid integer, "
        "unable to parse string as an integer",
        "the command line: log.level: input should be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a", "codex32.yaml:1: settings must be a table of names and values"),
        ("api: {port: 1}\napi: {port: 2}", "codex32.yaml:2: api is set twice; keep one"),
        ("api:\n  port: 1\n  port: 2", "codex32.yaml:3: api.port is set twice"),
        ("api: [", "codex32.yaml:1: "),
        ("api: {port: 70000}", "codex32.yaml:1: api.port: input should be less than or equal"),
        ("plugins: {openai: yes}", "codex32.yaml:1: plugins.openai: input should be a valid dic"),
        ("database_url: mysql://x", "codex32.yaml:1: database_url: write sqlite:///PATH or"),
        ("bots: {folders: [a, 3]}", "codex32.yaml:1: bots.folders.1: input"),
        ("worker: {lease_seconds: 0}", "codex32.yaml:1: worker.lease_seconds: input should be gr"),
        ("? [a, b]\n: 1", "codex32.yaml:1: "),
        ("a: !!python/object:os.system x", "codex32.yaml:1: could not determine a constructor"),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_line(load, text: str, told: str) -> None:
    assert _refused(load, text).startswith(told)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^gone\.yaml: it cannot be read: No such file"):
        load_settings(folder=tmp_path, files=[Path("gone.yaml")], environ={})


def test_a_table_and_a_value_under_one_name_are_refused(load) -> None:
    clash = {"CODEX32_API": "x", "CODEX32_API__PORT": "1"}
    told = _refused(load, "", clash)
    assert told == "CODEX32_API__PORT: api was given a value of its own by CODEX32_API"


def test_a_refused_secret_is_not_repeated(load) -> None:
    told = _refused(
        load,
        "api: {token: [hush]}\nplugins: {x: hush}",
        {"CODEX32_DATABASE_URL": "mysql://u:hush@h/x", "REDIS_URL": "http://:hush@h"},
    )
    assert told.count("\n") == 3
    assert "hush" not in told


# what is shown


def test_what_is_shown_holds_no_secret(load) -> None:
    settings = load(
        "api: {token: hush}\n"
        "plugins:\n  openai: {api_key: hush, base_url: 'https://u:hush@h/x', retries: 3}\n"
        "  mail: {accounts: [{password: hush}], tokens: [hush]}",
        {
            "CODEX32_DATABASE_URL": "postgresql://user:hush@host:5432/name?sslmode=require",
            "CODEX32_REDIS_URL": "redis://:hush@host:6379/0",
        },
    )
    shown = settings.redacted()
    assert "hush" not in str(shown) + repr(settings)
    masked = "postgresql://user:********@host:5432/name?sslmode=require"
    assert shown["database_url"] == masked
    assert shown["plugins"]["openai"]["retries"] == 3
    assert shown["worker"] == settings.worker.model_dump()


def test_a_password_in_a_urls_query_is_masked(load) -> None:
    settings = load(database_url="postgresql:///x?user=u&password=hush&sslmode=off")
    shown = settings.redacted()["database_url"]
    assert shown == "postgresql:///x?user=u&password=********&sslmode=off"


# the shipped files

_DEFAULTS = files("codex32_config").joinpath("default.yaml").read_text(encoding="utf-8")
_ROOT = Path(__file__).parents[3]


def _settings_with_comments(text: str) -> dict[str, str]:
    """Dotted names of all settings, each with the comment right above it."""
    found: dict[str, str] = {}
    above: list[str] = []
    comment = ""
    for line in text.splitlines():
        if match := re.fullmatch(r"( *)# (.*)", line):
            comment = match[2]
        elif match := re.fullmatch(r"( *)([a-z_]+):(.*)", line):
            depth = len(match[1]) // 2
            above = [*above[:depth], match[2]]
            if match[3]:
                found[".".join(above)] = comment
                comment = "" if depth < 2 else comment
    return found


def test_every_default_has_a_comment_and_is_documented() -> None:
    page = (_ROOT / "docs" / "reference" / "settings.md").read_text()
    found = _settings_with_comments(_DEFAULTS)
    assert len(found) == len(re.findall(r"^ *[a-z_]+: \S", _DEFAULTS, re.MULTILINE))
    for name, comment in found.items():
        assert comment, f"{name} has no comment"
        value = yaml.safe_load(_DEFAULTS)
        for part in name.split("."):
            value = value[part]
        shown = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
        assert f"| `{name}` | `{shown}` | {comment} |" in page


@pytest.mark.parametrize("path", sorted(_ROOT.glob("config/*.yaml")), ids=lambda path: path.name)
def test_every_overlay_can_be_loaded(path: Path) -> None:
    load_settings(folder=_ROOT, files=[path], environ={})


def test_the_ground_imports_nothing_of_the_house() -> None:
    program = (
        "import codex32_config, sys;"
        "print([m for m in sys.modules if m.partition('.')[0] in "
        "{'codex32', 'peewee', 'aiohttp', 'dramatiq', 'redis', 'pydantic_settings'}])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout == "[]\n", told.stderr


# MCP servers


@pytest.mark.parametrize("query", ["api_key=sesame", "a=1&Token=sesame", "access%5Ftoken=sesame"])
def test_a_secret_in_the_url_of_an_mcp_server_is_refused_and_not_told(load, query) -> None:
    told = _refused(load, f'mcp: {{servers: {{web: {{url: "https://example.com/mcp?{query}"}}}}}}')
    assert "looks like a secret" in told
    assert "sesame" not in told


def test_the_path_of_an_mcp_server_may_name_a_secret_and_its_host_may_not(load) -> None:
    url = "https://example.com/s/${{ secrets.SHOP }}/mcp"
    assert load(_web(f'url: "{url}"')).mcp.servers["web"].url == url
    for wrong in ("https://${{ secrets.SHOP }}/mcp", "https://example.com/${{ shop }}/mcp"):
        assert "write https://HOST/" in _refused(load, _web(f'url: "{wrong}"'))


def test_oauth_of_an_mcp_server_names_its_secret_and_leaves_no_other_credentials(load) -> None:
    oauth = {
        "token_url": "https://login.example.com/token",
        "client_id": "codex32",
        "client_secret": "${{ secrets.CRM }}",
    }
    here = 'url: "https://example.com/mcp"'
    found = load(_web(f"{here}, oauth: {json.dumps(oauth)}")).mcp.servers["web"].oauth
    assert found.model_dump() == {**oauth, "scope": ""}
    plain = json.dumps({**oauth, "client_secret": "hunter2"})
    told = _refused(load, _web(f"{here}, oauth: {plain}"))
    assert "write ${{ secrets.NAME }}" in told
    assert "hunter2" not in told
    header = 'headers: {Authorization: "Bearer ${{ secrets.OTHER }}"}'
    told = _refused(load, _web(f"{here}, {header}, oauth: {json.dumps(oauth)}"))
    assert "oauth makes the header Authorization" in told
    told = _refused(load, _web(f"command: [crm], oauth: {json.dumps(oauth)}"))
    assert "are for a url" in told


def _web(server: str) -> str:
    return f"mcp: {{servers: {{web: {{{server}}}}}}}"


def test_the_url_of_an_mcp_server_may_have_a_query(load) -> None:
    settings = load('mcp: {servers: {web: {url: "https://example.com/mcp?region=eu"}}}')
    assert settings.mcp.servers["web"].url == "https://example.com/mcp?region=eu"
