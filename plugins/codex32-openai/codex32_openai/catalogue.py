"""Models of OpenAI that are known without asking; any other name is sent as it is."""

from __future__ import annotations

from codex32 import CAPABILITIES, ModelInfo

_ALL = frozenset(CAPABILITIES)
#: Models that reason take no temperature.
_REASONING = _ALL - {"temperature"}
_THINKERS = {
    "gpt-6.2-sol": 1_050_000,
    "gpt-6.2-astra": 1_050_000,
    "gpt-6.1-sol": 1_050_000,
    "gpt-6.1-terra": 1_050_000,
    "gpt-6-astra": 1_050_000,
    "gpt-6-sol": 1_050_000,
    "gpt-6-luna": 1_050_000,
    "gpt-5.6-sol": 1_050_000,
    "gpt-5.6-terra": 1_050_000,
    "gpt-5.6-luna": 1_050_000,
    "gpt-5.5": 1_000_000,
    "gpt-5.4": 1_050_000,
    "gpt-5.4-mini": 400_000,
    "gpt-5.4-nano": 400_000,
    "gpt-5.2": 400_000,
    "gpt-5.1": 400_000,
    "gpt-5": 400_000,
    "gpt-5-mini": 400_000,
    "gpt-5-nano": 400_000,
    "o4-mini": 200_000,
    "o3": 200_000,
}
_OTHERS = {
    "gpt-4.1": 1_000_000,
    "gpt-4.1-mini": 1_000_000,
    "gpt-4.1-nano": 1_000_000,
    "gpt-4o": 128_000,
    "gpt-4o-mini": 128_000,
}
#: Announced ends.
_RETIRES = {"gpt-5-mini": "2026-12-11"}

MODELS = tuple(
    ModelInfo(name, window, _REASONING, retires_on=_RETIRES.get(name))
    for name, window in _THINKERS.items()
) + tuple(ModelInfo(name, window, _ALL) for name, window in _OTHERS.items())

#: Numbers in a vector, by model.
EMBEDDERS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
#: Tokens of one text that those read. Local servers cut what is longer without a word, so theirs
#: read as few as the smallest models in use, unless the settings say more.
READ_BY_OPENAI, READ_BY_ANY = 8191, 512
