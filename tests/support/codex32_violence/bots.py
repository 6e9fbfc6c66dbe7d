"""What the house has to do under violence: each bot tries another promise.

The key of an effect is ``EXECUTION/STEP`` or ``EXECUTION/STEP/ITEM``, so that the world's count
can be held against the rows of the steps.
"""

from __future__ import annotations

#: Steps with an effect, by bot: ``once`` must reach the world at most once, ``keyed`` as often as
#: it likes with one idempotency key.
EFFECTS: dict[str, dict[str, str]] = {
    "send": {"send": "once"},
    "keyed": {"send": "keyed"},
    "each": {"send": "keyed"},
    "each-once": {"send": "once"},
    "waits": {"first": "once", "second": "once"},
    "flaky": {"send": "once"},
    "program": {"send": "once"},
    "closing": {"told": "keyed", "last": "once"},
    "parent": {},
    "line": {},
    "count": {},
    "tick": {"send": "keyed"},
}
_STEP = (
    '{{id: {id}, type: http, with: {{method: POST, url: "{world}/{kind}?ms=100", '
    'json: {{key: "${{{{ execution.id }}}}/{key}"}}}}{more}}}'
)


def _send(world: str, id: str = "send", kind: str = "once", key: str = "", more: str = "") -> str:
    return _STEP.format(world=world, id=id, kind=kind, key=key or id, more=more)


def _keyed(world: str, id: str, key: str, more: str = "") -> str:
    name = f', idempotency_key: "${{{{ execution.id }}}}/{key}"{more}'
    return _send(world, id, "keyed", key, name)


def texts(world: str) -> dict[str, str]:
    """The bot files, by name, for a world at this URL."""
    host = world.removeprefix("http://")
    allow = f'allow: {{hosts: ["{host}"], bots: [send, line]}}\n'
    item = "${{ index }}"
    bots = {
        "line": """\
steps:
  - {id: a, type: set, with: {values: {n: 1}}}
  - {id: b, type: set, with: {values: {n: "${{ steps.a.output.n + 1 }}"}}}
  - {id: c, type: set, with: {values: {n: "${{ steps.b.output.n + 1 }}"}}}
output: "${{ steps.c.output.n }}"
""",
        "send": f"""\
steps:
  - {{id: a, type: set, with: {{values: {{n: 1}}}}}}
  - {_send(world)}
  - {{id: c, type: set, with: {{values: {{n: 1}}}}}}
""",
        "keyed": f"""\
retry: {{attempts: 5, first: 200ms}}
steps:
  - {_keyed(world, "send", "send")}
  - {{id: c, type: set, with: {{values: {{n: 1}}}}}}
""",
        "each": f"""\
steps:
  - {_keyed(world, "send", f"send/{item}", ', foreach: "${{ [0, 1, 2, 3, 4, 5] }}", parallel: 2')}
output: "${{{{ size(steps.send.output) }}}}"
""",
        "each-once": f"""\
steps:
  - {_send(world, key=f"send/{item}", more=', foreach: "${{ [0, 1, 2] }}", parallel: 2')}
output: "${{{{ size(steps.send.output) }}}}"
""",
        "waits": f"""\
steps:
  - {_send(world, "first")}
  - {{id: pause, type: wait, with: {{for: 400ms}}}}
  - {_send(world, "second")}
""",
        "flaky": f"""\
retry: {{attempts: 4, first: 200ms}}
steps:
  - {_send(world, kind="flaky", key="send")}
""",
        "program": f"""\
steps:
  - id: think
    type: python
    with:
      code: |
        import time
        def main():
            time.sleep(0.1)
            return 42
  - {_send(world)}
output: "${{{{ steps.think.output }}}}"
""",
        "closing": f"""\
steps:
  - {{id: stop, type: end, with: {{status: failed, message: as it should}}}}
on_failure:
  - {_keyed(world, "told", "told")}
finally:
  - {_send(world, "last")}
""",
        "parent": """\
steps:
  - {id: one, type: bot, with: {name: send}}
  - {id: two, type: bot, with: {name: line}}
output: "${{ steps.two.output }}"
""",
        "count": """\
concurrency: {limit: 1}
steps:
  - {id: a, type: set, with: {values: {n: 1}}}
  - {id: add, type: set, with: {state: {n: "${{ state.?n.orValue(0) + 1 }}"}}}
  - {id: c, type: set, with: {values: {n: 1}}}
""",
        "tick": f"""\
triggers: [{{every: 1s, overlap: allow, on_missed: all}}]
steps:
  - {_keyed(world, "send", "send")}
""",
    }
    return {name: f"name: {name}\n{allow}{text}" for name, text in bots.items()}
