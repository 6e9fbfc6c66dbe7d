import importlib.util

from click.testing import CliRunner

from codex32.api.command import serve


def test_without_aiohttp_it_names_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    answer = CliRunner().invoke(serve)
    assert answer.exit_code == 1
    assert "install codex32[api]" in answer.output
