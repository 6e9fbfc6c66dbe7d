"""The reference as one page, made from the document: without scripts, and without a network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

#: Nothing is fetched and nothing is run; the one style sheet stands in the page.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
h3 { margin-bottom: 0; } h3 code { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; }
th { border-bottom: 1px solid; } nav li { display: inline-block; margin-right: 1rem; }
nav ul { padding: 0; } section { margin-bottom: 2rem; }
"""


def reference_page(document: Mapping[str, Any]) -> str:
    """The page that tells what an OpenAPI document says."""
    by_tag: dict[str, list[str]] = {}
    for path, entries in document["paths"].items():
        for method, entry in entries.items():
            (tag,) = entry["tags"]
            by_tag.setdefault(tag, []).append(_operation(method.upper(), path, entry))
    schemas = document["components"]["schemas"]
    title = escape(document["info"]["title"])
    links = "".join(f'<li><a href="#{_id(tag)}">{escape(tag)}</a></li>' for tag in by_tag)
    parts = [
        f"<section><h2 id={_quoted(_id(tag))}>{escape(tag)}</h2>{''.join(told)}</section>"
        for tag, told in by_tag.items()
    ]
    models = "".join(_model(name, schema) for name, schema in schemas.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}: the HTTP API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}: the HTTP API</h1><p>{escape(document['info']['description'])}</p>"
        f'<nav aria-label="Operations"><ul>{links}<li><a href="#models">Models</a></li></ul></nav>'
        f'<main>{"".join(parts)}<section><h2 id="models">Models</h2>{models}</section></main>'
        "</body></html>"
    )


def _operation(method: str, path: str, entry: Mapping[str, Any]) -> str:
    name = _quoted(entry["operationId"])
    who = "open to all" if entry.get("security") == [] else f"needs {entry['x-permission']}"
    parts = [
        f"<h3 id={name}><code>{method} {escape(path)}</code></h3>",
        f"<p>{escape(entry['summary'])} <small>({escape(who)})</small></p>",
    ]
    if "description" in entry:
        parts.append(f"<p>{escape(entry['description'])}</p>")
    rows = [
        (each["name"], each["in"], _kind(each["schema"]), each["schema"].get("description", ""))
        for each in entry.get("parameters", ())
        if "$ref" not in each  # what all have in common is told at the top
    ]
    for kind, content in entry.get("requestBody", {}).get("content", {}).items():
        rows.append(("body", kind, _kind(content["schema"]), ""))
    for status, answer in entry["responses"].items():
        for kind, content in answer.get("content", {}).items():
            rows.append((status, kind, _kind(content["schema"]), answer["description"]))
    return "".join(parts) + _table(("name", "where", "kind", ""), rows)


def _model(name: str, schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = [
        (key, "required" if key in needed else "", _kind(each), each.get("description", ""))
        for key, each in schema.get("properties", {}).items()
    ]
    text = f"<p>{escape(schema.get('description', ''))}</p>"
    return (
        f"<h3 id={_quoted(name)}>{escape(name)}</h3>{text}{_table(('name', '', 'kind', ''), rows)}"
    )


def _table(heads: tuple[str, ...], rows: list[tuple[str, str, str, str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th scope=col>{escape(each)}</th>" for each in heads)
    body = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(where)}</td>"
        f"<td>{kind}</td><td>{escape(about)}</td></tr>"
        for name, where, kind, about in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _kind(schema: Mapping[str, Any]) -> str:
    """What a schema is about, as HTML: its type, or a link to the model."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[word]))
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)


def _id(tag: str) -> str:
    return f"tag-{escape(tag)}"


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'
