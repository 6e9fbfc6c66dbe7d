"""Automation 12: reminders of invoices, built from a sentence, refined by another, rolled back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from codex32_automations import model_settings
from codex32_hands import Hands
from codex32_houses import CODEX32, House, until

from codex32.engine.reading.writing import to_yaml, yaml_text
from codex32.kernel.statuses import Status
from codex32_testing.model_server import ModelServer
from codex32_testing.model_server.builders import PERSONALITIES, builder_model
from codex32_testing.servers.apart import apart
from codex32_testing.servers.base import Answer, Asked, ServiceServer
from codex32_testing.servers.smtp import SmtpServer

BOT = "invoice-reminder"
#: Monday, long before eight in Berlin: hands go on while a bot is built, however slowly.
BEFORE_EIGHT = datetime(2027, 1, 4, tzinfo=UTC)
AT_EIGHT = datetime(2027, 1, 4, 7, 0, 1, tzinfo=UTC)
HEAD = "number,customer,due,paid,tag\n"
#: Rows of the sheets of ten runs; those of the last letter are of a customer tagged VIP.
ROWS = {
    "a": "1,Acme,2027-01-07,no,",
    "b": "2,Bolt,2026-12-20,no,",
    "c": "3,Corn,2027-01-08,no,",
    "d": "4,Dove,2027-01-04,yes,",
    "v": "5,Vane,2027-01-05,no,VIP",
}
SHEETS = ("", "a", "b", "ab", "cd", "av", "v", "bv", "abcdv", "acd")
CODE = """\
import csv
from datetime import date


def main(sheet, today):
    day = date.fromisoformat(today[:10])
    if day.weekday() > 4:
        return []
    due = []
    for row in csv.DictReader(sheet.splitlines()):
        left = (date.fromisoformat(row["due"]) - day).days
        if row["paid"] == "no" and left <= 3:
            when = "is overdue" if left < 0 else f"is due in {left} days"
            due.append({"number": row["number"], "text": f"{row['customer']}: {when}"})
    return due
"""
NO_VIPS = CODE.replace('if row["paid"]', 'if row["tag"] != "VIP" and row["paid"]')
PYTEST = """\
import pytest

HEAD = "number,customer,due,paid,tag\\n"
SHEET = {sheet}


@pytest.mark.parametrize("due, paid, today, told", [
    ("2027-01-07", "no", "2027-01-04", ["Acme: is due in 3 days"]),
    ("2027-01-08", "no", "2027-01-04", []),
    ("2027-01-03", "no", "2027-01-04", ["Acme: is overdue"]),
    ("2027-01-03", "yes", "2027-01-04", []),
    ("2027-01-03", "no", "2027-01-02", []),
])
def test_what_is_due_is_told(step_main, due, paid, today, told):
    main = step_main("invoice-reminder", "due")
    found = main(sheet=HEAD + SHEET.format(due=due, paid=paid), today=today)
    assert [each["text"] for each in found] == told
    assert [each["number"] for each in found] == ["1"] * len(told)
