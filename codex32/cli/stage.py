"""Where tests of bots run: an engine of its own on a database that is thrown away afterwards."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from codex32.cli.context import Context

if TYPE_CHECKING:
    from codex32.services.cases.trying import Trials


@contextlib.asynccontextmanager
async def stage(obj: Context, origin: str = "file") -> AsyncIterator[Trials]:
    """Put the parts together for tests; nothing of the project's own data is opened.

    Args:
      obj: Of the command that tests.
      origin: Who wrote the bots: ``file``, or ``builder`` for a model.
    """
    from codex32.kernel.clock import ManualClock
    from codex32.runtime import open_runtime
    from codex32.services.cases.case import NOON
    from codex32.services.cases.trying import Trials
    from codex32.tables import upgrade_schema

    with tempfile.TemporaryDirectory(prefix="codex32-test-", dir=_memory()) as home:
        alone = Context(obj.folder, obj.files)
        alone.override(
            {
                "home": home,
                "database_url": f"sqlite:///{Path(home, 'test.db')}",
                "storage.directory": str(Path(home, "payloads")),
                "dispatcher": "none",
            }
        )
        upgrade_schema(alone.settings, obj.plugins)
        runtime = open_runtime(alone.settings, "cli", plugins=obj.plugins)
        clock = ManualClock(NOON)
        runtime.clock = clock
        env = runtime.environment()
        try:
            yield Trials(env, clock, runtime.starter, _allowed, origin)
        finally:
            if env.close is not None:
                await env.close()
            runtime.close()


def _memory() -> str | None:
    """A folder in memory where there is one: what is thrown away need not reach a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def _allowed(hosts: Sequence[str], url: str) -> bool:
    """Whether these entries of ``allow.hosts`` name the host of ``url``."""
    from yarl import URL

    from codex32.outside.hosts import normal_host, parse_patterns

    try:
        place = URL(url)
        host = normal_host(place.host or "")
    except ValueError:
        return False
    return any(each.fits(host, place.port or 0) for each in parse_patterns(hosts))
