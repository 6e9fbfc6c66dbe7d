"""Sending a notification for a step."""

from __future__ import annotations

import html
import secrets
from dataclasses import replace
from functools import partial

from codex32.engine.records import links
from codex32.engine.running.course import Course
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.notifier import Notification, Notifier, Receipt
from codex32.kernel.errors import ProviderRejected, StepFault
from codex32.kernel.models import NO_ITEM
from codex32.kernel.text import did_you_mean
from codex32.kernel.views import StepInfo

_TOKEN_BYTES = 24


async def send(
    course: Course,
    step: StepInfo,
    notifier: Notifier,
    notification: Notification,
    target: str,
    *,
    http: HttpClient,
    timeout_seconds: float,
) -> Receipt:
    """Send once, with secrets masked and the link to an approval added.

    Its text is written where people read, so secrets are masked in it; in ``data`` and
    ``target``, which are for machines, they are not. The link is a secret, too, and goes to
    whoever is told and nowhere else.

    Raises:
      StepFault: What the notifier raises, or what stands in the way of a link.
    """
    if notification.reply_to and not notifier.replies:
        raise ProviderRejected(f"{notifier.name} cannot reply; leave out reply_to")
    if notification.update and not notifier.updates:
        raise ProviderRejected(f"{notifier.name} cannot change what it sent; leave out update")
    told = (notification.title, notification.text, notification.html)
    title, text, page = map(course.book.masker.mask, told)
    item = NO_ITEM if step.item is None else step.item
    line = f"notify {notifier.name}: {title or text}"[:500]
    course.book.log(step.id, item, "info", line, {})
    if notification.approval:
        link = await _link(course, notification.approval, item)
        text = f"{text}\n\n{link}"
        address = html.escape(link)
        page = page and f'{page}\n<p><a href="{address}">{address}</a></p>'
    receipt = await course.env.send(
        notifier,
        replace(
            notification,
            title=title,
            text=text,
            html=page,
            approval="",
            idempotency_key=notification.idempotency_key or step.idempotency_key,
        ),
        target,
        http=http,
        timeout_seconds=timeout_seconds,
    )
    course.book.announce_sent(notifier.name, receipt)
    return receipt


async def _link(course: Course, step: str, item: int) -> str:
    """A link by which whoever has it decides what ``step`` asks, once."""
    env, claim, types = course.env, course.claim, course.plan.types
    if step not in types:
        raise StepFault(f"no step is called {step!r}{did_you_mean(step, types)}", code="approval")
    if env.public_url is None:
        raise StepFault(
            "nobody knows where people reach the API; the operator has to set api.public_url",
            code="public-url",
        )
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    link = links.Link(token, claim.workspace, claim.id, step, item, env.clock.micros())
    await env.door.write(partial(links.keep, link))
    return f"{env.public_url}/approvals/{token}"
