"""Automation 3: a folder of documents is known as it is, and questions are answered from it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from codex32_automations import ROOT, changed, model_settings
from codex32_houses import House, until

from codex32_testing.model_server import ModelServer, Turn

PAGE = ROOT / "docs" / "howto" / "retrieval.md"
BOTS = {
    text.partition("\n")[0].removeprefix("name: "): text
    for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
}
KESTREL = "# Kestrels\n\nThe kestrel hovers above the meadow and eats voles.\n"
HERON = "# Herons\n\nThe heron stands at the edge of the pond and waits for fish.\n"


class Shelf:
    """The folder, and what the house makes of changes in it."""

    def __init__(self, house: House, folder: Path, model: ModelServer) -> None:
        self.house, self.folder, self.model = house, folder, model

    @property
    def embedded(self) -> int:
        """Texts that were embedded so far."""
        bodies = [each.body for each in self.model.asked if each.path == "/v1/embeddings"]
        return sum(1 if isinstance(b["input"], str) else len(b["input"]) for b in bodies)

    def sources(self) -> list[str]:
        """The documents that the collection holds."""
        items = self.house.get("/api/v1/collections/docs/documents?limit=100").body["items"]
        return sorted(Path(each["source"]).name for each in items)

    def holds(self, *names: str) -> None:
        """Wait until it holds these and has come to rest."""
        until(lambda: self.house.get("/api/v1/collections/docs").status == 200, "a collection")
        until(lambda: self.sources() == sorted(names), f"it holds {names}")
        until(self._still, "nothing is being indexed")

    def is_watched(self) -> None:
        """Until a change is answered: what is there at the first look starts nothing."""
        probe = self.folder / "probe.md"
        words = iter(range(1000))

        def answered() -> bool:
            new = probe.with_suffix(".new")
            new.write_text(f"# Probe\n\nWords {next(words)}\n")
            new.replace(probe)
            return any(each["trigger"] == "file" for each in self.house.executions("know-docs"))

        until(answered, "the folder is watched", every=4)
        probe.unlink()
        self.holds()

    def _still(self) -> bool:
        return all(each["finished_at"] for each in self.house.executions("know-docs"))

    def ask(self, question: str) -> Any:
        return self.house.succeed(self.house.execute("ask-docs", question=question))["output"]


def quote(path: str, body: Any) -> Turn | None:
    """A model that answers with the sentence of the first source, and says where it stands."""
    if path != "/v1/chat/completions":
        return None
    prompt = body["messages"][-1]["content"]
    number, text = re.findall(r"source (\d+): [^\n]*\n(.*?)\n---", prompt, re.DOTALL)[0]
    sentence = text.strip().splitlines()[-1]
    claim = {"text": sentence, "source": int(number), "quote": sentence}
    return Turn(text=json.dumps({"found": True, "claims": [claim]}))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["servers", "postgresql"])
def test_what_is_in_the_folder_is_known_and_nothing_else(
    build: Any, model: ModelServer, tmp_path: Path, kind: str
) -> None:
    model.ask(quote)
    folder = tmp_path / "docs"
    folder.mkdir()
    settings = {
        **model_settings(model),
        "retrieval": {"embedder": "openai:text-embedding-3-small", "store": "memory"},
    }
    house: House = build(kind, settings, CODEX32_SECRET_OPENAI_API_KEY=model.key)
    house.start()
    changes = {"/srv/docs": str(folder), "settle: 2s": "settle: 1s"}
    house.add("know-docs", changed(BOTS["know-docs"], changes))
    house.add("ask-docs", BOTS["ask-docs"])
    shelf = Shelf(house, folder, model)
    shelf.is_watched()
    (folder / "kestrel.md").write_text(KESTREL)
    (folder / "heron.md").write_text(HERON)
    shelf.holds("heron.md", "kestrel.md")

    told = shelf.ask("Where does the heron stand at the edge of the pond?")
    assert told["found"]
    (citation,) = told["citations"]
    assert (Path(citation["source"]).name, citation["status"]) == ("heron.md", "supported")
    asked = len(model.asked)
    nothing = shelf.ask("Quarterly revenue forecast spreadsheet?")
    assert (nothing["found"], nothing["citations"]) == (False, [])
    assert not [e for e in model.asked[asked:] if e.path == "/v1/chat/completions"]

    # What has not changed is not embedded again, whoever looks.
    before = shelf.embedded
    same = house.succeed(house.execute("know-docs"))["output"]
    assert (same["unchanged"], same["added"], same["changed"], same["removed"]) == (2, 0, 0, 0)
    assert shelf.embedded == before

    # A file that is being written is not read before its writer has come to an end.
    with (folder / "owl.md").open("w") as file:
        for word in ("# Owls\n\n", "The owl ", "flies ", "without a sound.\n"):
            file.write(word)
            file.flush()
    shelf.holds("heron.md", "kestrel.md", "owl.md")
    assert "without a sound" in shelf.ask("How does the owl flies sound?")["answer"]

    before = shelf.embedded
    (folder / "heron.md").rename(folder / "grey-heron.md")
    shelf.holds("grey-heron.md", "kestrel.md", "owl.md")
    assert shelf.embedded - before <= 1
    (folder / "kestrel.md").write_text(KESTREL.replace("voles", "beetles"))
    until(lambda: "beetles" in shelf.ask("What does the kestrel eats?")["answer"], "the change")
    assert "voles" not in shelf.ask("What does the kestrel eats?")["answer"]
    (folder / "owl.md").unlink()
    shelf.holds("grey-heron.md", "kestrel.md")

    told = shelf.ask("Where does the heron stand at the edge of the pond?")
    before = shelf.embedded
    for _ in range(2):
        done = house.cli("collections", "rebuild", "docs")
        assert done.returncode == 0, done.stderr
        assert house.cli("collections", "verify", "docs").returncode == 0
    again = shelf.ask("Where does the heron stand at the edge of the pond?")
    assert again["citations"] == told["citations"]
    # The question alone was embedded.
    assert shelf.embedded - before <= 1
    assert shelf.sources() == ["grey-heron.md", "kestrel.md"]
