import subprocess
import sys

from codex32.kernel.plugins import Plugins


def test_the_house_offers_what_the_bot_file_names():
    plugins = Plugins.load(
        {}, strict=True, group="codex32.none", extra=[("builtin", "codex32.builtin.plugin")]
    )
    (record,) = plugins.records
    assert {kind: set(names) for kind, names in record.offers.items()} == {
        "bot_types": {
            "agent",
            "answer",
            "approve",
            "bot",
            "dedupe",
            "end",
            "event",
            "gather",
            "http",
            "llm",
            "index",
            "mcp",
            "notify",
            "python",
            "retrieve",
            "set",
            "sql",
            "wait",
        },
        "trigger_types": {"at", "cron", "event", "every", "file", "mcp", "webhook"},
        "notifiers": {"log", "webhook"},
        "llm_providers": {"echo"},
        "embedders": {"hash"},
        "vector_stores": {"memory"},
        "secret_stores": {"environment"},
    }


def test_knowing_the_plugin_imports_nothing_it_offers():
    code = (
        "import sys, codex32.builtin.plugin\n"
        "print([name for name in sys.modules if name.startswith('codex32.builtin.')])\n"
        "print('aiohttp' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['codex32.builtin.plugin']\nFalse"
