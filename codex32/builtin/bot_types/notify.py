"""Telling people and other systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from codex32 import (
    JSON,
    BotType,
    Effect,
    Failed,
    Notification,
    Outcome,
    Problem,
    StepContext,
    Succeeded,
)
from codex32.builtin.bot_types.mustache import TemplateFault, parse, render


def _text(description: str) -> Mapping[str, Any]:
    return {"type": "string", "default": "", "description": description}


class NotifyBotType(BotType):
    """Sends a notification through an installed notifier."""

    name: ClassVar[str] = "notify"
    summary: ClassVar[str] = "Send a notification."
    params_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["to"],
        "properties": {
            "to": {
                "type": "string",
                "format": "notifier",
                "description": "The notifier, such as log or webhook.",
            },
            "target": _text("Where to, in the notifier's own form: an address, a URL."),
            "text": _text("What is told."),
            "title": _text("A headline."),
            "template": _text("Instead of text: a template that is filled in from data."),
            "template_file": {
                "type": "string",
                "description": "Instead of template: a file, relative to the bot file.",
            },
            "html": _text(
                "The same as HTML, for services that show it: a template that is filled in "
                "from data, each value escaped."
            ),
            "html_file": {
                "type": "string",
                "description": "Instead of html: a file, relative to the bot file.",
            },
            "data": {"type": "object", "description": "More, for machines and for templates."},
            "reply_to": _text("The id of a notification before, which this one answers."),
            "update": _text("The id of a notification before, which this one replaces."),
            "secret": _text("What the notification is signed with: whsec_… of webhooks."),
            "approval": {
                "type": "string",
                "format": "step",
                "description": "The step that asks people, later or meanwhile: whoever is told is "
                "given a link to answer it.",
            },
        },
    }
    output_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"id": {"type": "string"}},
        "required": ["id"],
    }
    inlined_files: ClassVar[Mapping[str, str]] = {
        "template_file": "template",
        "html_file": "html",
    }

    def effect(self, params: Mapping[str, JSON]) -> Effect:
        """Once; the engine knows the notifiers that make it idempotent.

        What replaces a notification leaves the same behind however often it is done.
        """
        return Effect.IDEMPOTENT if params.get("update") else Effect.ONCE

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """Nothing or two things to tell, and templates that cannot be read."""
        faults = [
            fault
            for name in ("template", "html")
            if isinstance(text := params.get(name), str)
            for fault in _template_faults(name, text)
        ]
        if "text" in params and ("template" in params or "template_file" in params):
            faults.append(Problem("write `text` or `template`, not both", path="text"))
        if not params.keys() & {"text", "template", "template_file"}:
            faults.append(Problem("needs `text` or `template`", code="missing"))
        return faults

    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Send, under the key that all tries of this step share."""
        data = params.get("data", {})
        try:
            text = params.get("text") or render(params.get("template", ""), data)
            html = render(params.get("html", ""), data, escaped=True)
        except TemplateFault as fault:
            return Failed(f"the template: {fault}", code="template")
        notification = Notification(
            text,
            title=params.get("title", ""),
            data=data,
            idempotency_key=context.step.idempotency_key,
            html=html,
            reply_to=params.get("reply_to", ""),
            update=params.get("update", ""),
            secret=params.get("secret", ""),
            approval=params.get("approval", ""),
        )
        receipt = await context.notify(params["to"], notification, params.get("target", ""))
        return Succeeded({"id": receipt.id})


def _template_faults(name: str, text: str) -> list[Problem]:
    if "${{" in text:
        message = (
            "a template is taken as it is written; hand values over in `data` and write "
            "{{name}}, or what comes from outside would become a template"
        )
        return [Problem(message, path=name, code="expression")]
    try:
        parse(text)
    except TemplateFault as fault:
        return [Problem(str(fault), path=name, code="template")]
    return []
