import pytest

from codex32 import Failed
from codex32_example.feed import Feed
from codex32_testing.conformance import BotTypeSuite

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Releases</title>
<item><title>Two</title><link>https://example.com/2</link><guid>two</guid>
<pubDate>Sat, 02 May 2026 10:00:00 +0200</pubDate><description>More</description></item>
<item><title>One</title><link>https://example.com/1</link></item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Notes</title>
<entry><id>urn:1</id><title>Hello <b>you</b></title><updated>2026-05-02T08:00:00Z</updated>
<link rel="self" href="https://example.com/self"/><link href="https://example.com/1"/>
<summary>Short</summary></entry></feed>"""

BOMB = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<rss><channel><item><title>&b;</title></item></channel></rss>"""

TWO = {
    "id": "two",
    "title": "Two",
    "link": "https://example.com/2",
    "summary": "More",
    "published_at": "2026-05-02T08:00:00Z",
}
ONE = {
    "id": "https://example.com/1",
    "title": "One",
    "link": "https://example.com/1",
    "summary": "",
    "published_at": None,
}
NOTE = {
    "id": "urn:1",
    "title": "Hello you",
    "link": "https://example.com/1",
    "summary": "Short",
    "published_at": "2026-05-02T08:00:00Z",
}


class TestFeed(BotTypeSuite):
    cases = (
        ({"text": RSS}, [TWO, ONE]),
        ({"text": RSS, "limit": 1}, [TWO]),
        ({"text": ATOM}, [NOTE]),
        ({"text": "<rss><channel/></rss>"}, []),
    )
    wrong = ({}, {"text": 3}, {"text": RSS, "limit": 0}, {"text": RSS, "limt": 2})

    @pytest.fixture
    def bot_type(self):
        return Feed()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "this is no feed"),
            ("<html><body/></html>", "its outermost element is <html>"),
            ("<rss><channel>", "this is no feed"),
            (BOMB, "not safe to read"),
        ],
    )
    async def test_what_is_no_feed_fails_for_good(self, bot_type, context, text, message):
        outcome = await bot_type.run(context, {"text": text})
        assert isinstance(outcome, Failed)
        assert not outcome.retryable
        assert message in outcome.message
