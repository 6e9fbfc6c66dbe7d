"""A secret of each kind goes through the whole house, and is found nowhere afterwards."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from codex32_houses import CODEX32, SECRET, House
from codex32_traces import files, in_redis, rows

#: The key-encryption key, from the environment: no backup of the home folder may hold it.
KEY = bytes(range(100, 132))
DATABASE_SECRET = "canary/dätabase+41c7"
PASSWORD, WRONG = "canary-password-88d2-horse", "canary-wrong-3f90-battery"
REFUSED = "canary-refused-5a1e"

BOT = """\
allow: {secrets: [KEPT, API_KEY], connections: [crm]}
steps:
  - {id: put, type: set, with: {values: {mine: "${{ secrets.KEPT }}"}}}
  - {id: keep, type: set, with: {state: {held: "Bearer ${{ secrets.KEPT }}"}}}
  - id: use
    type: python
    with:
      args: {key: "${{ secrets.KEPT }}", other: "${{ secrets.API_KEY }}"}
      code: |
        import base64

        def main(key, other):
            print(key, base64.b64encode(other.encode()).decode())
            raise RuntimeError(f"{key} was refused")
"""


def call(house: House, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """An answer's JSON, of a request that may be refused."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{house.url}/api/v1{path}", data, headers, method=method)
    request.add_header("Content-Type", "application/json")
    if "Authorization" not in headers:
        request.add_header("Authorization", f"Bearer {house.token}")
    return _answer(request)


def sign_in(house: House, password: str) -> Any:
    """What the token endpoint answers."""
    form = {"grant_type": "password", "username": "ada", "password": password}
    data = urllib.parse.urlencode(form).encode()
    return _answer(urllib.request.Request(f"{house.url}/api/v1/auth/token", data))


def _answer(request: urllib.request.Request) -> Any:
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
    return json.loads(text) if text else None


def set_secret(house: House, name: str, value: str) -> None:
    done = subprocess.run(
        [*CODEX32, "secrets", "set", name],
        cwd=house.folder, env=house.environment, input=value, text=True, check=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert value not in done.stdout + done.stderr


def test_no_secret_key_or_password_is_found_anywhere(new_house: House) -> None:
    house = new_house
    written = base64.b64encode(KEY).decode()
    house.environment["CODEX32_SECRETS__KEYS"] = f"canary:{written}"
    house.start()

    set_secret(house, "KEPT", DATABASE_SECRET)
    crm = {"type": "http", "host": "crm.example.com", "secrets": {"password": "KEPT"}}
    said = [call(house, "PUT", "/connections/crm", crm)]
    said.append(call(house, "PUT", "/secrets/KEPT", {"value": [REFUSED]}))
    said.append(call(house, "PUT", "/connections/bad", {**crm, "options": {"token": REFUSED}}))
    said.append(call(house, "GET", "/bots", Authorization=f"Bearer cx32_{REFUSED}"))

    ada = {"email": "ada@example.com", "username": "ada", "admin": True}
    code = call(house, "POST", "/users", ada)["way_in"]["code"]
    said.append(call(house, "POST", "/auth/reset", {"code": code, "password": PASSWORD}))
    said.append(sign_in(house, WRONG))
    tokens = sign_in(house, PASSWORD)
    mine = {"Authorization": f"Bearer {tokens['access_token']}"}
    call(house, "POST", "/members", {"user": "ada", "role": "admin"})
    wish = {"name": "robot", "scopes": ["bots.read"]}
    key = call(house, "POST", "/auth/keys", wish, **mine, **{"X-Workspace": "default"})["key"]
    assert call(house, "GET", "/bots", Authorization=f"Bearer {key}")["items"] is not None

    house.add("careless", BOT)
    execution = house.execute("careless")
    queued = list(in_redis(house))  # what is done leaves it
    failed = house.reach(execution, "failed")
    assert failed["message"] == "RuntimeError: *** was refused"
    assert house.ask("secrets", "check")["problems"] == []
    assert house.ask("audit", "verify")["broken"] is None

    answers = ("/audit", "/instance/audit", "/events", "/secrets", "/connections", "/openapi.json")
    said += [failed, house.steps(failed["id"]), house.log(failed["id"])]
    said += [call(house, "GET", path) for path in answers]
    hidden = [DATABASE_SECRET, PASSWORD, WRONG, REFUSED, code, key, tokens["refresh_token"]]
    hidden += [tokens["access_token"], written]
    hidden += [SECRET, urllib.parse.quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]]
    wanted = {KEY, base64.b64encode(SECRET.encode()), *(each.encode() for each in hidden)}
    places = [
        ("the API", json.dumps(said, ensure_ascii=False).encode()),
        ("what is printed", house.said.read_bytes()),
        *rows(house),
        *queued,
        *in_redis(house),
        *files(house.folder),
    ]
    found = {(place, form) for place, text in places for form in wanted if form in text}
    assert found == set()
