"""Commands that need little import little."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("peewee", "jsonschema", "ruamel", "rich", "aiohttp", "dramatiq", "redis", "watchfiles")


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--version"], ("pydantic", "yaml", *HEAVY)),
        (["validate", "--help"], ("pydantic", *HEAVY)),
        (["up", "--help"], ("pydantic", *HEAVY)),
        # Settings name the database, and with it the driver that peewee may load.
        (["config", "show"], tuple(name for name in HEAVY if name != "peewee")),
    ],
)
def test_what_is_not_needed_is_not_imported(arguments: list[str], heavy: tuple[str, ...]) -> None:
    code = (
        "import sys; from codex32.cli.main import run; assert run(sys.argv[2:]) == 0; "
        "print('loaded', [name for name in sys.argv[1].split() if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, " ".join(heavy), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "loaded []"
