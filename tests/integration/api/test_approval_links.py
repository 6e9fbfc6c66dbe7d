"""The page of an approval: for whoever has its link, decided once, and nothing by looking."""

import re
from html import unescape
from urllib.parse import urlencode

import pytest

from codex32.engine.records import links
from codex32.kernel.ids import new_id
from codex32.kernel.json_values import dumps
from codex32.kernel.models import ApprovalRow, ExecutionRow, StepRow

TOKEN = "t" * 32
EVIL = "</textarea><script>alert(1)</script>"
FORM = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "reply": {"type": "string", "default": f"Dear Ann,\n{EVIL}", "minLength": 3},
        "count": {"type": "integer", "minimum": 1},
        "tone": {"enum": ["warm", "cool"], "default": "cool"},
        "copy": {"type": "boolean", "default": True},
    },
    "required": ["count"],
}


@pytest.fixture
def asked(api, add_bot, runtime):
    """An execution that has a link to step ``ask``, which may have asked already."""
    add_bot("ping")

    async def asked(*, asks=True, form=FORM, **values):
        execution = (await api("POST", "/api/v1/bots/ping/execute")).json["id"]
        request = {"text": f"Send it? {EVIL}", "to": [], "form": form, "on_expire": "reject"}

        def write():
            links.keep(links.Link(TOKEN, "default", execution, "ask", -1, 1))
            if not asks:
                return
            ExecutionRow.update(status="waiting", started_at=1, ready_at=None).where(
                ExecutionRow.id == execution
            ).execute()
            StepRow.create(execution_id=execution, step="ask", status="waiting")
            row = {"id": new_id("apr"), "status": "pending", "created_at": 1, **values}
            ApprovalRow.create(
                workspace="default",
                execution_id=execution,
                bot_name="ping",
                step="ask",
                request=dumps(request),
                **row,
            )

        await runtime.door.write(write)
        return execution

    return asked


@pytest.fixture
def open_page(api):
    async def open_page(token=TOKEN):
        return await api("GET", f"/approvals/{token}", token=None)

    return open_page


@pytest.fixture
def send(api):
    async def send(token=TOKEN, data=None, **fields):
        body = urlencode(fields) if data is None else data
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await api(
            "POST", f"/approvals/{token}", token=None, data=body.encode(), headers=headers
        )

    return send


def fields(page):
    return set(re.findall(r'name="([^"]+)"', page))


async def test_the_page_shows_what_is_asked_and_lets_nothing_of_it_run(asked, open_page, api):
    await asked()
    answer = await open_page()
    assert answer.status == 200
    assert "<script>" not in answer.text
    assert EVIL in unescape(answer.text)
    assert fields(answer.text) >= {"field.reply", "field.count", "field.tone", "field.copy"}
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    # Whoever looks, decides nothing.
    assert len((await api("GET", "/api/v1/approvals?status=pending")).json["items"]) == 1


async def test_what_is_filled_in_becomes_the_answer_and_the_link_works_once(
    asked, open_page, send, api
):
    execution = await asked()
    first = await send(
        **{"field.reply": "Hello\r\nAnn", "field.count": "2", "field.tone": "warm"},
        verdict="approved",
        note="ok",
        by="ada",
    )
    assert (first.status, "You approved it" in first.text) == (200, True)
    (found,) = (await api("GET", f"/api/v1/approvals?execution={execution}")).json["items"]
    assert found["answer"] == {"reply": "Hello\nAnn", "count": 2, "tone": "warm", "copy": False}
    assert (found["status"], found["by"], found["note"]) == ("approved", "ada", "ok")
    again = await send(verdict="rejected")
    assert (again.status, "ada approved it" in again.text) == (409, True)
    shown = await open_page()
    assert (shown.status, fields(shown.text)) == (200, {"viewport"})
    (entry,) = (await api("GET", "/api/v1/audit?action=approval")).json["items"]
    assert (entry["actor"]["kind"], entry["change"]["by"]) == ("stranger", "ada")


async def test_what_does_not_fit_is_told_on_the_page_and_what_was_written_is_kept(
    asked, send, api
):
    await asked()
    answer = await send(**{"field.reply": "Kept", "field.count": "0"}, verdict="approved")
    assert answer.status == 422
    assert "count" in answer.text
    assert ">\nKept</textarea>" in answer.text
    assert (await send(verdict="approved", **{"field.count": "many"})).status == 422
    assert (await send(verdict="rejected")).status == 200
    (found,) = (await api("GET", "/api/v1/approvals?status=rejected")).json["items"]
    assert found["by"] == "whoever has the link"


async def test_a_link_that_leads_nowhere_says_so_and_one_that_is_early_too(
    asked, open_page, send, api
):
    execution = await asked(asks=False)
    assert ((await open_page()).status, (await open_page("x" * 32)).status) == (404, 404)
    assert "Not yet" in (await open_page()).text
    assert (await send(verdict="approved")).status == 400
    assert (await send("x" * 32, verdict="approved")).status == 404
    await api("POST", f"/api/v1/executions/{execution}/cancel")
    assert "No such link" in (await open_page()).text


@pytest.mark.parametrize("data", ["", "verdict=maybe", "&".join(["a=1"] * 300), "%ff=%ff&="])
async def test_what_is_no_form_of_the_page_decides_nothing(asked, send, api, data):
    await asked(form=None)
    assert (await send(data=data)).status == 400
    assert len((await api("GET", "/api/v1/approvals?status=pending")).json["items"]) == 1


async def test_what_has_expired_can_be_decided_no_more(asked, open_page, send):
    await asked(expires_at=2)
    assert "nobody decided in time" in (await open_page()).text
    assert (await send(verdict="approved", **{"field.count": "1"})).status == 409
