"""Which drivers a process loads."""

import subprocess
import sys

import pytest

_LOAD = """
import sys
from codex32.kernel.drivers import load_peewee
load_peewee({url!r})
import peewee
from codex32 import runtime
from codex32_workers import worker, scheduler
loaded = ["psycopg2" in sys.modules, "playhouse.migrations" in sys.modules]
print(peewee.psycopg2 is not None, *loaded)
import psycopg2.extensions  # whoever asks for it gets it
print(psycopg2.connect is not None)
"""


@pytest.mark.parametrize(
    ("url", "loaded"), [("sqlite:///some.db", False), ("postgresql://localhost/some", True)]
)
def test_a_house_on_sqlite_does_without_the_driver_of_postgresql(url, loaded):
    told = subprocess.run(
        [sys.executable, "-P", "-c", _LOAD.format(url=url)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [str(loaded), str(loaded), "False", "True"]


_SPEAK = """
import sys
from codex32.cli import logs
print("rich" in sys.modules)
import rich.console  # whoever asks for it gets it
print("rich" in sys.modules)
"""


def test_who_writes_lines_does_without_what_draws_for_terminals():
    told = subprocess.run(
        [sys.executable, "-P", "-c", _SPEAK], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "True"]
