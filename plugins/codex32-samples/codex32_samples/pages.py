"""What the pages say at a moment; the same moment always gives the same page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

#: Seconds between two entries of the feed, and between two moves of a price.
ENTRY_SECONDS = 20
PRICE_SECONDS = 10
#: How many entries the feed shows.
ENTRIES = 5
#: A minute in three, this service is down.
SHAKY = "billing"

_PROJECTS = ("Ginkgo", "Larch", "Rowan", "Sequoia", "Yew")
_NEWS = ("fixes a crash at start", "is twice as fast", "speaks Danish", "needs less memory")


def feed(now: float, base: str, project: str | None = None) -> str:
    """The RSS feed at ``now`` (seconds since 1970), newest entry first; of one project or of all.

    Raises:
      ValueError: There is no such project.
    """
    newest, step = int(now) // ENTRY_SECONDS, 1
    if project is not None:
        step = len(_PROJECTS)
        newest -= (newest - _PROJECTS.index(project.title())) % step
    entries = "".join(_entry(newest - back * step, base) for back in range(ENTRIES))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>'
        f"<title>Releases in the arboretum</title><link>{escape(base)}</link>"
        f"<description>Made up, for the sample bots</description>{entries}</channel></rss>\n"
    )


def _entry(number: int, base: str) -> str:
    name, news = _PROJECTS[number % len(_PROJECTS)], _NEWS[number % len(_NEWS)]
    title = f"{name} {number // 100 % 10}.{number % 100} {news}"
    moment = datetime.fromtimestamp(number * ENTRY_SECONDS, UTC)
    link = escape(f"{base}/releases/{number}")
    return (
        f"<item><title>{escape(title)}</title><link>{link}</link><guid>{link}</guid>"
        f"<pubDate>{format_datetime(moment)}</pubDate></item>"
    )


def price(item: str, now: float) -> Mapping[str, object]:
    """The price of ``item`` at ``now``: it swings around one of its own, a few per cent."""
    beat = int(now) // PRICE_SECONDS
    base = 500 + sum(item.encode()) % 1500
    # Any arithmetic does that looks like a market and knows no chance.
    swing = (beat * 37 + sum(item.encode())) % 21 - 10
    cents = base + base * swing // 100
    moment = datetime.fromtimestamp(beat * PRICE_SECONDS, UTC)
    return {"item": item, "price": cents / 100, "currency": "EUR", "at": moment.isoformat()}


def is_up(service: str, now: float) -> bool:
    """Whether a service answers at ``now``."""
    return service != SHAKY or int(now) // 60 % 3 != 0
