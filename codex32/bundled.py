"""The Redis server that comes along, for a house that is told of no other."""

from __future__ import annotations

from codex32.outside.redis_server import BundledRedis
from codex32_config.settings import Settings


def start_bundled_redis(settings: Settings) -> BundledRedis:
    """The Redis server that comes along, started in the home folder.

    Raises:
      RedisNotRunning: Its wheel is not installed, or it does not come up.
    """
    server = BundledRedis(settings.home)
    server.start()
    return server


def running_redis_url(settings: Settings) -> str | None:
    """Where Redis is: as the settings say, or the bundled one if it runs for this home folder."""
    if settings.redis_url is not None:
        return settings.redis_url
    server = BundledRedis(settings.home)
    return server.url if server.alive() else None
