"""Automation 5: a price is watched; alerts come once each, and by night together at seven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from codex32_automations import changed, sample
from codex32_hands import Hands
from codex32_houses import House, until

from codex32_testing.servers.apart import apart
from codex32_testing.servers.base import Answer, Asked, ServiceServer

START = datetime(2027, 1, 4, 11, tzinfo=UTC)


class Shop(ServiceServer):
    """Tells a price, or fails, and takes alerts."""

    def __init__(self) -> None:
        super().__init__()
        self.price: float | None = 7.5
        self.alerts: list[str] = []

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/hooks/alerts":
            self.alerts.append(asked.json()["text"])
            return Answer(json={})
        return Answer(500) if self.price is None else Answer(json={"price": self.price})


class Watch:
    """The bot at work, a quarter of an hour at a time."""

    def __init__(self, house: House, hands: Hands, shop: Shop) -> None:
        self.house, self.hands, self.shop = house, hands, shop
        self.at, self.count = START, 0

    def look(self, *prices: float | None, hours: float = 0.25) -> None:
        """Let it look once at each of these prices, so many hours after one another."""
        for price in prices:
            self.shop.price = price
            self.at += timedelta(hours=hours)
            self.count += 1
            self.hands.put_to(self.at + timedelta(seconds=1))
            until(lambda: len(self.made()) >= self.count, f"it looks at {self.at}")
            until(lambda: self._settled(self.made()[0]), "it has judged")
        assert len(self.made()) == self.count

    def made(self) -> list[Any]:
        return self.house.executions("price-alert")

    def _settled(self, execution: Any) -> bool:
        return execution["status"] in ("succeeded", "skipped", "waiting")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["servers", "postgresql"])
def test_a_price_is_told_when_it_matters_and_when_people_are_awake(
    build: Any, hands: Hands, kind: str
) -> None:
    with apart(Shop) as (shop, _):
        place = shop.url().removeprefix("http://")
        house: House = build(kind, {"outside": {"private_hosts": [place]}})
        hands.put_to(START - timedelta(minutes=5))
        house.start()
        text = changed(sample("bots/price-alert.yaml"), {"127.0.0.1:8765": place})
        house.add("price-alert", text)
        watch = Watch(house, hands, shop)
        hands.put_to(START + timedelta(seconds=1))
        watch.at -= timedelta(minutes=15)

        # Five per cent since it last told, not since it last looked; and a limit, once.
        watch.look(7.5, 7.7, 7.87)
        assert shop.alerts == []
        watch.look(7.88, 8.05)
        assert shop.alerts == ["7.88 (+5.1 %)"]
        watch.look(8.09, 7.95, 8.05)
        assert shop.alerts[1:] == ["8.09 is above 8.00"]

        # Three failures in a row are one alert, and so is the end of it.
        watch.look(None, None, 8.05, None, None)
        assert len(shop.alerts) == 2
        watch.look(None, None, None, 8.05, 8.05)
        assert shop.alerts[2:] == ["the source is down", "the source has recovered"]

        # Two hours without a scheduler are made up for by one look.
        house.end("scheduler")
        hands.put_to(watch.at + timedelta(hours=2, seconds=1))
        house.launch("scheduler", "scheduler")
        watch.at += timedelta(hours=1.75)
        watch.look(8.05)
        watch.look(8.05)

        # By night everything waits, without a worker; at seven in Berlin it is told at once.
        watch.at = datetime(2027, 1, 4, 22, tzinfo=UTC)
        before = len(shop.alerts)
        _jump(watch)
        watch.look(9.0, 9.9, 7.0)
        assert len(shop.alerts) == before
        waiting = [each for each in watch.made() if each["status"] == "waiting"]
        assert len(waiting) == 3
        watch.look(7.0, hours=7.75)  # from 23:45 to 7:30 in Berlin
        until(lambda: len(shop.alerts) > before, "it is told in the morning")
        assert shop.alerts[before:] == ["9.00 (+11.2 %)\n9.90 (+10.0 %)\n7.00 is below 8.00"]
        ended = [house.reach(each["id"], "succeeded", "skipped") for each in waiting]
        assert sorted(each["status"] for each in ended) == ["skipped", "skipped", "succeeded"]


def _jump(watch: Watch) -> None:
    """The evening passes, and is made up for by one look."""
    watch.at -= timedelta(minutes=15)
    watch.look(8.05)
