"""An API that dies between doing what was asked and answering: it is not done twice."""

from __future__ import annotations

from http.client import RemoteDisconnected

import pytest
from codex32_houses import ServersHouse

pytestmark = pytest.mark.fault

HOOKS = "/api/v1/webhooks"
HOOK = {"url": "https://example.com/hook", "events": ["custom.*"]}
KEY = {"Idempotency-Key": "k-1"}


def test_what_was_done_and_not_answered_is_not_done_again(servers: ServersHouse) -> None:
    done = servers.cli("db", "upgrade")
    assert done.returncode == 0, done.stderr
    servers.serve("doomed", CODEX32_FAULT_POINTS="requests.before_answer=kill")
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        servers.post(HOOKS, HOOK, **KEY)
    assert servers.processes.pop("doomed").wait(60) == -9
    servers.serve()

    again = servers.post(HOOKS, HOOK, **KEY)

    assert (again.status, again.body["code"]) == (409, "request-under-way")
    assert len(servers.get(HOOKS).body["items"]) == 1
    other = servers.post(HOOKS, {**HOOK, "description": "x"}, **KEY)
    assert (other.status, other.body["code"]) == (409, "idempotency-conflict")
