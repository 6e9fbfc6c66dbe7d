"""Approvals over HTTP: looking, deciding, and what is refused."""

import asyncio

import pytest

from codex32.kernel.ids import new_id
from codex32.kernel.json_values import dumps
from codex32.kernel.models import ApprovalRow, ExecutionRow, StepRow

FORM = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"n": {"type": "integer", "minimum": 1}, "why": {"default": "so"}},
    "required": ["n"],
}


@pytest.fixture
def ask(api, add_bot, runtime):
    """Executions that wait for somebody; ids of their approvals."""
    add_bot("ping")

    async def ask(count=1, form=None, **values):
        made = []
        for _ in range(count):
            execution = (await api("POST", "/api/v1/bots/ping/execute")).json["id"]
            request = {"text": "Go?", "to": ["ops"], "form": form, "on_expire": "reject"}
            row = {
                "id": new_id("apr"),
                "workspace": "default",
                "execution_id": execution,
                "bot_name": "ping",
                "step": "ask",
                "status": "pending",
                "request": dumps(request),
                "created_at": 1,
                **values,
            }

            def write(row=row, execution=execution):
                ExecutionRow.update(status="waiting", started_at=1, ready_at=None).where(
                    ExecutionRow.id == execution
                ).execute()
                StepRow.create(execution_id=execution, step="ask", status="waiting")
                ApprovalRow.create(**row)

            await runtime.door.write(write)
            made.append(row["id"])
        return made

    return ask


async def test_who_decided_is_audited_as_who_called_and_who_was_named(api, ask):
    (approval,) = await ask()
    await api("POST", f"/api/v1/approvals/{approval}/approve", json={"by": "anna"})
    (entry,) = (await api("GET", "/api/v1/audit?action=approval")).json["items"]
    assert (entry["action"], entry["subject"]) == ("approval.approved", approval)
    assert (entry["actor"]["name"], entry["change"]["by"]) == ("operator", "anna")


async def test_an_approval_is_read_with_its_form(api, ask):
    (approval,) = await ask(form=FORM)
    found = (await api("GET", f"/api/v1/approvals/{approval}")).json
    assert (found["text"], found["to"], found["status"]) == ("Go?", ["ops"], "pending")
    assert found["form"] == FORM
    assert found["item"] is None


async def test_each_approval_stands_on_exactly_one_page(api, ask):
    ids = await ask(5)
    found, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = (await api("GET", f"/api/v1/approvals?status=pending&limit=2{more}")).json
        found += [each["id"] for each in page["items"]]
        cursor = page["next"]
    assert found == sorted(ids, reverse=True)


async def test_lists_are_filtered_by_status_bot_and_execution(api, ask):
    one, two = await ask(2)
    (late,) = await ask(expires_at=2)
    await api("POST", f"/api/v1/approvals/{one}/reject")

    async def ids(query):
        return [
            each["id"] for each in (await api("GET", f"/api/v1/approvals{query}")).json["items"]
        ]

    assert await ids("?status=pending") == [two]
    assert await ids("?status=rejected&status=expired") == [late, one]
    assert await ids("") == [late, two, one]
    assert await ids("?bot=other") == []
    execution = (await api("GET", f"/api/v1/approvals/{two}")).json["execution"]
    assert await ids(f"?execution={execution}") == [two]


@pytest.mark.parametrize(("word", "status"), [("approve", "approved"), ("reject", "rejected")])
async def test_a_decision_lets_the_execution_go_on(api, ask, word, status):
    (approval,) = await ask(form=FORM)
    body = {"form": {"n": 3}, "note": "fine"}
    decided = await api("POST", f"/api/v1/approvals/{approval}/{word}", json=body)
    assert decided.status == 200
    assert (decided.json["status"], decided.json["by"]) == (status, "operator")
    assert decided.json["answer"] == {"n": 3, "why": "so"}
    assert decided.json["note"] == "fine"
    execution = await api("GET", f"/api/v1/executions/{decided.json['execution']}")
    assert execution.json["status"] == "queued"


async def test_a_caller_may_pass_on_who_decided(api, ask):
    (approval,) = await ask()
    decided = await api("POST", f"/api/v1/approvals/{approval}/approve", json={"by": "anna"})
    assert decided.json["by"] == "anna"


async def test_of_many_decisions_at_once_one_is_taken(api, ask):
    (approval,) = await ask()
    answers = await asyncio.gather(
        *(
            api("POST", f"/api/v1/approvals/{approval}/{word}", json={"by": f"{word}-{number}"})
            for number in range(4)
            for word in ("approve", "reject")
        )
    )
    assert sorted(each.status for each in answers) == [200, *[409] * 7]
    (won,) = [each.json for each in answers if each.status == 200]
    for each in answers:
        if each.status == 409:
            assert each.json["code"] == "approval-settled"
            assert won["by"] in each.json["detail"]


async def test_what_does_not_fit_the_form_is_refused_with_all_faults(api, ask):
    (approval,) = await ask(form=FORM)
    path = f"/api/v1/approvals/{approval}/approve"
    refused = await api("POST", path, json={"form": {"n": 0, "y": 1}, "by": ""})
    assert (refused.status, refused.json["code"]) == (422, "form-invalid")
    assert sorted(each["path"] for each in refused.json["errors"]) == ["by", "n", "y"]
    assert (await api("GET", f"/api/v1/approvals/{approval}")).json["status"] == "pending"


async def test_what_is_over_or_not_there_cannot_be_decided(api, ask):
    (late,) = await ask(expires_at=2)
    refused = await api("POST", f"/api/v1/approvals/{late}/approve")
    assert (refused.status, "it expired at" in refused.json["detail"]) == (409, True)
    nothing = await api("POST", f"/api/v1/approvals/{new_id('apr')}/approve")
    assert (nothing.status, nothing.json["code"]) == (404, "approval-not-found")


async def test_a_cancelled_execution_takes_no_decision_any_more(api, ask):
    (approval,) = await ask()
    execution = (await api("GET", f"/api/v1/approvals/{approval}")).json["execution"]
    await api("POST", f"/api/v1/executions/{execution}/cancel")
    refused = await api("POST", f"/api/v1/approvals/{approval}/approve")
    assert (refused.status, "being cancelled" in refused.json["detail"]) == (409, True)
