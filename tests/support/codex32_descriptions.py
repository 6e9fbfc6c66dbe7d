"""For each description of the corpus a bot and its tests, as a competent model writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from codex32.engine.reading.writing import to_yaml, yaml_text
from codex32.services.building import measuring

Document = dict[str, Any]
_PYTEST = """\
import pytest


@pytest.mark.parametrize(
    "due, done, told",
    [
        ("2026-01-09", False, []),
        ("2026-01-08", False, ["A (3 days)"]),
        ("2026-01-04", False, ["A (-1 days)"]),
        ("2026-01-04", True, []),
    ],
    ids=["later", "in 3 days", "overdue", "done"],
)
def test_late_is_what_is_due_and_not_done(step_main, due, done, told):
    main = step_main("{}", "late")
    rows = [dict(name="A", due=due, done=done)]
    assert main(rows=rows, today="2026-01-05T08:00:00Z") == told
"""


@dataclass(frozen=True)
class Solved:
    """A description, and what becomes of it."""

    name: str
    description: str
    hosts: list[str]
    secrets: list[str]
    bot: Document
    tests: list[Document]
    recipients: list[str] = field(default_factory=list)
    pytest: str | None = None

    @property
    def yaml(self) -> str:
        return to_yaml(self.bot)

    @property
    def tests_yaml(self) -> str:
        return yaml_text(self.tests)

    @property
    def python(self) -> str:
        """pytest for its Python; of the corpus, the bots of ``due`` alone have some."""
        if self.pytest is not None:
            return self.pytest
        steps = self.bot.get("steps", [])
        return _PYTEST.format(self.name) if any(each["type"] == "python" for each in steps) else ""

    @property
    def specification(self) -> Document:
        return {
            "purpose": self.description,
            "data_sources": self.hosts,
            "processing": ["as described"],
            "outputs": ["the log"],
            "features": [],
            "performance": "seldom",
            "security": [],
            "integrations": {
                "hosts": self.hosts,
                "secrets": self.secrets,
                "recipients": self.recipients,
                "services": [],
            },
            "assumptions": ["times are those of Berlin"],
            "questions": [],
        }


def _answer(body: Any, url: str) -> Document:
    return {"output": {"status": 200, "headers": {}, "body": body, "url": url}}


def _fetching(url: str) -> Document:
    return {"id": "fetch", "type": "http", "retry": {"attempts": 2}, "with": {"url": url}}


def _log(text: str, name: str = "tell", **more: Any) -> Document:
    return {"id": name, "type": "notify", **more, "with": {"to": "log", "text": text}}


def _told(*texts: str) -> list[Document]:
    return [{"step": "tell", "with": {"text": each}} for each in texts]


def _again(url: str, body: Any, expect: Document, **more: Any) -> Document:
    """A test in which the service is away for a moment."""
    answers = [{"url": url, "status": 503, "times": 1}, {"url": url, "body": body}]
    return {"name": "it asks again", **more, "mocks": {"http": answers}, "expect": expect}


def threshold(url: str, field: str, limit: float) -> tuple[Document, list[Document]]:
    value = f"double(steps.fetch.output.body.{field})"
    steps = [
        _fetching(url),
        {
            "id": "quiet",
            "type": "end",
            "if": f"{value} <= {float(limit)}",
            "with": {"status": "skipped", "message": "all is well"},
        },
        _log(f"{field} is ${{{{ steps.fetch.output.body.{field} }}}}"),
    ]
    above = {"effects": _told(f"{field} is {limit + 1}"), "output": limit + 1}
    quiet = {"status": "skipped", "message": "all is well", "effects": []}
    tests = [
        {"name": "above", "mocks": {"fetch": _answer({field: limit + 1}, url)}, "expect": above},
        {"name": "at the edge", "mocks": {"fetch": _answer({field: limit}, url)}, "expect": quiet},
        {"name": "below", "mocks": {"fetch": _answer({field: 0}, url)}, "expect": quiet},
        _again(url, {field: limit + 1}, above),
    ]
    return {"steps": steps, "output": f"${{{{ steps.fetch.output.body.{field} }}}}"}, tests


def fresh(url: str, word: str) -> tuple[Document, list[Document]]:
    steps = [
        _fetching(url),
        {
            "id": "fresh",
            "type": "dedupe",
            "with": {"items": "${{ steps.fetch.output.body.items }}", "key": "item.id"},
        },
        {
            "id": "stop",
            "type": "end",
            "if": "size(steps.fresh.output) == 0",
            "with": {"status": "skipped", "message": "nothing new"},
        },
        _log(f'{word}: ${{{{ steps.fresh.output.map(e, e.title).join("; ") }}}}'),
    ]
    two = [{"id": 1, "title": "one"}, {"id": 1, "title": "one"}, {"id": 2, "title": "two"}]
    told = {"effects": _told(f"{word}: one; two"), "output": 2}
    none = {"status": "skipped", "message": "nothing new", "effects": []}
    tests = [
        {"name": "new", "mocks": {"fetch": _answer({"items": two}, url)}, "expect": told},
        {"name": "none", "mocks": {"fetch": _answer({"items": []}, url)}, "expect": none},
        _again(url, {"items": two}, told),
        {
            "name": "one",
            "mocks": {"fetch": _answer({"items": two[:1]}, url)},
            "expect": {"effects": _told(f"{word}: one"), "output": 1},
        },
    ]
    return {"steps": steps, "output": "${{ size(steps.fresh.output) }}"}, tests


def due(url: str, word: str) -> tuple[Document, list[Document]]:
    code = (
        "from datetime import date\n\n"
        "def main(rows, today):\n"
        "    day = date.fromisoformat(today[:10])\n"
        "    late = []\n"
        "    for row in rows:\n"
        "        left = (date.fromisoformat(row['due']) - day).days\n"
        "        if not row['done'] and left <= 3:\n"
        "            late.append(f\"{row['name']} ({left} days)\")\n"
        "    return late\n"
    )
    steps = [
        _fetching(url),
        {
            "id": "late",
            "type": "python",
            "with": {
                "args": {
                    "rows": "${{ steps.fetch.output.body }}",
                    "today": "${{ string(execution.started_at) }}",
                },
                "code": code,
            },
        },
        {
            "id": "stop",
            "type": "end",
            "if": "size(steps.late.output) == 0",
            "with": {"status": "skipped", "message": "none is due"},
        },
        _log(f'{word}: ${{{{ steps.late.output.join(", ") }}}}'),
    ]

    def row(name: str, day: str, done: bool = False) -> Document:
        return {"name": name, "due": day, "done": done}

    def test(name: str, rows: list[Document], expect: Document) -> Document:
        at = "2026-01-05T08:00:00Z"
        return {"name": name, "at": at, "mocks": {"fetch": _answer(rows, url)}, "expect": expect}

    none = {"status": "skipped", "message": "none is due", "effects": []}
    tests = [
        test("none is due", [row("A", "2026-01-09")], none),
        test("done", [row("A", "2026-01-01", True)], none),
        test(
            "due in 3 days",
            [row("A", "2026-01-08")],
            {"effects": _told(f"{word}: A (3 days)")},
        ),
        test(
            "overdue",
            [row("A", "2026-01-04"), row("B", "2026-01-05")],
            {"effects": _told(f"{word}: A (-1 days), B (0 days)"), "output": 2},
        ),
    ]
    return {"steps": steps, "output": "${{ size(steps.late.output) }}"}, tests


def routed(
    path: str, secret: str, condition: str, yes: str, no: str
) -> tuple[Document, list[Document]]:
    bot = {
        "triggers": [
            {"webhook": {"path": path, "auth": {"scheme": "standard", "secret": secret}}}
        ],
        "allow": {"secrets": [secret]},
        "steps": [
            _log(f"{yes} ${{{{ trigger.body.id }}}}", "first", **{"if": condition, "needs": []}),
            _log(
                f"{no} ${{{{ trigger.body.id }}}}",
                "second",
                **{"if": f"!({condition})", "needs": []},
            ),
        ],
        "output": "${{ trigger.body.id }}",
    }

    def test(name: str, body: Document, step: str, text: str) -> Document:
        effects = [{"step": step, "with": {"text": text}}]
        trigger = {"kind": "webhook", "body": {"id": "7", **body}}
        expect = {"effects": effects, "output": "7"}
        return {"name": name, "trigger": trigger, "expect": expect}

    if "kind" in condition:
        tests = [
            test("one", {"kind": "billing"}, "first", f"{yes} 7"),
            test("other", {"kind": "bug"}, "second", f"{no} 7"),
        ]
    else:
        tests = [
            test("over", {"amount": 501}, "first", f"{yes} 7"),
            test("edge", {"amount": 500}, "second", f"{no} 7"),
            test("under", {"amount": 1}, "second", f"{no} 7"),
        ]
    return bot, tests


def summed(url: str, system: str) -> tuple[Document, list[Document]]:
    steps = [
        _fetching(url),
        {
            "id": "sum",
            "type": "llm",
            "with": {
                "model": "echo:echo",
                "system": system,
                "prompt": "${{ json(steps.fetch.output.body) }}",
            },
        },
        _log("${{ steps.sum.output }}"),
    ]
    spend = {"models": ["echo:echo"], "spend_usd": {"execution": 0.01}}
    said = {"llm": [{"if": "request.prompt.contains('tea')", "output": "short"}]}
    told = {"effects": _told("short"), "output": "short"}
    tests = [
        {
            "name": "told",
            "mocks": {"fetch": _answer({"text": "tea"}, url), **said},
            "expect": told,
        },
        {
            "name": "it asks again",
            "mocks": {
                "http": [
                    {"url": url, "status": 503, "times": 1},
                    {"url": url, "body": {"text": "tea"}},
                ],
                **said,
            },
            "expect": told,
        },
        {
            "name": "no model",
            "mocks": {"fetch": _answer({"text": "tea"}, url), "llm": [{"error": "away"}]},
            "expect": {"status": "failed", "message": "away", "effects": []},
        },
    ]
    return {"allow": spend, "steps": steps, "output": "${{ steps.sum.output }}"}, tests


def asked(url: str, expires: str) -> tuple[Document, list[Document]]:
    steps = [
        {
            "id": "ask",
            "type": "approve",
            "with": {"text": "Shall it be done?", "expires": expires, "on_expire": "reject"},
        },
        {
            "id": "stop",
            "type": "end",
            "if": "!steps.ask.output.approved",
            "with": {"status": "skipped", "message": "nobody said yes"},
        },
        {
            "id": "do",
            "type": "http",
            "with": {"method": "POST", "url": url, "json": {"by": "${{ steps.ask.output.by }}"}},
        },
    ]

    def decided(approved: bool) -> Document:
        output = {"approved": approved, "by": "ann", "at": "", "form": {}, "note": None}
        return {"output": output}

    posted = {"http": [{"url": url, "method": "POST", "status": 201, "body": {"id": 1}}]}
    done = [{"step": "do", "with": {"url": url, "json": {"by": "ann"}}}]
    no = {"status": "skipped", "message": "nobody said yes", "steps": {"do": "pending"}}
    tests = [
        {
            "name": "yes",
            "mocks": {"ask": decided(True), **posted},
            "expect": {"output": 201, "effects": done, "steps": {"do": "succeeded"}},
        },
        {"name": "no", "mocks": {"ask": decided(False)}, "expect": no},
        {"name": "nobody", "expect": no},
    ]
    return {"steps": steps, "output": "${{ steps.do.output.status }}"}, tests


def changed(url: str, field: str) -> tuple[Document, list[Document]]:
    now = f"steps.fetch.output.body.{field}"
    steps = [
        _fetching(url),
        {
            "id": "same",
            "type": "end",
            "if": f"state.?last.orValue('') == {now}",
            "with": {"status": "skipped", "message": "as before"},
        },
        _log(f"{field} is ${{{{ {now} }}}} now"),
        {"id": "keep", "type": "set", "with": {"state": {"last": f"${{{{ {now} }}}}"}}},
    ]
    new = {"effects": _told(f"{field} is b now"), "state": {"last": "b"}, "output": "b"}
    tests = [
        {
            "name": "another",
            "state": {"last": "a"},
            "mocks": {"fetch": _answer({field: "b"}, url)},
            "expect": new,
        },
        {"name": "the first", "mocks": {"fetch": _answer({field: "b"}, url)}, "expect": new},
        {
            "name": "the same",
            "state": {"last": "b"},
            "mocks": {"fetch": _answer({field: "b"}, url)},
            "expect": {"status": "skipped", "message": "as before", "effects": []},
        },
        _again(url, {field: "b"}, new),
    ]
    return {"steps": steps, "output": f"${{{{ {now} }}}}"}, tests


def _cron(times: str) -> list[Document]:
    return [{"cron": times, "timezone": "Europe/Berlin"}]


def _every(pause: str) -> list[Document]:
    return [{"every": pause}]


_KIND, _AMOUNT = "trigger.body.kind == 'billing'", "trigger.body.amount > 500"
Made = tuple[Callable[..., tuple[Document, list[Document]]], tuple[Any, ...], list[Document]]
#: A shape, what it is made with (of URLs the path), and what starts it.
_MADE: dict[str, Made] = {
    "release-digest": (fresh, ("/releases.json", "New"), _cron("0 8 * * 1-5")),
    "unpaid-invoices": (due, ("/invoices.json", "Kindly"), _cron("0 8 * * 1-5")),
    "tea-price": (threshold, ("/tea.json", "price", 10), _every("15m")),
    "disk-alarm": (threshold, ("/disk.json", "used", 90), _every("5m")),
    "ticket-route": (routed, ("tickets", "TICKETS_KEY", _KIND, "billing", "support"), []),
    "order-hook": (routed, ("orders", "ORDERS_KEY", _AMOUNT, "large", "small"), []),
    "news-summary": (summed, ("/today.json", "Sum up."), _cron("0 7 * * *")),
    "support-summary": (summed, ("/week.json", "Sum up the week."), _cron("0 16 * * 5")),
    "refund-gate": (asked, ("/refunds", "2d"), []),
    "publish-gate": (asked, ("/publish", "1d"), []),
    "job-offers": (fresh, ("/list.json", "Offers"), _cron("0 9,17 * * *")),
    "cve-watch": (fresh, ("/new.json", "Advisories"), _every("1h")),
    "flat-hunt": (fresh, ("/hamburg.json", "Flats"), _every("10m")),
    "stock-low": (threshold, ("/coffee.json", "missing", 20), _cron("0 18 * * *")),
    "queue-length": (threshold, ("/length.json", "waiting", 1000), _every("1m")),
    "certificate-days": (threshold, ("/age.json", "days", 60), _cron("0 6 * * *")),
    "error-rate": (threshold, ("/errors.json", "errors", 50), _every("5m")),
    "overdue-books": (due, ("/loans.json", "Books"), _cron("0 9 * * 1")),
    "contract-ends": (due, ("/all.json", "Contracts"), _cron("0 8 1 * *")),
    "task-nag": (due, ("/mine.json", "Tasks"), _cron("0 10 * * *")),
    "status-change": (changed, ("/api.json", "status"), _every("5m")),
    "dns-change": (changed, ("/a.json", "address"), _every("1h")),
    "version-change": (changed, ("/latest.json", "version"), _cron("0 12 * * *")),
    "lead-route": (routed, ("leads", "LEADS_KEY", _KIND, "billing", "support"), []),
    "alert-size": (routed, ("alerts", "ALERTS_KEY", _AMOUNT, "large", "small"), []),
    "meeting-notes": (summed, ("/today.json", "One short text."), _cron("0 19 * * *")),
    "review-digest": (summed, ("/week.json", "What people say."), _cron("0 20 * * 0")),
    "deploy-gate": (asked, ("/deploy", "4h"), []),
    "podcast-new": (fresh, ("/feed.json", "Episodes"), _every("6h")),
    "co2-warning": (threshold, ("/office.json", "co2", 1200), _every("10m")),
    "fx-watch": (threshold, ("/usd.json", "rate", 2), _cron("0 17 * * 1-5")),
    "backup-state": (changed, ("/state.json", "state"), _cron("0 3 * * *")),
}  # fmt: skip


def corpus() -> list[Solved]:
    """All descriptions that are shipped, solved."""
    return [_solved(each) for each in measuring.corpus()]


def _solved(entry: measuring.Described) -> Solved:
    shape, given, triggers = _MADE[entry.name]
    hosts = entry.expect["hosts"]
    place = f"https://{hosts[0]}" if hosts else ""
    made, tests = shape(f"{place}{given[0]}", *given[1:])
    allow = {**({"hosts": hosts} if hosts else {}), **made.get("allow", {})}
    bot = {
        "name": entry.name,
        "description": entry.description,
        **({"triggers": triggers} if triggers else {}),
        **made,
        **({"allow": allow} if allow else {}),
    }
    return Solved(entry.name, entry.description, hosts, allow.get("secrets", []), bot, tests)
