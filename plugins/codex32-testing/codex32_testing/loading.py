"""Loading one plugin as a process of the house does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex32.kernel.plugins import Plugins


def load_plugin(module: Any, config: Mapping[str, Any] | None = None) -> Plugins:
    """Load a plugin alone, without what else is installed.

    Args:
      module: The module (or any object) with the hooks, or its dotted name.
      config: The plugin's table of settings.

    Raises:
      PluginError: It does not load; the message says why.
    """
    configs = {"under_test": config or {}}
    return Plugins.load(configs, extra=[("under_test", module)], group="codex32_none", strict=True)
