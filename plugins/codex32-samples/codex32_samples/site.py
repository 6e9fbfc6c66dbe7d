"""The site: some pages, and a place for webhooks."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

from aiohttp import web

from codex32_samples import pages

#: Tries that fail, for each key, before ``/flaky`` answers.
FLAKY_TRIES = 2
_MOST_KEYS = 10_000


def build_site(
    now: Callable[[], float] = time.time, say: Callable[[str], None] | None = None
) -> web.Application:
    """The site as an application.

    Args:
      now: The time, in seconds since 1970.
      say: Takes what webhooks sent, a line each; None prints it.
    """
    site = _Site(now, say or (lambda line: print(line, flush=True)))
    app = web.Application()
    app.add_routes(
        [
            web.get("/", site.index),
            web.get("/feed.xml", site.feed),
            web.get("/feeds/{project}.xml", site.feed),
            web.get("/prices/{item}", site.price),
            web.get("/health/{service}", site.health),
            web.get("/flaky/{key}", site.flaky),
            web.post("/hooks/{name}", site.hook),
        ]
    )
    return app


class _Site:
    def __init__(self, now: Callable[[], float], say: Callable[[str], None]) -> None:
        self._now, self._say = now, say
        self._tries: Counter[str] = Counter()

    async def index(self, request: web.Request) -> web.Response:
        paths = sorted({r.canonical for r in request.app.router.resources()})
        return web.Response(text="\n".join(["A site for the sample bots:", *paths, ""]))

    async def feed(self, request: web.Request) -> web.Response:
        project = request.match_info.get("project")
        try:
            text = pages.feed(self._now(), str(request.url.origin()), project)
        except ValueError:
            raise web.HTTPNotFound from None
        return web.Response(text=text, content_type="application/rss+xml")

    async def price(self, request: web.Request) -> web.Response:
        return web.json_response(pages.price(request.match_info["item"], self._now()))

    async def health(self, request: web.Request) -> web.Response:
        service = request.match_info["service"]
        up = pages.is_up(service, self._now())
        return web.json_response({"service": service, "up": up}, status=200 if up else 503)

    async def flaky(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        if len(self._tries) >= _MOST_KEYS:
            self._tries.clear()
        self._tries[key] += 1
        tries = self._tries[key]
        if tries <= FLAKY_TRIES:
            return web.json_response({"error": "not yet", "tries": tries}, status=503)
        return web.json_response({"answer": 42, "tries": tries})

    async def hook(self, request: web.Request) -> web.Response:
        text = await request.text()
        try:
            sent = json.loads(text)
        except ValueError:
            sent = text
        told = sent.get("text", sent) if isinstance(sent, dict) else sent
        self._say(f"webhook {request.match_info['name']}: {told}")
        return web.json_response({"received": True})
