"""Plugins: which were found, and what became of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import RootModel

from codex32.api.models import PluginsOut
from codex32.engine.reading.schema import bot_schema
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime


class SchemaOut(RootModel[dict[str, Any]]):
    """A JSON Schema."""


class PluginRoutes:
    """``/plugins`` and ``/schema``."""

    def __init__(self, runtime: Runtime) -> None:
        self._plugins = runtime.plugins
        self._schema: dict[str, JSON] = {}

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/plugins",
                operation="plugins.list",
                policy="plugins.read",
                handler=self._list,
                summary="Plugins, in the order of loading",
                response=PluginsOut,
            ),
            Route(
                method="GET",
                path="/schema",
                operation="schema.read",
                policy="plugins.read",
                handler=self._show_schema,
                summary="The JSON Schema of definitions, with what is installed",
                response=SchemaOut,
            ),
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return {"items": [asdict(record) for record in self._plugins.records]}

    async def _show_schema(self, request: ApiRequest) -> JSON:
        if not self._schema:
            self._schema.update(bot_schema(self._plugins.components))
        return self._schema
