"""The two marks of pluggy, under the project's name."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("codex32")
hookimpl = pluggy.HookimplMarker("codex32")
