"""Settings: defaults, then files, then the environment, then flags."""

from codex32_config.layers import SettingsError
from codex32_config.settings import Settings, load_settings

__all__ = ["Settings", "SettingsError", "load_settings"]
