"""The OpenAPI 3.1 document, made from the same declarations that are served."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from codex32.api.models import ProblemDocument
from codex32.api.operations import VARIABLE, Operation
from codex32.api.reading import FORM_TYPE, JSON_TYPE, KEY
from codex32.api.reference_page import POLICY, reference_page
from codex32.api.streaming import CONTENT_TYPE as EVENTS_TYPE
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.kernel.json_values import JSON

_REF = "#/components/schemas/{model}"
_PROBLEM_TYPE = "application/problem+json"
_ABOUT = (
    "Bots are files; Codex-32 runs them so that nothing is lost. Send `Authorization: Bearer "
    "TOKEN`, where the token is an API key, an access token of `/api/v1/auth/token`, or the "
    "installation's own; whoever is a member of several workspaces names one in `X-Workspace`. "
    "Errors are problem documents (RFC 9457) with a stable `code`; lists give `next`, the "
    "`cursor` of the page that follows."
)

#: Who may call: one of these proves it.
_SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, an API key, or the installation's own token.",
    },
    "oauth2": {
        "type": "oauth2",
        "flows": {
            "password": {
                "tokenUrl": "/api/v1/auth/token",
                "refreshUrl": "/api/v1/auth/token",
                "scopes": {},
            }
        },
    },
}
#: Where another standard says how errors are told.
_OTHERWISE = {
    "description": "An error, as the standard of this operation has it",
    "content": {kind: {"schema": {"type": "object"}} for kind in (JSON_TYPE, _PROBLEM_TYPE)},
}
_VARIABLE = {"type": "string", "pattern": f"^{VARIABLE}$"}
_PARAMETERS = {
    "Workspace": {
        "name": "X-Workspace",
        "in": "header",
        "description": "In which workspace; needed by whoever is a member of several.",
        "schema": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Asking again with the same key, for the same, is asking once.",
        "schema": {"type": "string", "pattern": KEY},
    },
}
_HEADERS = {
    "RequestId": {
        "description": "Names the request in logs and in the audit log.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "Seconds until it makes sense to ask again.",
        "schema": {"type": "integer"},
    },
}


class Documents:
    """Serves the document of ``operations``, its own two included, and the page made of it."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/openapi.json",
                operation="openapi",
                policy=PUBLIC,
                handler=self._show,
                summary="This document",
            ),
            Route(
                method="GET",
                path="/docs",
                operation="docs",
                policy=PUBLIC,
                handler=self._page,
                summary="This document as a page",
                content_type="text/html; charset=utf-8",
            ),
        ]

    @cached_property
    def _document(self) -> dict[str, Any]:
        return openapi(self._operations)

    @cached_property
    def _html(self) -> bytes:
        return reference_page(self._document).encode()

    async def _show(self, request: ApiRequest) -> JSON:
        return self._document

    async def _page(self, request: ApiRequest) -> ApiResponse:
        return ApiResponse(self._html, headers={"Content-Security-Policy": POLICY})


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of these operations."""
    schemas: dict[str, Any] = {}
    problem = _schema(ProblemDocument, schemas, "serialization")
    paths: dict[str, Any] = {}
    for operation in operations:
        entry = _operation(operation, schemas)
        paths.setdefault(operation.path, {})[operation.route.method.lower()] = entry
    content = {_PROBLEM_TYPE: {"schema": problem}}
    told = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    later = {**told, "Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Codex-32", "version": "1", "description": _ABOUT},
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, operations))],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": {
                "Problem": {
                    "description": "A problem (RFC 9457)",
                    "headers": told,
                    "content": content,
                },
                "Later": {
                    "description": "Too often, or not just now",
                    "headers": later,
                    "content": content,
                },
            },
            "securitySchemes": _SECURITY,
        },
        "security": [{"bearer": []}, {"oauth2": []}],
    }


def _tag(operation: Operation) -> str:
    return operation.route.operation.partition(".")[0]


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    route = operation.route
    entry: dict[str, Any] = {
        "operationId": operation.id,
        "summary": route.summary,
        "tags": [_tag(operation)],
    }
    if route.description:
        entry["description"] = route.description
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _VARIABLE}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    parameters += _query(route.query, schemas)
    if route.policy == PUBLIC:
        entry["security"] = []
    else:
        entry["x-permission"] = route.policy
        parameters.append({"$ref": "#/components/parameters/Workspace"})
    if route.keyed or (route.body is not None and "idempotency_key" in route.body.model_fields):
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if parameters:
        entry["parameters"] = parameters
    if content := _body(route, schemas):
        entry["requestBody"] = {"content": content}
    later = {"$ref": "#/components/responses/Later"}
    entry["responses"] = {
        str(route.status): _answer(route, route.status, route.response, schemas),
        **{
            str(status): _answer(route, status, model, schemas)
            for status, model in route.also.items()
        },
        "429": later,
        "503": later,
        "default": {"$ref": "#/components/responses/Problem"},
    }
    if route.refusal is not None:
        answers = entry["responses"]
        for code in ("400", "401", "403"):
            answers.setdefault(code, _OTHERWISE)
        # A fault of which the other standard does not speak is a problem all the same.
        for status, model in route.also.items():
            answer = _answer(route, status, model, schemas)
            answer["content"][_PROBLEM_TYPE] = {
                "schema": _schema(ProblemDocument, schemas, "serialization")
            }
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                answer["headers"]["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
            answers[str(status)] = answer
    return entry


def _body(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    """What the body may hold, by its type."""
    if route.raw:
        return {"*/*": {"schema": {}}}
    if route.form is not None:
        return {FORM_TYPE: {"schema": _schema(route.form, schemas, "validation")}}
    if route.body is not None:
        return {JSON_TYPE: {"schema": _schema(route.body, schemas, "validation")}}
    return {}


def _answer(
    route: Route, status: int, model: type[BaseModel] | None, schemas: dict[str, Any]
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
    }
    schema: dict[str, Any] = {}
    if model is not None:
        schema = _schema(model, schemas, "serialization")
    if route.content_type == EVENTS_TYPE:
        # OpenAPI 3.1 has no word for the single events; what each holds is told beside the text.
        answer["content"] = {EVENTS_TYPE: {"schema": {"type": "string"}, "x-event": schema}}
    elif route.content_type != JSON_TYPE and (status < 300 or model is None):
        answer["content"] = {route.content_type.partition(";")[0]: {"schema": {}}}
        if status >= 300:  # a page of its own, where it comes to that
            problem = _schema(ProblemDocument, schemas, "serialization")
            answer["content"][_PROBLEM_TYPE] = {"schema": problem}
        if schema:  # whoever prefers JSON is given JSON
            answer["content"][JSON_TYPE] = {"schema": schema}
    elif schema:
        answer["content"] = {JSON_TYPE: {"schema": schema}}
    return answer


def _query(model: type[BaseModel] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_REF)
    schemas.update(schema.get("$defs", {}))
    needed = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": _sendable(each)}
        for name, each in schema.get("properties", {}).items()
    ]


def _sendable(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema without null: a query cannot hold it, one leaves the name out."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if not choices:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, "anyOf": choices}


def _schema(
    model: type[BaseModel], schemas: dict[str, Any], mode: JsonSchemaMode
) -> dict[str, str]:
    """Puts the model's schema among ``schemas``; a reference to it."""
    schema = model.model_json_schema(ref_template=_REF, mode=mode)
    schemas.update(schema.pop("$defs", {}))
    name = re.sub(r"\W+", "_", model.__name__).strip("_")
    schemas[name] = schema
    return {"$ref": _REF.format(model=name)}
