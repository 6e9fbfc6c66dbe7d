"""The face of Codex-32 for those who write plugins: all they may use, and nothing else.

A plugin is a distribution with an entry point in the group ``codex32`` that names a module with
hook implementations::

    from codex32 import BotType, StepContext, Succeeded, hookimpl

    class Shout(BotType):
        name = "shout"
        params_schema = {"type": "object", "properties": {"text": {"type": "string"}}}

        async def run(self, context: StepContext, params):
            return Succeeded(params["text"].upper())

    @hookimpl
    def register_bot_types(config):
        yield Shout()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codex32.face import *  # noqa: F403 - it says itself what all of it is


def __getattr__(name: str) -> Any:
    """All is loaded when the first of it is asked for: who only keeps processes does without."""
    if name.startswith("_") and name != "__all__":
        raise AttributeError(name)
    face = import_module("codex32.face")
    globals().update({each: getattr(face, each) for each in face.__all__}, __all__=face.__all__)
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return globals()[name]
