"""A secret that a bot uses can be read nowhere afterwards."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from codex32_houses import SECRET, House
from codex32_traces import files, rows

# It comes back in every way a careless author can think of, once too long for a row.
CARELESS = """\
allow: {secrets: [API_KEY], bots: [told]}
steps:
  - id: use
    type: python
    with:
      args: {key: "${{ secrets.API_KEY }}"}
      code: |
        import base64, json, sys, urllib.parse

        def main(key):
            print("key", key)
            print("quoted", urllib.parse.quote(key, safe=""), file=sys.stderr)
            encoded = base64.b64encode(key.encode()).decode()
            print("encoded", encoded)
            return {"key": key, key: "as a name", "json": json.dumps(key), "all": [encoded] * 5000}
  - {id: put, type: set, with: {values: {mine: "${{ secrets.API_KEY }}"}}}
  - {id: keep, type: set, with: {state: {held: "Bearer ${{ secrets.API_KEY }}"}}}
  - {id: tell, type: notify, with: {to: log, text: "it is ${{ secrets.API_KEY }}"}}
  - {id: title, type: notify, with: {to: log, title: "${{ secrets.API_KEY }}", text: told}}
  - {id: child, type: bot, with: {name: told, inputs: {key: "${{ secrets.API_KEY }}"}}}
  - id: long
    type: notify
    with: {to: log, text: "%s${{ secrets.API_KEY }}"}
  - id: fails
    type: python
    with:
      args: {key: "${{ secrets.API_KEY }}"}
      code: |
        def main(key):
            raise RuntimeError(f"{key} was refused")
"""
# The log shortens what is told; no half of a secret may stand at the cut.
CARELESS %= "x" * 480


TOLD = "inputs: {key: {type: string}}\ntype: set\nwith: {values: {key: '${{ inputs.key }}'}}\n"


def forms() -> list[bytes]:
    """What must not be found: the secret in its usual guises, and a good part of it."""
    raw = SECRET.encode()
    texts = [quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], SECRET[:8], SECRET[6:]]
    return [raw, *(text.encode() for text in texts), base64.b64encode(raw)]


def test_a_secret_is_written_nowhere(house: House) -> None:
    house.add("told", TOLD)
    house.add("careless", CARELESS)
    failed = house.reach(house.execute("careless"), "failed")
    assert failed["message"] == "RuntimeError: *** was refused"
    steps = house.steps(failed["id"])
    assert steps["use"]["output"]["key"] == "***"
    assert len(steps["use"]["output"]["all"]) == 5000
    assert steps["child"]["output"] == {"key": "***"}
    assert steps["put"]["output"] == {"mine": "***"}
    assert {each["status"] for name, each in steps.items() if name != "fails"} == {"succeeded"}
    assert house.log(failed["id"])[0] == "key ***"

    places = [
        ("the API", json.dumps([failed, steps, house.log(failed["id"])]).encode()),
        ("the API", json.dumps(house.log(failed["id"]), ensure_ascii=False).encode()),
        ("the command line", house.cli("executions", "show", failed["id"]).stdout.encode()),
        ("the command line", house.cli("executions", "logs", failed["id"]).stdout.encode()),
        ("what is printed", house.said.read_bytes()),
        *rows(house),
        *files(house.folder),
    ]
    found = {(place, form) for place, text in places for form in forms() if form in text}
    assert found == set()


def test_a_secret_that_is_not_allowed_is_refused_before_anything_runs(house: House) -> None:
    house.write("greedy", 'type: set\nwith: {values: {mine: "${{ secrets.API_KEY }}"}}\n')
    path = house.bots / "greedy.yaml"
    checked = house.cli("validate", str(path))
    assert checked.returncode == 1
    assert "allow.secrets" in checked.stdout + checked.stderr
    path.unlink()
