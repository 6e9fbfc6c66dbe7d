"""Collections over HTTP: documents come, are found and go, and the log says by whom."""

COLLECTION = "/api/v1/collections/notes"
DOCUMENTS = f"{COLLECTION}/documents"


async def test_a_document_is_put_found_and_removed_and_the_audit_log_says_by_whom(api, people):
    await people.add("ann", "user")
    token = (await people.sign_in("ann"))["access_token"]

    async def put(text):
        body = {"source": "a.md", "text": text}
        return (await api("PUT", DOCUMENTS, token=token, json=body)).json["result"]

    texts = ("the lab sings", "the lab sings", "the lab dances")
    assert [await put(text) for text in texts] == ["added", "unchanged", "changed"]
    asked = {"text": "dances"}
    found = await api("POST", f"{COLLECTION}/query", token=token, json=asked)
    assert [(each["source"], each["text"]) for each in found.json["items"]] == [
        ("a.md", "the lab dances")
    ]
    for status in (204, 404):
        gone = await api("DELETE", f"{DOCUMENTS}?source=a.md", token=token)
        assert gone.status == status

    entries = (await api("GET", "/api/v1/audit?action=document")).json["items"]
    told = [(each["action"], each["actor"]["name"], each["subject"]) for each in entries]
    written, removed = (("document.written", "ann", "notes"), ("document.removed", "ann", "notes"))
    assert told == [removed, written, written]
    assert {str(each["change"]) for each in entries} == {"{'sources': ['a.md']}"}


async def test_a_document_that_is_not_taken_says_why_and_the_next_one_is(api):
    for metadata in ({"place": "x\x00"}, {"place": "x" * 40_000}):
        body = {"source": "a.md", "text": "the lab sings", "metadata": metadata}
        refused = await api("PUT", DOCUMENTS, json=body)
        assert (refused.status, refused.json["code"]) == (422, "record-invalid")
        assert refused.json["detail"].startswith("a.md was not taken: it has ")
    body = {"source": "🦓" * 1000, "text": "the lab sings"}
    assert (await api("PUT", DOCUMENTS, json=body)).status == 422
    body = {"source": "b.md", "text": "the lab sings", "metadata": {"place": "x"}}
    assert (await api("PUT", DOCUMENTS, json=body)).status == 201
