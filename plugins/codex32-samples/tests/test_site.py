"""The site is the same at the same moment, and changes when time goes on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from xml.etree import ElementTree

import pytest
from aiohttp.test_utils import TestClient, TestServer

from codex32_samples import pages
from codex32_samples.site import build_site


class Hand:
    """The hand of a clock, moved by the test."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def get(hand: Hand, said: list[str]) -> AsyncIterator[Callable[..., Awaitable[object]]]:
    async with TestClient(TestServer(build_site(hand, said.append))) as client:

        async def ask(path: str, **body: object) -> tuple[int, str]:
            method = client.post if body else client.get
            async with method(path, **body) as answer:
                return answer.status, await answer.text()

        yield ask


def titles(feed: str) -> list[str]:
    return [item.findtext("title", "") for item in ElementTree.fromstring(feed).iter("item")]


async def test_the_feed_gains_one_entry_a_beat_and_keeps_the_others(get, hand) -> None:
    _, before = await get("/feed.xml")
    assert await get("/feed.xml") == (200, before)
    hand.at += pages.ENTRY_SECONDS
    _, after = await get("/feed.xml")
    assert len(titles(before)) == pages.ENTRIES
    assert titles(after)[1:] == titles(before)[:-1]
    assert titles(after)[0] not in titles(before)


def test_a_price_moves_and_stays_near_its_own_base() -> None:
    seen = {pages.price("tea", 1_800_000_000 + 10 * beat)["price"] for beat in range(42)}
    assert len(seen) == 21
    assert max(seen) <= min(seen) * 1.3


def test_the_shaky_service_is_down_a_minute_in_three_and_the_others_never() -> None:
    minutes = [1_800_000_000 + 60 * minute for minute in range(30)]
    assert sum(pages.is_up("billing", now) for now in minutes) == 20
    assert all(pages.is_up("shop", now) for now in minutes)


async def test_a_service_that_is_down_answers_503(get, hand) -> None:
    hand.at = 180.0 * 10
    assert (await get("/health/billing"))[0] == 503
    assert (await get("/health/shop"))[0] == 200


async def test_a_flaky_page_fails_twice_for_each_key(get) -> None:
    assert [(await get("/flaky/a"))[0] for _ in range(3)] == [503, 503, 200]
    assert (await get("/flaky/b"))[0] == 503


async def test_a_webhook_is_said_in_one_line(get, said) -> None:
    await get("/hooks/team", json={"text": "three new releases"})
    await get("/hooks/team", data=b"plain")
    assert said == ["webhook team: three new releases", "webhook team: plain"]


async def test_the_readme_names_every_path(get) -> None:
    from pathlib import Path

    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    _, index = await get("/")
    for path in index.splitlines()[1:]:
        assert (
            f"`{re.sub('{(.*)}', lambda m: 'KEY' if m[1] == 'key' else 'NAME', path)}`" in readme
        )


async def test_a_project_has_a_feed_of_its_own(get, hand) -> None:
    for _ in range(6):
        status, text = await get("/feeds/larch.xml")
        assert status == 200
        assert len(titles(text)) == pages.ENTRIES
        assert {title.partition(" ")[0] for title in titles(text)} == {"Larch"}
        hand.at += pages.ENTRY_SECONDS
    assert (await get("/feeds/oak.xml"))[0] == 404
