"""``codex32 connections``."""


def test_a_connection_is_set_listed_and_deleted(codex32):
    assert codex32("db", "upgrade").code == 0
    wanted = ("--type", "postgresql", "--host", "db.example.com", "--option", "database=crm")
    more = ("--option", "pool=4", "--secret", "password=CRM_PW", "--json")
    made = codex32("connections", "set", "crm", *wanted, *more)
    assert made.json["options"] == {"database": "crm", "pool": 4}
    assert "CRM_PW" in codex32("connections", "list").out
    assert codex32("connections", "delete", "crm", "--dry-run").out == "crm would be deleted\n"
    assert codex32("connections", "delete", "crm").code == 0
    assert codex32("connections", "delete", "crm").code == 3


def test_a_secret_in_an_option_is_refused(codex32):
    assert codex32("db", "upgrade").code == 0
    refused = codex32(
        "connections", "set", "crm", "--type", "http", "--host", "x", "--option", "token=hush"
    )
    assert refused.code == 2
    assert "hush" not in refused.err
    assert "options.token: set a secret" in refused.err
