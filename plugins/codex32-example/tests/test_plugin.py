import subprocess
import sys
from pathlib import Path

import pytest

import codex32_example
from codex32_testing.loading import load_plugin


def test_the_plugin_offers_a_bot_type_and_a_notifier():
    plugins = load_plugin(codex32_example)
    assert plugins.records[0].offers == {"bot_types": ("feed",), "notifiers": ("ntfy",)}


def test_a_wrong_server_is_named_with_its_place():
    with pytest.raises(Exception, match=r"plugins\.under_test\.server: 'ntfy' is no address"):
        load_plugin(codex32_example, {"server": "ntfy"})


def test_loading_the_plugin_imports_no_parser():
    code = "import sys, codex32_example; print('defusedxml' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "False", answer.stderr


def test_the_plugin_uses_the_public_face_alone():
    folder = Path(__file__).parents[1]
    lint = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [lint, "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
