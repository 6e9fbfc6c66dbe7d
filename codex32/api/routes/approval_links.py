"""Approvals for whoever has the link that a notification brought: a page, and its answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal
from urllib.parse import parse_qsl

from codex32.api.approval_page import POLICY, filled_in, page, question_page
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.kernel.errors import ApprovalNotFound, ApprovalSettled, FormInvalid
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime
from codex32.services.executions import approvals

_HTML = "text/html; charset=utf-8"
_MOST_FIELDS = 200
_NOBODY = "whoever has the link"


class ApprovalLinkRoutes:
    """The page below ``/approvals``. Looking at it decides nothing: mail scanners look, too."""

    def __init__(self, runtime: Runtime) -> None:
        self._door, self._payloads = runtime.door, runtime.payloads
        self._clock = runtime.clock

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/approvals/{token}",
                operation="approval-links.show",
                policy=PUBLIC,
                handler=self._show,
                summary="The page of an approval, for whoever has its link",
                content_type=_HTML,
                also={404: None},
                rate="sign-in",
            ),
            Route(
                method="POST",
                path="/approvals/{token}",
                operation="approval-links.decide",
                policy=PUBLIC,
                handler=self._decide,
                summary="Decide an approval on its page; the first decision counts",
                raw=True,
                content_type=_HTML,
                also=dict.fromkeys((400, 404, 409, 422)),
                rate="sign-in",
            ),
        ]

    async def _show(self, request: ApiRequest) -> ApiResponse:
        try:
            asked = await self._door.read(self._asked, request.path["token"])
        except ApprovalNotFound:
            return _nowhere()
        if asked is None:
            return _answer(page("Not yet", "Nothing is asked yet. Look again in a moment."), 404)
        if asked["status"] != "pending":
            return _answer(page("Decided", _ending(asked)))
        return _answer(question_page(asked))

    async def _decide(self, request: ApiRequest) -> ApiResponse:
        try:
            asked = await self._door.read(self._asked, request.path["token"])
            sent = _sent(request.body)
        except ApprovalNotFound:
            return _nowhere()
        except ValueError:
            return _answer(page("Not understood", "This is no form of this page."), 400)
        if asked is None or sent.get("verdict") not in ("approved", "rejected"):
            return _answer(page("Not understood", "Open the link again, and answer there."), 400)
        verdict: Literal["approved", "rejected"] = (
            "approved" if sent["verdict"] == "approved" else "rejected"
        )
        try:
            await self._settle(request, asked, verdict, sent)
        except FormInvalid as fault:
            told = [f"{each.path}: {each.message}" for each in fault.problems]
            return _answer(question_page(asked, sent, told), 422)
        except ApprovalSettled:
            return replace(await self._show(request), status=409)
        return _answer(page("Thank you", f"You {verdict} it. The bot goes on."))

    async def _settle(
        self,
        request: ApiRequest,
        asked: dict[str, JSON],
        verdict: Literal["approved", "rejected"],
        sent: dict[str, str],
    ) -> None:
        by, note = sent.get("by", "").strip() or _NOBODY, sent.get("note", "").strip() or None
        form = filled_in(asked["form"], sent)
        decision = approvals.Decision(verdict, by, form, note)
        work = partial(
            approvals.decide,
            asked["id"],
            decision,
            self._clock.micros(),
            self._payloads,
            workspace=asked["workspace"],
            caller=request.caller,
        )
        await self._door.write(work)

    def _asked(self, token: str) -> dict[str, JSON] | None:
        row = approvals.by_link(token)
        if row is None:
            return None
        told = approvals.as_dict(row, self._payloads, self._clock.micros())
        return {**told, "workspace": row.workspace}


def _sent(body: bytes) -> dict[str, str]:
    pairs = parse_qsl(
        body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS
    )
    return dict(pairs)


def _ending(asked: dict[str, JSON]) -> str:
    if asked["by"] is None:
        return f"It is {asked['status']}: nobody decided in time, or nobody needs to any more."
    return f"{asked['by']} {asked['status']} it at {asked['decided_at']}."


def _nowhere() -> ApiResponse:
    return _answer(page("No such link", "It leads nowhere, or what it led to is gone."), 404)


def _answer(body: bytes, status: int = 200) -> ApiResponse:
    return ApiResponse(body, status, {"Content-Security-Policy": POLICY})
