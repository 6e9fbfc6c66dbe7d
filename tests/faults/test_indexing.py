"""kill -9 of workers at every point of an indexing: the index equals the documents afterwards.

A real worker runs bots of the three types over a real vector store in a process of its own, and an
embedder that is paid for. What was paid and written down is not paid again. Where the house
alone dies, the vectors stand in PostgreSQL, whose client is loaded in no time; where the store
dies, too, they stand in the embedded Milvus.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from codex32_houses import ServersHouse, until
from codex32_postgres import PostgresServer
from codex32_violence.accounting import Rows

from codex32_testing.model_server import ModelServer, Turn

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1200)]

#: Small documents that are read, embedded and written down together.
GROUP = 128
INDEXES = """\
allow: {{files: ["{folder}"], models: ["openai:*"]}}
steps:
  - id: learn
    type: index
    retry: {{attempts: 3}}
    with: {{collection: {collection}, path: "{folder}"}}
output: "${{{{ steps.learn.output }}}}"
"""
FINDS = """\
allow: {models: ["openai:*"]}
steps:
  - id: find
    type: retrieve
    with: {collection: birds, query: "what does bird 7 do?", limit: 3, explain: true}
  - id: say
    type: answer
    with: {collection: birds, question: "what does bird 7 do?", model: "openai:gpt-5-mini"}
output: {found: "${{ steps.find.output }}", said: "${{ steps.say.output }}"}
"""
#: Where workers die, one after the other, while the first documents come in.
COMING = [
    "ledger.before_settling",  # the vectors of a batch were paid for, and nobody has them
    "index.embedded",
    "index.written",
    "index.stored",
]
#: And while others go.
GOING = ["index.written", "index.stored", "index.removed"]
#: Where a move to another embedder dies, one after the other.
MOVING = [
    "ledger.before_settling",
    "move.embedded",
    "index.building",
    "move.built",
    "move.replaced",
]
EMBEDDER, LARGER = "openai:text-embedding-3-small", "openai:text-embedding-3-large"
SETTINGS = """\
retrieval: {embedder: "openai:text-embedding-3-small", store: %s}
ai:
  call_seconds: 60
  prices: {"openai:*": {input_usd: 0.1, output_usd: 0.5}}
plugins:
  openai: {base_url: "%s"}
  pgvector: {dsn: "%s", timeout_seconds: 120}
  milvus: {timeout_seconds: 300}
