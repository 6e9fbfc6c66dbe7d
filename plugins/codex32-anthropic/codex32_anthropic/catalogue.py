"""Models of Anthropic that are known without asking; any other name is sent as it is."""

from __future__ import annotations

from codex32 import ModelInfo

# The API takes no temperature any more, and knows no JSON but after a schema.
_CAPABILITIES = frozenset({"tools", "tool_choice", "schema", "images"})
_WINDOWS = {
    "claude-haiku-5-5": 1_000_000,
    "claude-sonnet-5-5": 1_000_000,
    "claude-opus-5-5": 1_000_000,
    "claude-fable-5-2": 1_000_000,
    "claude-mythos-5-2": 1_000_000,
    "claude-sonnet-5": 1_000_000,
    "claude-opus-5": 1_000_000,
    "claude-fable-5-1": 1_000_000,
    "claude-fable-5": 1_000_000,
    "claude-opus-4-8": 1_000_000,
    "claude-opus-4-7": 1_000_000,
    "claude-opus-4-6": 1_000_000,
    "claude-sonnet-4-6": 1_000_000,
    "claude-haiku-4-5": 200_000,
    "claude-opus-4-5": 200_000,
    "claude-sonnet-4-5": 200_000,
}

MODELS = tuple(ModelInfo(name, window, _CAPABILITIES) for name, window in _WINDOWS.items())
