"""Making an approval of what a bot type asks: checked, masked, packed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from codex32.engine.records.advance import Asked, Claim
from codex32.engine.records.approvals import form_schema
from codex32.engine.running.notebook import Notebook
from codex32.engine.values.validation import schema_findings
from codex32.kernel.clock import from_micros
from codex32.kernel.errors import StepFault
from codex32.kernel.events import ApprovalRequested
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import JSON, is_json
from codex32.kernel.models import NO_ITEM
from codex32.kernel.outcomes import ApprovalRequest

_ON_EXPIRE = ("reject", "approve", "fail")


@dataclass(frozen=True, slots=True)
class Asking:
    """An approval, and what is told of it. ``text`` and ``to`` are masked."""

    asked: Asked
    text: str
    to: tuple[str, ...]

    def event(self, claim: Claim) -> ApprovalRequested:
        """What listeners are told once it is durable."""
        asked = self.asked
        return ApprovalRequested(
            at=from_micros(asked.created_at),
            workspace=claim.workspace,
            execution_id=claim.id,
            bot=claim.bot_name,
            approval_id=asked.id,
            step=asked.step,
            item=None if asked.item == NO_ITEM else asked.item,
            text=self.text,
            to=self.to,
            expires_at=None if asked.expires_at is None else from_micros(asked.expires_at),
        )


async def asking(
    request: ApprovalRequest, book: Notebook, step: str, item: int, until: int | None
) -> Asking:
    """The approval that a step asks for.

    Args:
      request: As the bot type made it.
      book: Masks and packs.
      step: The step that asks.
      item: Its item, or ``NO_ITEM``.
      until: When it expires, in microseconds; None for never.

    Raises:
      StepFault: The request is none that people could answer.
    """
    # Off the loop: the first schema that is looked at loads the validator.
    faults = await asyncio.to_thread(lambda: list(_faults(request)))
    if faults:
        raise StepFault("the approval cannot be asked for: " + "; ".join(faults), code="approval")
    mask = book.masker.mask_value
    text, to = mask(request.text), tuple(mask(list(request.to)))
    told = {
        "text": text,
        "to": list(to),
        "form": form_schema(request.form),
        "on_expire": request.on_expire,
    }
    asked = Asked(
        id=new_id("apr"),
        step=step,
        item=item,
        request=await book.pack(told),
        created_at=book.env.clock.micros(),
        expires_at=until,
    )
    return Asking(asked, text, to)


def form_faults(form: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with the fields of a form: where, and what."""
    if not isinstance(form, Mapping):
        yield (), "must be a mapping of names to JSON Schemas"
        return
    for name, schema in form.items():
        if not isinstance(schema, Mapping):
            yield (name,), "must be a JSON Schema, such as {type: string}"
            continue
        for each in schema_findings(schema):
            yield (name, *each.path), each.message


def _faults(request: ApprovalRequest) -> Iterator[str]:
    if not isinstance(request.text, str) or not request.text.strip():
        yield "text is empty"
    to: JSON = request.to
    if isinstance(to, str) or not all(isinstance(each, str) for each in to):
        yield "to must be a list of texts"
    if request.on_expire not in _ON_EXPIRE:
        yield f"on_expire is {request.on_expire!r}; it is one of {', '.join(_ON_EXPIRE)}"
    if not is_json(dict(request.form) if isinstance(request.form, Mapping) else request.form):
        yield "form is no JSON"
        return
    for path, message in form_faults(request.form):
        yield f"{'.'.join(map(str, ('form', *path)))} {message}"