"""


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n in range(GROUP + 20):
        (folder / f"bird-{n}.md").write_text(f"# Bird {n}\n\nBird {n} waits near pond {n * n}.\n")
    return folder


@pytest.fixture
def store() -> str:
    """The vector store, unless a test says another."""
    return "pgvector"


@pytest.fixture
def vectors_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database for the vectors, whichever holds the rows."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def house(
    servers: ServersHouse,
    model: ModelServer,
    short: dict[str, str],
    docs: Path,
    store: str,
    vectors_url: str,
) -> ServersHouse:
    servers.environment.update(short, CODEX32_SECRET_OPENAI_API_KEY=model.key)
    # Whoever loads the client of a store holds the interpreter for seconds on a slow machine: that
    # must not be taken for a death, after which another would pay for the same.
    servers.environment["CODEX32_WORKER__LEASE_SECONDS"] = "30"
    settings = SETTINGS % (store, model.openai_url, vectors_url)
    (servers.folder / "codex32.yaml").write_text(settings)
    servers.workers = 0
    servers.start()
    servers.add("learns", INDEXES.format(folder=docs, collection="birds"))
    servers.add("finds", FINDS)
    return servers


def embedded(model: ModelServer, embedder: str = EMBEDDER) -> list[str]:
    """Every text that vectors were asked for, as often as they were."""
    wanted = embedder.partition(":")[2]
    asked = [each for each in model.asked if each.path == "/v1/embeddings" and each.billed]
    return [text for each in asked if each.model == wanted for text in each.body["input"]]


def die(house: ServersHouse, points: list[str], rows: Rows) -> None:
    """A worker for each point, which is killed there."""
    for number, point in enumerate(points):
        doomed = f"doomed {number}"
        armed = f"{point}=kill"
        house.launch(doomed, "worker", "--processes", "1", CODEX32_FAULT_POINTS=armed)
        assert house.processes.pop(doomed).wait(300) == -signal.SIGKILL, point
        expire(rows)


def expire(rows: Rows) -> None:
    """The leases of the dead are over: nobody has to wait for the clock."""
    rows.ask("UPDATE execution SET lease_at = 0 WHERE status = 'running'")


def sound(house: ServersHouse, documents: set[str], collection: str = "birds") -> None:
    """Rows, index and documents are the same, and nothing is there twice."""
    shown = house.ask("collections", "show", collection)
    assert {each["source"] for each in shown["items"]} == documents
    assert shown["chunks"] == len(documents)
    assert shown["pending"] == 0
    verdict = house.ask("collections", "verify", collection)
    assert verdict["sound"], verdict
    assert verdict["expected"] == len(documents)


def test_the_index_equals_the_documents_whenever_a_worker_dies(
    house: ServersHouse,
    model: ModelServer,
    docs: Path,
    database_url: str,
) -> None:
    rows = Rows(database_url)
    names = {path.name for path in docs.iterdir()}
    execution = house.execute("learns")
    die(house, COMING, rows)
    house.hire(1)
    told = house.succeed(execution, seconds=300)["output"]
    assert told["chunks"] == len(names)
    assert any("of 20 documents" in line for line in house.log(execution)), house.log(execution)
    sound(house, names)
    # One batch was lost with the worker that had paid for it, and no other text was paid twice.
    times = Counter(embedded(model))
    assert set(times) == {f"{name} > Bird {n}\nBird {n} waits near pond {n * n}."
                          for name in names for n in [int(name[5:-3])]}  # fmt: skip
    assert sorted(times.values(), reverse=True)[:GROUP] == [2] * GROUP
    assert sum(times.values()) == len(names) + GROUP

    # What has not changed costs nothing.
    asked = len(embedded(model))
    told = house.succeed(house.execute("learns"), seconds=300)["output"]
    assert (told["unchanged"], told["embedded"]) == (len(names), 0)
    assert len(embedded(model)) == asked

    # Some go, one is called otherwise, one says something else.
    house.end(next(name for name in house.processes if name.startswith("worker")))
    for n in range(3):
        (docs / f"bird-{n}.md").unlink()
    (docs / "bird-3.md").rename(docs / "heron.md")
    changed = "# Bird 7\n\nBird 7 hovers above the meadow.\n"
    (docs / "bird-7.md").write_text(changed)
    names = {path.name for path in docs.iterdir()}
    execution = house.execute("learns")
    die(house, GOING, rows)
    house.hire(1)
    house.succeed(execution, seconds=300)
    sound(house, names)
    checked = house.cli("db", "check")
    assert checked.returncode == 0, checked.stdout
    assert len(embedded(model)) == asked + 2

    model.ask(quotes)
    output = house.succeed(house.execute("finds"), seconds=300)["output"]
    best = output["found"][0]
    assert best["source"] == "bird-7.md"
    assert best["explain"]["keyword_rank"] == 1
    assert best["explain"]["dense_rank"] <= 3  # the model's numbers are as good as chance
    assert output["said"]["found"]
    assert "hovers above the meadow" in output["said"]["answer"]
    assert [each["status"] for each in output["said"]["citations"]] == ["supported"]

    # What the dead had reserved counts as spent once it is certain that they are dead: as soon as
    # their requests have lapsed, for which nobody has to wait.
    rows.ask("UPDATE model_attempt SET lease_until = 1 WHERE state = 'reserved'")
    waiting = "SELECT 1 FROM model_attempt WHERE state = 'reserved'"
    until(lambda: not rows.ask(waiting), "reservations of the dead are ended", 120)
    spent = rows.ask("SELECT sum(cost_nano) FROM model_attempt")[0][0]
    assert int(spent) >= model.billed()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_move_that_is_killed_anywhere_goes_on_and_pays_for_nothing_twice(
    house: ServersHouse,
    model: ModelServer,
    docs: Path,
    database_url: str,
    vectors_url: str,
) -> None:
    names = {path.name for path in docs.iterdir()}
    house.hire(1)
    house.succeed(house.execute("learns"), seconds=300)
    house.end(next(name for name in house.processes if name.startswith("worker")))
    rows = Rows(database_url)

    def killed(point: str, *command: str) -> None:
        house.launch("mover", "collections", *command, CODEX32_FAULT_POINTS=f"{point}=kill")
        assert house.processes.pop("mover").wait(300) == -signal.SIGKILL, (point, house.told())
        # The hold of the dead is over: nobody has to wait for the clock.
        rows.ask("UPDATE collection SET held_until = 0")

    move = ("reindex", "birds", "--embedder", LARGER, "--max-drop", "1", "--yes")
    for point in MOVING:
        killed(point, *move)
        ((there,),) = rows.ask("SELECT embedder FROM collection")
        assert there == (LARGER if point == "move.replaced" else EMBEDDER), point
        if point == "move.built":  # what queries ask is as it was until the last moment
            assert house.ask("collections", "verify", "birds")["sound"]
    sound(house, names)
    # The answer that the first of the dead had paid for was lost with it, and no other.
    asked = Counter(embedded(model, LARGER))
    passages = {text: times for text, times in asked.items() if "\n" in text}
    assert len(passages) == len(names)
    assert Counter(passages.values()) == {2: GROUP, 1: len(names) - GROUP}

    for point in ("index.building", "move.replaced"):
        killed(point, "rebuild", "birds")
    done = house.cli("collections", "rebuild", "birds", "--json")
    assert done.returncode == 0, done.stderr
    sound(house, names)
    assert Counter(embedded(model, LARGER)) == asked
    # Of all the indexes that were begun, one is left, and nothing waits to be dropped.
    assert rows.ask("SELECT index_name FROM gone_record") == []
    there = rows.ask("SELECT index_name FROM collection")
    assert Rows(vectors_url).ask("SELECT name FROM codex32_vectors.collections") == there


@pytest.mark.parametrize("store", ["milvus"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_four_processes_write_vectors_and_what_was_acknowledged_stays(
    house: ServersHouse, docs: Path, database_url: str
) -> None:
    """One of them is killed between the store and the rows, and so is who keeps the vectors."""
    collections = ("one", "two", "three", "four")
    for each in collections:
        house.add(f"learns-{each}", INDEXES.format(folder=docs, collection=each))
    executions = [house.execute(f"learns-{each}") for each in collections]
    house.launch("doomed", "worker", "--processes", "1", CODEX32_FAULT_POINTS="index.stored=kill")
    assert house.processes.pop("doomed").wait(300) == -signal.SIGKILL
    rows = Rows(database_url)
    expire(rows)
    house.hire(4)
    until(lambda: rows.ask("SELECT 1 FROM chunk WHERE stored_in <> ''"), "a chunk is stored", 300)
    keeper = house.folder / ".codex32" / "milvus" / "keeper.json"
    os.kill(json.loads(keeper.read_text())["pid"], signal.SIGKILL)
    for execution in executions:
        house.succeed(execution, seconds=300)
    names = {path.name for path in docs.iterdir()}
    for each in collections:
        sound(house, names, each)

    # Nobody is left when the house has closed, not even who keeps the vectors.
    last = json.loads(keeper.read_text())["pid"]
    house.stop()
    until(lambda: not Path(f"/proc/{last}").exists(), "the keeper of the vectors ends", 120)
    assert not house.alive()


def quotes(path, body):
    """Answers with a quote from the first source, as a model would."""
    if path != "/v1/chat/completions":
        return None
    quote = "Bird 7 hovers above the meadow."
    text = body["messages"][-1]["content"]
    number = next(
        n for n in range(1, 9) if quote in text.split(f" source {n}:")[1].split(" end ")[0]
    )
    claim = {"text": quote, "source": number, "quote": quote}
    return Turn(text=json.dumps({"found": True, "claims": [claim]}))
