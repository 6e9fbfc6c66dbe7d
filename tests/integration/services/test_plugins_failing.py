"""A plugin that fails is told as an event, once, however many processes find it out."""

import sys
import types
from functools import partial

import pytest

from codex32 import hookimpl
from codex32.kernel.caller import STRANGER
from codex32.kernel.json_values import loads
from codex32.kernel.models import EventRow
from codex32.kernel.plugins import Plugins
from codex32.runtime import open_runtime
from codex32.services.events import outbound_endpoints as endpoints
from codex32.services.events.outbound_endpoints import Wish
from codex32_config.settings import load_settings


@pytest.fixture
def broken():
    @hookimpl
    def register_bot_types():
        raise RuntimeError("no luck")

    module = types.ModuleType("codex32_broken")
    module.register_bot_types = register_bot_types
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_a_plugin_that_fails_is_told_once_to_those_who_listen(tmp_path, database_url, broken):
    settings = load_settings(folder=tmp_path, overrides={"database_url": database_url}, environ={})

    def start(listen=False):
        plugins = Plugins.load({}, group="codex32.none", extra=[("broken", broken)])
        runtime = open_runtime(settings, "worker", plugins=plugins)
        if listen:
            wish = Wish(url="https://example.com", events=["plugin.failed"])
            now = runtime.clock.micros()
            make = partial(
                endpoints.create, runtime.vault, wish, STRANGER, now, workspace="default"
            )
            runtime.door.write_now(make)
        found = runtime.door.read_now(lambda: list(EventRow.select()))
        runtime.close()
        return found

    start(listen=True)
    start()
    events = start()
    # Once a day, that is: they may be two at midnight.
    assert len(events) == len({f"{event.at // 86_400_000_000}" for event in events})
    event = events[0]
    assert (event.name, event.workspace) == ("plugin.failed", "default")
    assert loads(event.data)["plugin"] == "broken"
    assert "no luck" in loads(event.data)["reason"]
