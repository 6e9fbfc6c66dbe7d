"""A model service on this machine: the wires of OpenAI and Anthropic, spoken as they are.

::

    with ModelServer() as server:
        server.script(FAULTS["rate_limited"], Turn(text="Good morning."))
        client = OpenAI(api_key=server.key, base_url=server.openai_url, max_retries=0)
        ...
        assert [asked.status for asked in server.asked] == [429, 200]

It checks keys and requests as strictly as the services do, counts tokens, keeps a log of what it
was asked and what it would have billed, and misbehaves as told. ``python -m
codex32_testing.model_server`` runs it as a process.
"""

from codex32_testing.model_server.faults import EMBEDDING_FAULTS, FAULTS, Outcome
from codex32_testing.model_server.log import Asked
from codex32_testing.model_server.server import ModelServer
from codex32_testing.model_server.turns import ABSENT, Carriage, Tokens, Turn

__all__ = [
    "ABSENT",
    "EMBEDDING_FAULTS",
    "FAULTS",
    "Asked",
    "Carriage",
    "ModelServer",
    "Outcome",
    "Tokens",
    "Turn",
]
