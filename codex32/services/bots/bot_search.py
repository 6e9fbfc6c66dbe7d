"""Lists of bots: filters, an order and pages; ten thousand bots are listed within milliseconds.

What lists filter by stands in the bots' own rows, and each order has its index, so that a page
costs the same wherever it lies; only labels and texts are looked for in all rows of a workspace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Literal

import peewee as pw

from codex32.kernel.database import is_sqlite
from codex32.kernel.json_values import canonical
from codex32.kernel.models import BotRow
from codex32.services.bots.bot_views import BotView, views

Standing = Literal["active", "broken", "disabled", "paused", "waiting", "removed"]
Order = Literal["name", "-name", "updated_at", "-updated_at", "created_at", "-created_at"]


@dataclass(frozen=True, slots=True)
class Search:
    """Which bots of a workspace, and which part of the list.

    Attributes:
      status: Any of these; all but removed ones where none is named.
      labels: A label and its value; None as the value for any.
      text: Stands in the name or the description, whatever its case.
      after: The ``next`` of the page before, in the same order.
    """

    workspace: str
    status: Sequence[Standing] = ()
    origin: Sequence[str] = ()
    owner: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    text: str | None = None
    order: Order = "name"
    after: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A page; ``next`` is the ``after`` of the following one, None at the end."""

    items: Sequence[BotView]
    next: str | None


def search(wish: Search) -> Found:
    """The bots that are asked for.

    Raises:
      ValueError: ``after`` belongs to another order.
    """
    found = list(selected(wish))
    shown = found[: wish.limit]
    more = None
    if len(found) > len(shown):
        last, order = shown[-1], wish.order.lstrip("-")
        more = last.name if order == "name" else f"{getattr(last, order)}.{last.name}"
    return Found(views(shown), more)


def selected(wish: Search) -> pw.ModelSelect[BotRow]:
    """The rows of a page, and one more where there are more.

    Raises:
      ValueError: ``after`` belongs to another order.
    """
    column, down = _COLUMNS[wish.order.lstrip("-")], wish.order.startswith("-")
    rows = BotRow.select().where(BotRow.workspace == wish.workspace, *_filters(wish))
    keys = (column,) if column is BotRow.name else (column, BotRow.name)
    rows = rows.order_by(*(key.desc() if down else key for key in keys)).limit(wish.limit + 1)
    if wish.after is not None:
        place, now = pw.Tuple(*keys), pw.Tuple(*_place(wish.after, len(keys)))
        rows = rows.where(place < now if down else place > now)
    return rows


_COLUMNS: Mapping[str, pw.Field] = {
    "name": BotRow.name,
    "updated_at": BotRow.updated_at,
    "created_at": BotRow.created_at,
}


def _place(after: str, keys: int) -> tuple[object, ...]:
    moment, dot, name = after.rpartition(".")
    if (keys == 2) != bool(dot):
        raise ValueError("the cursor belongs to a list in another order")
    return (int(moment), name) if dot else (name,)


def _filters(wish: Search) -> list[pw.Expression]:
    filters = [reduce(or_, map(_stands, wish.status or ("",)))]
    if wish.origin:
        filters.append(BotRow.origin.in_(list(wish.origin)))
    if wish.owner is not None:
        filters.append(BotRow.owner == wish.owner)
    if wish.text is not None:
        filters.append(BotRow.name.contains(wish.text) | BotRow.description.contains(wish.text))
    return filters + [_labelled(key, value) for key, value in wish.labels.items()]


def _stands(status: str) -> pw.Expression:
    """As :attr:`BotView.standing` tells it; an empty text is every bot that is there."""
    there = BotRow.removed_at.is_null()
    sound = there & BotRow.problems.is_null()
    unborn = BotRow.active_version_id.is_null() & BotRow.pending_version_id.is_null(False)
    on = sound & ~unborn & BotRow.enabled
    standings: Mapping[str, pw.Expression] = {
        "": there,
        "removed": ~there,
        "broken": there & BotRow.problems.is_null(False),
        "waiting": sound & unborn,
        "disabled": sound & ~unborn & ~BotRow.enabled,
        "paused": on & BotRow.paused,
        "active": on & ~BotRow.paused,
    }
    return standings[status]


def _labelled(key: str, value: str | None) -> pw.Expression:
    """Whether the canonical JSON of a row's labels holds this one.

    A brace or a comma stands before it, and never a backslash: so it is no part of another text.
    """
    wanted = f"{canonical(key)}:" + ("" if value is None else canonical(value))
    # Not LIKE, which takes no case seriously on SQLite and needs escapes.
    found = pw.fn.instr if is_sqlite() else pw.fn.strpos
    return reduce(
        or_,
        [pw.Expression(found(BotRow.labels, f"{each}{wanted}"), ">", 0) for each in "{,"],
    )
