"""What bare Dramatiq runs: an actor that does nothing, on the stock broker with its defaults."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=os.environ["BENCHMARK_REDIS_URL"])
dramatiq.set_broker(broker)


@dramatiq.actor
def nothing() -> None:
    """Do nothing."""
