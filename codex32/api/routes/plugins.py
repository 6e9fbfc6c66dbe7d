"""Plugins: which were found, and what became of them."""

from __future__ import annotations

from dataclasses import asdict

from codex32.api.models import PluginsOut
from codex32.kernel.contracts.route import ApiRequest, Route
from codex32.kernel.json_values import JSON
from codex32.runtime import Runtime


class PluginRoutes:
    """The route ``/plugins``."""

    def __init__(self, runtime: Runtime) -> None:
        self._plugins = runtime.plugins

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
            )
        ]

    async def _list(self, request: ApiRequest) -> JSON:
        return {"items": [asdict(record) for record in self._plugins.records]}
