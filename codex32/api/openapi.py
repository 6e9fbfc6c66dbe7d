"""The OpenAPI 3.1 document, made from the same declarations that are served."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from codex32.api.models import ProblemDocument
from codex32.api.operations import VARIABLE, Operation
from codex32.api.reading import FORM_TYPE, JSON_TYPE
from codex32.api.streaming import CONTENT_TYPE as EVENTS_TYPE
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, Route
from codex32.kernel.json_values import JSON

_REF = "#/components/schemas/{model}"


def openapi_route(operations: Sequence[Operation]) -> Route:
    """The route that serves the document of ``operations`` and of itself."""
    made: list[JSON] = []

    async def show(request: ApiRequest) -> JSON:
        if not made:
            made.append(openapi(operations))
        return made[0]

    return Route(
        method="GET",
        path="/openapi.json",
        operation="openapi",
        policy=PUBLIC,
        handler=show,
        summary="This document",
    )


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of these operations."""
    schemas: dict[str, Any] = {}
    problem = _schema(ProblemDocument, schemas, "serialization")
    paths: dict[str, Any] = {}
    for operation in operations:
        entry = _operation(operation, schemas)
        entry["responses"]["default"] = {
            "description": "A problem (RFC 9457)",
            "content": {"application/problem+json": {"schema": problem}},
        }
        paths.setdefault(operation.path, {})[operation.route.method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {"title": "Codex-32", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    route = operation.route
    entry: dict[str, Any] = {"operationId": route.operation, "summary": route.summary}
    if route.policy == PUBLIC:
        entry["security"] = []
    else:
        entry["x-permission"] = route.policy
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _VARIABLE}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    parameters += _query(route.query, schemas)
    if parameters:
        entry["parameters"] = parameters
    if route.description:
        entry["description"] = route.description
    if content := _body(route, schemas):
        entry["requestBody"] = {"content": content}
    entry["responses"] = {str(route.status): _answer(route, schemas)}
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


def _answer(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    schema: dict[str, Any] = {}
    if route.response is not None:
        schema = _schema(route.response, schemas, "serialization")
    if route.content_type == EVENTS_TYPE:
        # OpenAPI 3.1 has no word for the single events; what each holds is told beside the text.
        answer["content"] = {EVENTS_TYPE: {"schema": {"type": "string"}, "x-event": schema}}
    elif route.content_type != JSON_TYPE:
        answer["content"] = {route.content_type: {"schema": {"type": "string"}}}
    elif schema:
        answer["content"] = {JSON_TYPE: {"schema": schema}}
    return answer


_VARIABLE = {"type": "string", "pattern": f"^{VARIABLE}$"}


def _query(model: type[BaseModel] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_REF)
    schemas.update(schema.get("$defs", {}))
    needed = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]


def _schema(
    model: type[BaseModel], schemas: dict[str, Any], mode: JsonSchemaMode
) -> dict[str, str]:
    """Puts the model's schema among ``schemas``; a reference to it."""
    schema = model.model_json_schema(ref_template=_REF, mode=mode)
    schemas.update(schema.pop("$defs", {}))
    name = re.sub(r"\W+", "_", model.__name__).strip("_")
    schemas[name] = schema
    return {"$ref": _REF.format(model=name)}
