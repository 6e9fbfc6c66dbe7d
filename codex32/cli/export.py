"""``codex32 export``: what is recorded, for whoever searches it elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import aclosing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.outside.elasticsearch import Refused
    from codex32.runtime import Runtime
    from codex32.services.exporting.documents import Mark

#: Refused documents that are shown to people, and that are told of at all; all are counted.
_SHOWN, _TOLD = 5, 1000


@click.group(cls=Group)
def export() -> None:
    """Hand what is recorded to other programs."""


@export.command()
@json_option
@click.argument("url")
@click.option(
    "--api-key",
    envvar="ELASTICSEARCH_API_KEY",
    show_envvar=True,
    help="An encoded API key; better in the environment, where no list of processes shows it.",
)
@click.option("--index", default="codex32", show_default=True, help="What indices begin with.")
@click.option("--since", type=click.DateTime(), help="Not what is older (local time).")
@click.option(
    "--again", is_flag=True, help="From the beginning, not from where the last one ended."
)
@pass_context
@click.pass_context
def elasticsearch(
    ctx: click.Context,
    obj: Context,
    url: str,
    api_key: str | None,
    index: str,
    since: datetime | None,
    again: bool,
) -> None:
    """Send ended executions, their log lines and events to Elasticsearch at URL.

    It goes on where the last export to this URL and index ended, and sends twice without harm: so
    it may be stopped, or be called by a timer. Indices are called INDEX-executions, INDEX-logs and
    INDEX-events. Inputs and outputs are not sent.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise click.UsageError("URL must be http(s)://HOST:PORT, without a password in it")
    micros = 0 if since is None else int(since.timestamp() * 1e6)
    with obj.runtime() as runtime:
        place = _place(obj, url, index)
        mark = _read(place) if not again else _read(None)
        sent, refused, first = asyncio.run(
            _export(obj, runtime, url, api_key, index, micros, mark, place)
        )
    told = [each._asdict() for each in first]
    data = {"sent": sent, "refused": refused, "first_refused": told}

    def show() -> None:
        obj.output.line(f"{sent - refused} documents are at {parts.hostname}")
        for each in first[:_SHOWN]:
            obj.output.note(f"refused {each.id}: {each.why}")
        if refused > _SHOWN:
            obj.output.note(f"and {refused - _SHOWN} more")

    obj.output.result(data, show)
    if refused:
        ctx.exit(failures.FAILED)


async def _export(
    obj: Context,
    runtime: Runtime,
    url: str,
    key: str | None,
    index: str,
    since: int,
    mark: Mark,
    place: Path,
) -> tuple[int, int, list[Refused]]:
    """How many were sent, how many of them were refused, and the first of those."""
    from codex32.kernel.private_files import write_private
    from codex32.outside.elasticsearch import Bulk, Entry
    from codex32.outside.http_on_demand import HttpOnDemand
    from codex32.services.exporting import documents

    sent, refused = 0, 0
    first: list[Refused] = []
    until = runtime.clock.micros()
    # Whoever calls this names the server themselves; it may be a private one.
    client = HttpOnDemand([*obj.settings.outside.private_hosts, urlsplit(url).hostname or ""])
    bulk = Bulk(client.anywhere(), url, key)
    try:
        total = await runtime.door.read(documents.waiting, mark, since, until)
        with obj.output.progress("exporting", total) as advance:
            async with aclosing(documents.pages(runtime.door, mark, since, until)) as pages:
                async for page, reached, done in pages:
                    entries = [Entry(f"{index}-{d.kind}", d.id, d.body) for d in page]
                    found = await bulk.send(entries)
                    first += found[: _TOLD - len(first)]
                    sent, refused = sent + len(entries), refused + len(found)
                    if done:
                        text = json.dumps(asdict(reached))
                        await asyncio.to_thread(write_private, place, text)
                    advance(done)
    finally:
        await client.close()
    return sent, refused, first


def _place(obj: Context, url: str, index: str) -> Path:
    """Where it is noted how far an export has come."""
    digest = hashlib.sha256(f"{url.rstrip('/')} {index}".encode()).hexdigest()[:16]
    return obj.settings.home / f"export-{digest}.json"


def _read(place: Path | None) -> Mark:
    from codex32.services.exporting.documents import Mark

    try:
        return Mark() if place is None else Mark(**json.loads(place.read_text())).back()
    except FileNotFoundError:
        return Mark()
