"""The installed plugins as the settings want them; apart from the runtime, since it is quick."""

from __future__ import annotations

from typing import Any

from codex32.kernel.plugins import Plugins
from codex32_config.settings import Settings


def load_plugins(settings: Settings) -> Plugins:
    """The installed plugins, each with its own table of settings.

    Raises:
      PluginError: A plugin failed and ``loading.strict`` is set.
    """
    configs: dict[str, dict[str, Any]] = {k: dict(v) for k, v in settings.plugins.items()}
    # The house's own dispatcher is told where Redis is; a stranger's has its own settings.
    configs.setdefault("workers", {}).setdefault("redis_url", settings.redis_url)
    return Plugins.load(
        configs,
        allow=settings.loading.allow,
        block=settings.loading.block,
        strict=settings.loading.strict,
    )
