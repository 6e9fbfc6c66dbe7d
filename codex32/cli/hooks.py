"""``codex32 hooks``: webhooks that come in, and trying them."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.runtime import Runtime
    from codex32.services.triggers.webhook_views import HookView

_TIMEOUT_SECONDS = 90.0
_EXAMPLE = b'{"test": true}'


@click.group(cls=Group)
def hooks() -> None:
    """Look at webhooks that come in, and deliver to them as their senders would."""


@hooks.command("list")
@json_option
@workspace_option
@click.option("--bot", metavar="BOT", help="Only its own.")
@pass_context
def list_(obj: Context, bot: str | None, workspace: str) -> None:
    """List where bots take deliveries, who may send, and what came last."""
    from codex32.cli.credentials import local_server
    from codex32.cli.follow import clock_text
    from codex32.services.triggers import webhook_views

    url = local_server(obj) or ""
    with obj.runtime() as runtime:
        found = _views(runtime, workspace, bot)
        missing = asyncio.run(_missing(runtime, found))
    data = [
        {**webhook_views.as_dict(each, url), "missing_secrets": lost}
        for each, lost in zip(found, missing, strict=True)
    ]

    def show() -> None:
        obj.output.table(
            ("bot", "address", "methods", "scheme", "reply", "status", "last", "decision"),
            [
                (
                    each["bot"],
                    each["url"],
                    " ".join(each["methods"]),
                    each["scheme"],
                    each["reply"],
                    f"lacks {' '.join(lost)}" if lost else view.standing,
                    clock_text(view.last.evaluated_at) if view.last else "",
                    view.last.decision if view.last else "",
                )
                for each, view, lost in zip(data, found, missing, strict=True)
            ],
            "no live bot has a trigger `webhook`",
        )

    obj.output.result({"hooks": data}, show)


@hooks.command()
@json_option
@workspace_option
@click.argument("bot", metavar="BOT")
@click.option("--data", type=click.File("rb"), help="The body; default: a small JSON object.")
@click.option(
    "--header", "given", multiple=True, metavar="NAME:VALUE", help="One more; may be repeated."
)
@click.option("--path", help="Which webhook, where the bot has several.")
@click.option("--method", help="Default: POST where it is answered.")
@click.option("--id", "delivery", help="The delivery's id; the same again is the same delivery.")
@pass_context
def test(
    obj: Context,
    bot: str,
    data: BinaryIO | None,
    given: tuple[str, ...],
    path: str | None,
    method: str | None,
    delivery: str | None,
    workspace: str,
) -> None:
    """Deliver to a bot's webhook on the running server, signed as its scheme wants.

    The secret is looked up here as the server does it: what the environment gives it must be set
    for this command, too.
    """
    from codex32.cli.credentials import local_server
    from codex32.cli.failures import FAILED, CommandFailed
    from codex32.kernel.ids import new_id

    body = _EXAMPLE if data is None else data.read()
    url = local_server(obj)
    if url is None:
        raise CommandFailed("no server runs for this folder; start one: codex32 up", "no-server")
    with obj.runtime() as runtime:
        view = _only(_views(runtime, workspace, bot), bot, path)
        headers = {"content-type": _type_of(body), **_headers(given)}
        how = method or ("POST" if "POST" in view.hook.webhook.methods else None)
        how = how or min(view.hook.webhook.methods)
        signed = _signed(runtime, view, how, headers, body, delivery or new_id("msg"))
    status, told = _send(url, how, view.hook.address, signed, body)
    answer = {"url": f"{url}{view.hook.address}", "status": status, "body": told}

    def show() -> None:
        obj.output.line(f"{how} {answer['url']}: {status} {http.client.responses.get(status, '')}")
        if told != "":
            obj.output.line(told if isinstance(told, str) else json.dumps(told, indent=2))

    obj.output.result(answer, show)
    if status >= 400:
        click.get_current_context().exit(FAILED)


def _views(runtime: Runtime, workspace: str, bot: str | None) -> list[HookView]:
    from codex32.services.bots import bots
    from codex32.services.triggers import webhook_views

    if bot is not None:
        runtime.door.read_now(partial(bots.get, bot, workspace=workspace))
    types = runtime.components.trigger_types
    asked = partial(webhook_views.listing, types, workspace=workspace, bot=bot)
    return runtime.door.read_now(asked)


async def _missing(runtime: Runtime, views: Sequence[HookView]) -> list[list[str]]:
    """The secrets that are not set, where a webhook has none that is."""
    found = []
    for view in views:
        names = view.hook.webhook.secrets
        there = [await _secret(runtime, view, name) for name in names]
        found.append([] if any(there) else list(names))
    return found


async def _secret(runtime: Runtime, view: HookView, name: str) -> str | None:
    return await runtime.secrets.secret(view.hook.due.workspace, name)


def _only(views: Sequence[HookView], bot: str, path: str | None) -> HookView:
    from codex32.cli.failures import CommandFailed

    found = [each for each in views if path in (None, each.hook.webhook.path)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(each.hook.webhook.path for each in views)
    if not there:
        raise CommandFailed(f"{bot} has no live trigger `webhook`; see: codex32 why {bot}")
    raise CommandFailed(f"which of its webhooks? write --path with one of: {there}", "usage")


def _headers(given: Sequence[str]) -> dict[str, str]:
    pairs = [each.partition(":") for each in given]
    for name, colon, _ in pairs:
        if not (colon and name.strip()):
            raise click.UsageError(f"--header {name!r} has no value; write NAME:VALUE")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _type_of(body: bytes) -> str:
    try:
        json.loads(body)
    except ValueError:
        return "application/octet-stream"
    return "application/json"


def _signed(
    runtime: Runtime,
    view: HookView,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    delivery: str,
) -> dict[str, str]:
    """The headers of a sender who knows the first secret that is set."""
    from codex32.cli.failures import CommandFailed
    from codex32.kernel.contracts.webhook import WebhookRequest

    webhook, secret = view.hook.webhook, ""
    for name in webhook.secrets:
        secret = secret or asyncio.run(_secret(runtime, view, name)) or ""
    if webhook.scheme.secret and not secret:
        names = ", ".join(webhook.secrets)
        raise CommandFailed(f"none of its secrets is set: {names}; see: codex32 secrets")
    request = WebhookRequest(method, webhook.path, headers, {}, body)
    now = runtime.clock.micros() / 1_000_000
    return {**headers, **webhook.scheme.sign(request, secret, now, delivery)}


def _send(
    url: str, method: str, address: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, Any]:
    """The status and the body of the answer, JSON where it is that."""
    from codex32.cli.failures import CommandFailed

    place = urlsplit(url).netloc
    connection = http.client.HTTPConnection(place, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method, address, body, dict(headers))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except OSError as error:
        raise CommandFailed(f"{url} does not answer: {error}", "no-server") from None
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text
