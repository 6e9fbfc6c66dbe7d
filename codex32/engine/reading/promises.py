"""What a bot file may say and this version does not do yet: refused, rather than passed over.

A limit that is read and not kept would be worse than none. Each entry goes when its part comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codex32.kernel.bot import Bot
from codex32.kernel.problems import Problem


def unkept(bot: Bot) -> Sequence[Problem]:
    """What ``bot`` asks for that would not happen."""
    return [
        Problem(f"{what} is not kept by this version yet; remove it", path=path, code="not-yet")
        for what, path in _asked(bot)
    ]


def _asked(bot: Bot) -> Iterator[tuple[str, str]]:
    if bot.alerts:
        yield "alerts", "alerts"
