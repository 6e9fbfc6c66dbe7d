"""Automation 1: three feeds are summed up for a chat every weekday morning; each entry once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from codex32_automations import changed, model_settings, sample
from codex32_hands import Hands
from codex32_houses import House, until

from codex32_testing.model_server import ModelServer, Turn
from codex32_testing.servers.apart import apart
from codex32_testing.servers.base import Answer, Asked, Fault, ServiceServer
from codex32_testing.servers.chats import SlackServer

MARKER = (
    'name: marker\ntriggers: [{cron: "32 * * * *", on_missed: last, overlap: allow}]\ntype: set\n'
)


class Feeds(ServiceServer):
    """Ten entries a feed; every third is in two feeds, and every second has no guid."""

    def answer(self, asked: Asked) -> Answer:
        place = ["ginkgo", "larch", "rowan"].index(asked.path.split("/")[-1].removesuffix(".xml"))
        entries = "".join(_entry(place + 2 * number) for number in range(10))
        return Answer(text=f"<rss><channel>{entries}</channel></rss>")


def _entry(number: int) -> str:
    guid = "" if number % 2 else f"<guid>entry-{number}</guid>"
    moment = format_datetime(datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=number))
    link = f"https://example.com/{number}"
    return (
        f"<item><title>No. {number}</title><link>{link}</link>{guid}<pubDate>{moment}</pubDate>"
        "</item>"
    )


def say(prompts: list[Any]) -> Any:
    """A model that at first answers with no JSON, and then at length."""

    def answer(path: str, body: Any) -> Turn:
        prompts.append(body["messages"])
        if len(prompts) == 1:
            return Turn(text="Here you are: {")
        texts = [each["content"] for each in body["messages"] if each["role"] == "user"]
        entries = json.loads(texts[0])
        items = [{"title": e["title"], "url": e["url"], "one_line": "new " * 90} for e in entries]
        return Turn(text=json.dumps({"items": items}))

    return answer


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["up", "postgresql"])
def test_what_is_new_is_posted_once_in_messages_that_fit(
    build: Any, hands: Hands, model: ModelServer, kind: str
) -> None:
    prompts: list[Any] = []
    model.ask(say(prompts))
    with apart(Feeds) as (feeds, _), apart(SlackServer) as (slack, _):
        places = [each.url().removeprefix("http://") for each in (feeds, slack)]
        settings = model_settings(model)
        settings["plugins"]["slack"] = {"api": slack.api}
        settings["outside"] = {"private_hosts": places}
        house: House = build(
            kind,
            settings,
            CODEX32_SECRET_OPENAI_API_KEY=model.key,
            CODEX32_SECRET_SLACK=f"{slack.token}/{slack.channel}",
        )
        text = changed(
            sample("bots/news-digest.yaml"),
            {
                'hosts: ["127.0.0.1:8765"]': f'hosts: ["{places[0]}", "{places[1]}"]\n'
                "  secrets: [SLACK]",
                "127.0.0.1:8765": places[0],
                "echo:echo": "openai:gpt-5-mini",
                "to: webhook": "to: slack",
                "${{ inputs.site }}/hooks/news": "${{ secrets.SLACK }}",
                "first: 1s": "first: 100ms",
            },
        )
        # A Monday, before eight in Berlin.
        hands.put_to(datetime(2027, 1, 4, 5, tzinfo=UTC))
        house.start()
        feeds.misbehave(Fault(500), None, Fault(500))
        house.add("news-digest", text)
        hands.put_to(datetime(2027, 1, 4, 7, 0, 1, tzinfo=UTC))
        (made,) = until(lambda: house.executions("news-digest"), "it is eight")
        done = house.succeed(made["id"])

        assert done["trigger"] == "cron"
        told = [message["text"] for message in slack.messages.values()]
        assert len(told) == len(done["output"]) > 1
        assert all(len(each) <= 4000 for each in told)
        links = [word for each in told for word in each.split() if word.startswith("https://")]
        # The twenty newest of all, though some are in two feeds; the newest first.
        assert len(links) == len(set(links)) <= 20
        assert links[0] == "https://example.com/20"
        assert len(prompts) == 2
        assert len(feeds.asked) == 5
        assert house.steps(made["id"])["sum_up"]["tries"] == 1

        again = house.reach(house.execute("news-digest"), "skipped")
        assert again["message"] == "nothing new"
        assert len(slack.messages) == len(told)
        assert len(prompts) == 2

        if kind == "up":  # when a schedule is due is no matter of the database
            (house.bots / "news-digest.yaml").unlink()
            _sundays(house, hands, text)


def _sundays(house: House, hands: Hands, text: str) -> None:
    """A digest by night, on the two days on which the clocks are changed, is made once each."""
    for day in (datetime(2027, 3, 28, tzinfo=UTC), datetime(2027, 10, 31, tzinfo=UTC)):
        name = f"night-{day.month}"
        hands.put_to(day + timedelta(minutes=5))
        house.add(f"marker-{day.month}", MARKER.replace("marker", f"marker-{day.month}"))
        night = {"news-digest": name, "0 8 * * 1-5": "30 2 * * *"}
        house.add(name, changed(text, night))
        # On the one day 2:30 is not there, on the other it comes twice: at 0:30 and 1:30 UTC.
        for minutes, marks in ((62, 1), (93, 2)):
            hands.put_to(day + timedelta(minutes=minutes))
            until(
                lambda day=day, marks=marks: (  # type: ignore[misc]
                    len(house.executions(f"marker-{day.month}")) >= marks
                ),
                f"triggers were looked at {minutes} minutes into {day:%B %d}",
            )
        made = house.executions(name)
        assert [each["trigger"] for each in made] == ["cron"], day
        house.succeed(made[0]["id"])
