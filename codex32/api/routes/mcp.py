"""The Model Context Protocol over HTTP: one message a request, one answer, no session."""

from __future__ import annotations

from codex32.api.errors import MediaTypeUnsupported, RequestMalformed
from codex32.api.reading import JSON_TYPE, parse_json
from codex32.kernel.contracts.route import ApiRequest, ApiResponse, Route
from codex32.runtime import Runtime
from codex32.services.mcp.offering import Offering
from codex32.services.mcp.server import REVISIONS, McpServer


class McpRoutes:
    """The one address of the protocol."""

    def __init__(self, runtime: Runtime) -> None:
        offering = Offering(runtime.door, runtime.definitions, runtime.payloads)
        self._server = McpServer(runtime.door, offering, runtime.payloads, runtime.clock)

    def routes(self) -> list[Route]:
        """The declaration."""
        return [
            Route(
                method="POST",
                path="/mcp",
                operation="mcp.message",
                policy="bots.execute",
                handler=self._message,
                summary="A message of the Model Context Protocol, whose tools are bots",
                raw=True,
                rate="start",
                also={202: None},
            )
        ]

    async def _message(self, request: ApiRequest) -> ApiResponse:
        if request.content_type != JSON_TYPE:
            raise MediaTypeUnsupported(f"send JSON, with `Content-Type: {JSON_TYPE}`")
        revision = request.headers.get("MCP-Protocol-Version", REVISIONS[-1])
        if revision not in REVISIONS:
            known = ", ".join(REVISIONS)
            raise RequestMalformed(f"MCP-Protocol-Version: {revision[:20]!r} is none of: {known}")
        answer = await self._server.answer(parse_json(request.body), request.caller)
        if answer is None:
            return ApiResponse(b"", 202)
        return ApiResponse(answer)
