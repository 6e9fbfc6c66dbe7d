"""``codex32 collections``: what deletes, and what costs, asks."""

import io
import sys

import pytest

LEARN = """\
name: learn
type: index
with: {collection: birds, embedder: hash, texts: [{source: wren, text: The wren sings.}]}
"""


@pytest.fixture
def house(codex32, project):
    (project / "codex32.yaml").write_text("retrieval: {store: memory}\n")
    (project / "bots" / "learn.yaml").write_text(LEARN)
    assert codex32("run", "learn").code == 0
    return codex32


def test_whoever_deletes_a_collection_is_asked(house, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    refused = house("collections", "delete", "birds")
    assert refused.code != 0
    assert "Delete the collection birds with 1 documents?" in refused.err
    assert house("collections", "delete", "birds", "--json").code == 2
    told = house("collections", "delete", "birds", "--dry-run", "--json").json
    assert told == {"name": "birds", "deleted": False, "documents": 1}
    deleted = house("collections", "delete", "birds", "--yes").out
    assert deleted == "birds deleted, with 1 documents\n"
    assert house("collections", "delete", "birds", "--yes").code == 3


def test_a_move_that_costs_asks_and_judges_by_what_can_be_told(house, project):
    move = ("collections", "reindex", "birds", "--embedder", "minilm")
    assert house(*move, "--json").code == 2
    assert house(*move, "--dry-run", "--json").json["lacking"] == 1
    for text in ('{"query": "wren", "sources": "wren"}', '{"query": 5, "sources": ["wren"]}', ""):
        (project / "ask").write_text(text)
        assert house(*move, "--yes", "--queries", "ask").code == 2
    (project / "ask").write_bytes(b'{"query": "\xff", "sources": ["wren"]}')
    assert house(*move, "--yes", "--queries", "ask").code == 2
    assert house(*move, "--yes", "--max-drop", "nan").code == 2
