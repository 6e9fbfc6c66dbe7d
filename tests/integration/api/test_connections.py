"""Connections over HTTP."""

CONNECTIONS = "/api/v1/connections"
CRM = {"type": "http", "host": "crm.example.com", "secrets": {"password": "CRM_PW"}}


async def test_a_connection_is_made_replaced_listed_and_deleted(api):
    for name in ("b", "a"):
        made = await api("PUT", f"{CONNECTIONS}/{name}", json=CRM)
        assert (made.status, made.json["port"], made.json["options"]) == (201, None, {})
    replaced = await api("PUT", f"{CONNECTIONS}/a", json={**CRM, "port": 8443})
    assert (await api("GET", f"{CONNECTIONS}/a")).json == replaced.json
    first = (await api("GET", f"{CONNECTIONS}?limit=1")).json
    rest = (await api("GET", f"{CONNECTIONS}?cursor={first['next']}")).json
    assert [each["name"] for each in (*first["items"], *rest["items"])] == ["a", "b"]
    assert (await api("DELETE", f"{CONNECTIONS}/a")).status == 204
    assert (await api("GET", f"{CONNECTIONS}/a")).json["code"] == "connection-not-found"


async def test_a_secret_where_none_belongs_is_refused_and_not_echoed(api):
    refused = await api("PUT", f"{CONNECTIONS}/a", json={**CRM, "options": {"password": "hush"}})
    assert (refused.status, refused.json["code"]) == (422, "connection-invalid")
    assert "hush" not in refused.text
