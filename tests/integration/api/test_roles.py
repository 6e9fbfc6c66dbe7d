"""Who may call what: ``roles.csv`` holds a row for every operation, and every cell is tried.

A new route fails here until its row is written down; what a row says is what a reviewer reads.
"""

import csv
import re
from pathlib import Path

import pytest

from codex32.api.application import all_operations

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TABLE = Path(__file__).with_name("roles.csv")
ROLES = ["viewer", "api_user", "user", "admin"]
#: It ends the sign-in with which the others are asked.
LAST = "sessions.end-all"


def rows():
    with TABLE.open(newline="") as file:
        return {row.pop("operation"): row for row in csv.DictReader(file)}


def served(runtime):
    found = [each for each in all_operations(runtime) if each.plugin == "api"]
    return sorted(found, key=lambda each: each.id == LAST)


def test_every_operation_has_its_row_and_no_row_is_of_one_that_is_gone(runtime):
    assert sorted(rows()) == sorted(each.id for each in served(runtime))


@pytest.mark.parametrize("role", ["stranger", *ROLES, "instance"])
async def test_each_role_may_do_what_its_column_says_and_nothing_else(api, runtime, people, role):
    table, token = rows(), None
    if role != "stranger":
        await people.add("somebody", role if role in ROLES else None, admin=role == "instance")
        token = (await people.sign_in("somebody"))["access_token"]
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for operation in served(runtime):
        url = api.url + re.sub(r"\{\w+\}", "nobody", operation.path)
        sent = api.session.request(
            operation.route.method, url, headers=headers, allow_redirects=False
        )
        async with sent as answer:  # of streams the beginning is enough
            told = answer.headers.get("WWW-Authenticate", "")
            status = answer.status
        allowed = status != 401 and "insufficient_scope" not in told
        if operation.route.policy == "public":
            allowed = told != 'Bearer realm="codex32"'
        wanted = table[operation.id][role] == "yes"
        assert (operation.id, allowed) == (operation.id, wanted), (status, told)
        assert status != 500, operation.id
