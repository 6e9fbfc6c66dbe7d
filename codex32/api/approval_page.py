"""An approval as a page with a form: without scripts, for whoever has its link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from codex32.kernel.json_values import JSON, dumps, loads

#: Nothing is fetched and nothing is run; the form goes back to where the page came from.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: Names of fields of the form of the bot, as the page sends them.
_FIELD = "field."

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 40rem; margin: 0 auto; padding: 1rem; }
label { display: block; margin: 1rem 0 .2rem; font-weight: 600; }
textarea, input[type=text], input[type=number], select {
  box-sizing: border-box; width: 100%; font: inherit; padding: .4rem; }
button { font: inherit; margin: 1.5rem 1rem 0 0; padding: .4rem 1.2rem; }
.asked { white-space: pre-wrap; overflow-wrap: anywhere; } .fault { font-weight: 600; }
"""


def page(title: str, *paragraphs: str) -> bytes:
    """A page that only says something."""
    return _page(title, "".join(f"<p>{escape(each)}</p>" for each in paragraphs))


def question_page(
    approval: Mapping[str, JSON],
    given: Mapping[str, str] | None = None,
    faults: Sequence[str] = (),
) -> bytes:
    """The page of an open approval.

    Args:
      approval: As the API shows it.
      given: What somebody sent that did not do; else the form holds its defaults.
      faults: What was wrong with that.
    """
    given = given or {}
    schema = approval["form"] or {"properties": {}}
    parts = [f'<p class="asked">{escape(approval["text"])}</p>']
    parts += [f'<p class="fault" role="alert">{escape(each)}</p>' for each in faults]
    if approval["expires_at"]:
        parts.append(f"<p>It can be answered until {escape(approval['expires_at'])}.</p>")
    parts.append('<form method="post" autocomplete="off">')
    for name, field in schema["properties"].items():
        parts.append(_field(name, field, given.get(_FIELD + name) if given else None))
    parts += [
        _labelled("note", "Note", f'<textarea id="note" name="note" rows="2">'
                  f"{escape(given.get('note', ''))}</textarea>"),
        _labelled("by", "Your name", '<input type="text" id="by" name="by" maxlength="200" '
                  f'value="{escape(given.get("by", ""))}">'),
        '<button name="verdict" value="approved">Approve</button>',
        '<button name="verdict" value="rejected">Reject</button></form>',
    ]  # fmt: skip
    return _page(f"{approval['bot']} asks", "".join(parts))


def filled_in(schema: JSON, sent: Mapping[str, str]) -> dict[str, JSON]:
    """What a sent form says, by the names of the bot's form; its schema judges it elsewhere."""
    form: dict[str, JSON] = {}
    for name, field in (schema or {"properties": {}})["properties"].items():
        if field.get("type") == "boolean":
            form[name] = _FIELD + name in sent
        elif (text := sent.get(_FIELD + name)) is not None:
            value = _value(field, text)
            if value is not None:
                form[name] = value
    return form


def _value(field: Mapping[str, Any], text: str) -> JSON:
    """What somebody means who writes ``text``; None for nothing."""
    if "enum" in field:
        return next((each for each in field["enum"] if _told(each) == text), text)
    if field.get("type", "string") == "string":
        return text.replace("\r\n", "\n")
    if not text.strip():
        return None
    try:
        return loads(text)
    except ValueError:
        return text


def _told(value: JSON) -> str:
    return value if isinstance(value, str) else dumps(value)


def _field(name: str, field: Mapping[str, Any], given: str | None) -> str:
    key = escape(_FIELD + name)
    default = field.get("default")
    value = given if given is not None else "" if default is None else _told(default)
    label = field.get("title") or name
    if field.get("type") == "boolean":
        checked = " checked" if default is True else ""
        box = f'<input type="checkbox" id="{key}" name="{key}"{checked}>'
        return f'<label for="{key}">{box} {escape(label)}</label>'
    if "enum" in field:
        options = "".join(
            f"<option{' selected' if _told(each) == value else ''}>{escape(_told(each))}</option>"
            for each in field["enum"]
        )
        return _labelled(key, label, f'<select id="{key}" name="{key}">{options}</select>')
    if field.get("type") in ("integer", "number"):
        box = f'<input type="number" step="any" id="{key}" name="{key}" value="{escape(value)}">'
        return _labelled(key, label, box)
    rows = min(max(value.count("\n") + len(value) // 80 + 1, 1), 20)
    # The first line break within a text area is not part of its text.
    box = f'<textarea id="{key}" name="{key}" rows="{rows}">\n{escape(value)}</textarea>'
    return _labelled(key, label, box)


def _labelled(key: str, label: str, box: str) -> str:
    return f'<label for="{key}">{escape(label)}</label>{box}'


def _page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    ).encode(errors="replace")