""".replace("{sheet}", '"1,Acme,{due},{paid},\\n"')


class Office(ServiceServer):
    """Keeps sheets: ``/sheets/ab.csv`` has the rows a and b."""

    def answer(self, asked: Asked) -> Answer:
        rows = asked.path.rpartition("/")[2].removesuffix(".csv")
        return Answer(text=sheet(rows), headers={"Content-Type": "text/csv; charset=utf-8"})


def sheet(rows: str) -> str:
    return HEAD + "".join(f"{ROWS[each]}\n" for each in rows)


@dataclass(frozen=True)
class Reminder:
    """What a competent model makes of it."""

    description: str
    url: str
    code: str
    more_tests: tuple[Any, ...] = ()
    python: str = PYTEST

    @property
    def specification(self) -> dict[str, Any]:
        return {
            "purpose": self.description,
            "data_sources": ["the sheet"],
            "processing": ["find what is unpaid and due within three days"],
            "outputs": ["a mail"],
            "features": [],
            "performance": "once a weekday",
            "security": [],
            "integrations": {
                "hosts": [self.url.split("/")[2]],
                "secrets": [],
                "recipients": ["ann@example.com"],
                "services": [],
            },
            "assumptions": ["times are those of Berlin"],
            "questions": [],
        }

    @property
    def yaml(self) -> str:
        lines = "${{ steps.due.output.map(d, d.text).join('\\n') }}"
        told = f"Dear Ann, may we kindly remind you?\n{lines}"
        args = {
            "sheet": "${{ steps.fetch.output.body }}",
            "today": "${{ inputs.on != '' ? inputs.on : string(execution.started_at) }}",
        }
        bot = {
            "name": BOT,
            "description": FIRST.format(self.url),
            "triggers": [{"cron": "0 8 * * 1-5", "timezone": "Europe/Berlin"}],
            "inputs": {
                "sheet": {"type": "string", "default": self.url},
                "on": {"type": "string", "default": ""},
            },
            "allow": {"hosts": [self.url.split("/")[2]]},
            "steps": [
                {
                    "id": "fetch",
                    "type": "http",
                    "retry": {"attempts": 3, "first": "2s"},
                    "with": {"url": "${{ inputs.sheet }}"},
                },
                {"id": "due", "type": "python", "with": {"args": args, "code": self.code}},
                {
                    "id": "stop",
                    "type": "end",
                    "if": "size(steps.due.output) == 0",
                    "with": {"status": "skipped", "message": "none is due"},
                },
                {
                    "id": "mail",
                    "type": "notify",
                    "with": {
                        "to": "email",
                        "target": "ann@example.com",
                        "title": "Invoices",
                        "text": told,
                    },
                },
            ],
            "output": "${{ steps.due.output.map(d, d.number) }}",
        }
        return to_yaml(bot)

    @property
    def tests_yaml(self) -> str:
        return yaml_text([*self.tests(), *self.more_tests])

    def tests(self) -> Iterator[Any]:
        none = {"status": "skipped", "message": "none is due", "effects": []}
        monday, saturday = "2027-01-04T08:00:00Z", "2027-01-09T08:00:00Z"
        kindly = "Dear Ann, may we kindly remind you?\n"
        yield case("none is due", monday, "cd", none)
        yield case("due in 3 days", monday, "a", mailed(f"{kindly}Acme: is due in 3 days", "1"))
        both = f"{kindly}Acme: is due in 3 days\nBolt: is overdue"
        yield case("overdue", monday, "ab", mailed(both, "1", "2"))
        yield case("at the weekend", saturday, "ab", none)
        again = case("it asks again", monday, "b", mailed(f"{kindly}Bolt: is overdue", "2"))
        ok = {"url": self.url, "body": sheet("b"), "headers": {"content-type": "text/csv"}}
        yield again | {
            "mocks": {"http": [{"url": self.url, "status": 503, "times": 1}, ok]} | MAIL
        }


MAIL: dict[str, Any] = {"notify": [{"output": {"id": "1"}}]}
FIRST = (
    "Each weekday at 8 mail ann@example.com the unpaid invoices that are due within 3 days or "
    "overdue from this sheet: {} in a polite tone."
)
SECOND = "Also skip customers tagged VIP."


def case(name: str, at: str, rows: str, expect: Any) -> Any:
    answer = {"status": 200, "headers": {}, "body": sheet(rows), "url": ""}
    return {
        "name": name,
        "at": at,
        "mocks": {"fetch": {"output": answer}} | MAIL,
        "expect": expect,
    }


def mailed(text: str, *numbers: str) -> Any:
    what = {"to": "email", "target": "ann@example.com", "title": "Invoices", "text": text}
    return {"output": list(numbers), "effects": [{"step": "mail", "with": what}]}


def given(office: Office, rows: str) -> dict[str, str]:
    """The inputs of a run on Monday."""
    return {"sheet": f"{office.url()}/sheets/{rows}.csv", "on": "2027-01-04"}


def ready(house: House, *command: str) -> Any:
    """A session with a draft, and nothing asked."""
    done = subprocess.run(
        [*CODEX32, "build", *command, "--json"],
        cwd=house.folder,
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=400,  # twenty mutants, on whatever machine
        check=False,
    )
    told = json.loads(done.stdout)
    assert (told["status"], told["message"]) == ("ready", "")
    assert done.returncode == 5, done.stderr
    return told


def without_vips(rows: str) -> list[str]:
    """The numbers that version 1 tells of a sheet, but those of VIPs."""
    return [ROWS[each].partition(",")[0] for each in rows if each in "ab"]


def recorded(house: House, execution: str, rows: str) -> Any:
    """A test made from a run of version 1, but that it says what is told without VIPs."""
    done = house.cli("test", "--from", execution)
    assert done.returncode == 0, done.stderr
    (found,) = yaml.safe_load(done.stdout)["tests"]
    numbers = without_vips(rows)
    expect = {"output": numbers} if numbers else {"status": "skipped"}
    return {**found, "name": f"sheet {rows or 'of nothing'}", "expect": expect}


def verdicts(house: House, text: str, cases: list[Any]) -> dict[str, bool]:
    """Which of these tests the bot of this text passes."""
    folder = house.folder / "backtest"
    folder.mkdir(exist_ok=True)
    bot = {**yaml.safe_load(text), "tests": cases}
    (folder / f"{BOT}.yaml").write_text(to_yaml(bot), encoding="utf-8")
    (told,) = house.ask("test", str(folder))["bots"]
    return {each["name"]: each["passed"] for each in told["tests"]}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["up", "postgresql"])
def test_a_sentence_becomes_a_bot_and_another_one_changes_it(
    build: Any, hands: Hands, model: ModelServer, kind: str
) -> None:
    with apart(Office) as (office, _), apart(SmtpServer) as (smtp, _):
        url = f"{office.url()}/sheets/ab.csv"
        vip = case("a VIP is left alone", "2027-01-04T08:00:00Z", "av", {"output": ["1"]})
        first = Reminder(FIRST.format(url), url, CODE)
        second = Reminder(SECOND, url, NO_VIPS, (vip,))
        model.ask(builder_model([second, first], PERSONALITIES["competent"]))
        settings = model_settings(model)
        settings["builder"] = {"model": "openai:gpt-5-mini"}
        settings["outside"] = {"private_hosts": [url.split("/")[2]]}
        settings["plugins"]["email"] = {
            "host": "127.0.0.1", "port": smtp.port, "security": "none",
            "sender": "Bots <bots@example.com>",
        }  # fmt: skip
        hands.put_to(BEFORE_EIGHT)
        house: House = build(kind, settings, CODEX32_SECRET_OPENAI_API_KEY=model.key)
        house.start()

        told = ready(house, FIRST.format(url))
        draft = told["draft"]
        names = [each["name"] for each in draft["proof"]["tests"]]
        assert {"none is due", "due in 3 days", "overdue", "at the weekend"} <= set(names)
        assert sum("::" in each for each in names) == 5  # pytest for its Python
        assert draft["proof"]["share"] >= 0.6
        wants = {(each["kind"], each["name"]) for each in draft["capabilities"]}
        assert wants >= {("hosts", url.split("/")[2])}
        assert any("ann@example.com" in name for _, name in wants)
        assert draft["cost"]["month_usd"] == 0
        assert house.bot(BOT) is None

        saved = house.ask("build", "save", told["id"], "bots")
        assert [Path(each).name for each in saved["files"]] == [
            f"{BOT}.yaml", "test_invoice_reminder.py"
        ]  # fmt: skip
        until(lambda: house.bot(BOT), "the folder has it")
        hands.put_to(AT_EIGHT)
        (mail,) = until(lambda: smtp.mails, "the mail of eight o'clock")
        assert "kindly" in mail.message.get_content()
        assert "Bolt: is overdue" in mail.message.get_content()

        runs = {rows: house.execute(BOT, **given(office, rows)) for rows in SHEETS}
        for execution in runs.values():
            house.reach(execution, Status.SUCCEEDED, Status.SKIPPED)

        told = ready(house, SECOND, "--refine", BOT)
        paths = {path for each in told["draft"]["changes"] for path in each["paths"]}
        assert paths == {"steps.due.with.code", "tests.a VIP is left alone"}, told["draft"][
            "changes"
        ]
        before = (house.bots / f"{BOT}.yaml").read_text()
        assert house.cli("build", "save", told["id"], "bots").returncode != 0
        assert house.cli("build", "save", told["id"], "bots", "--force").returncode == 0
        until(lambda: house.bot(BOT)["version"] == 2, "version 2")

        cases = [recorded(house, execution, rows) for rows, execution in runs.items()]
        after = (house.bots / f"{BOT}.yaml").read_text()
        assert all(verdicts(house, after, cases).values())
        passed = verdicts(house, before, cases)
        assert {name for name, good in passed.items() if not good} == {
            f"sheet {rows}" for rows in SHEETS if "v" in rows
        }

        schedule = house.get(f"/api/v1/bots/{BOT}/schedule").body
        assert house.cli("bots", "rollback", BOT, "1").returncode == 0
        assert house.bot(BOT)["version"] == 1
        assert house.get(f"/api/v1/bots/{BOT}/schedule").body == schedule
