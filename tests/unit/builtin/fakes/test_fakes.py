import json
import math

import pytest

from codex32 import (
    CollectionNotFound,
    CompletionRequest,
    DimensionMismatch,
    Finished,
    ModelMessage,
    ProviderUnavailable,
    TextDelta,
    ToolCall,
    Usage,
    VectorRecord,
)
from codex32.builtin.fakes.echo_provider import EchoProvider
from codex32.builtin.fakes.hash_embedder import HashEmbedder
from codex32.builtin.fakes.memory_vector_store import MemoryVectorStore


def asked(text="say this", **more):
    return CompletionRequest("echo", [ModelMessage("user", text)], **more)


async def embedded(embedder, texts):
    answer = await embedder.embed(texts, purpose="document", timeout_seconds=1, key=None)
    return answer.vectors


async def events_of(provider, request):
    return [event async for event in provider.complete(request, timeout_seconds=1, key=None)]


async def test_echo_repeats_the_last_words_in_pieces():
    events = await events_of(EchoProvider(), asked("  say\nthis "))
    *deltas, usage, finished = events
    assert "".join(delta.text for delta in deltas) == "  say\nthis "
    assert len(deltas) == 3
    assert usage == Usage(3, 3)
    assert finished == Finished("stop")


async def test_echo_plays_its_script_in_order():
    echo = EchoProvider()
    call = ToolCall("1", "look", {"at": "x"})
    echo.script("one", {"a": 1}, call, ProviderUnavailable("down"))
    assert (await events_of(echo, asked()))[0] == TextDelta("one")
    assert (await events_of(echo, asked()))[0] == TextDelta('{"a": ')
    assert [*(await events_of(echo, asked()))[::2]] == [call, Finished("tools")]
    with pytest.raises(ProviderUnavailable):
        await events_of(echo, asked())
    assert (await events_of(echo, asked("again")))[0] == TextDelta("again")
    assert len(echo.requests) == 5


async def test_echo_keeps_to_a_schema():
    schema = {
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "kind": {"enum": ["a", "b"]},
            "score": {"type": "number", "minimum": 3},
            "other": {"type": "string"},
        },
        "required": ["lines", "kind", "score"],
    }
    events = await events_of(EchoProvider(), asked("hi", schema=schema))
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert json.loads(text) == {"lines": ["hi", "hi"], "kind": "a", "score": 3}


async def test_hashed_vectors_have_unit_length_and_never_change():
    embedder = HashEmbedder(64)
    texts = ["Release notes of version 2", "release NOTES of version 2", "", "  !", "ä"]
    vectors = await embedded(embedder, texts)
    assert [len(vector) for vector in vectors] == [64] * 5
    assert [round(math.hypot(*vector), 6) for vector in vectors] == [1, 1, 0, 0, 1]
    assert vectors[0] == vectors[1]
    # Vectors stored by one version are searched by the next: this one is fixed for good.
    assert (await embedded(HashEmbedder(4), ["a"]))[0] == [0.0, 0.0, 0.0, 1.0]


async def test_texts_that_share_words_are_near():
    near, far, question = await embedded(
        HashEmbedder(), ["how to rotate a secret key", "the cat sat on a mat", "rotate secret"]
    )

    def product(vector):
        return sum(a * b for a, b in zip(vector, question, strict=True))

    assert product(near) > product(far) + 0.2


@pytest.fixture
async def store():
    memory = MemoryVectorStore()
    await memory.ensure_collection("c", dimension=2, metric="cosine")
    await memory.upsert(
        "c",
        [
            VectorRecord("x", [1.0, 0.0], "east", {"source": "a", "n": 1}),
            VectorRecord("y", [0.0, 2.0], "north", {"source": "b", "n": True}),
            VectorRecord("z", [3.0, 3.0], "north-east", {"source": "a"}),
        ],
    )
    return memory


async def test_the_nearest_come_first(store):
    matches = await store.query("c", [2.0, 0.1], limit=2)
    assert [match.id for match in matches] == ["x", "z"]
    assert matches[0].score == pytest.approx(1, abs=0.01)
    assert (matches[0].text, matches[0].metadata) == ("east", {"source": "a", "n": 1})


@pytest.mark.parametrize(
    ("metric", "score"), [("dot", 6.0), ("euclidean", 1 / 3), ("cosine", 1 / math.sqrt(2))]
)
async def test_each_metric_scores_higher_what_is_nearer(metric, score):
    memory = MemoryVectorStore()
    await memory.ensure_collection("c", dimension=2, metric=metric)
    await memory.upsert("c", [VectorRecord("x", [2.0, 2.0])])
    (match,) = await memory.query(
        "c", [3.0, 0.0] if metric != "euclidean" else [2.0, 4.0], limit=1
    )
    assert match.score == pytest.approx(score)


async def test_records_are_replaced_and_deleted(store):
    await store.upsert("c", [VectorRecord("x", [0.0, 1.0], "moved")])
    assert (await store.query("c", [0.0, 1.0], limit=1))[0].text == "moved"
    assert await store.delete("c", ["x", "y", "nobody"]) == 2
    await store.drop_collection("c")
    await store.drop_collection("c")
    assert await store.delete("c", ["z"]) == 0


async def test_what_does_not_fit_is_refused_whole(store):
    await store.ensure_collection("c", dimension=2, metric="cosine")
    with pytest.raises(DimensionMismatch):
        await store.ensure_collection("c", dimension=3, metric="cosine")
    with pytest.raises(DimensionMismatch):
        await store.upsert("c", [VectorRecord("n", [1.0, 0.0]), VectorRecord("m", [1.0])])
    with pytest.raises(DimensionMismatch):
        await store.query("c", [1.0], limit=1)
    assert len(await store.query("c", [1.0, 0.0], limit=9)) == 3


async def test_a_collection_that_is_not_there_is_named():
    with pytest.raises(CollectionNotFound, match="'c'"):
        await MemoryVectorStore().query("c", [1.0], limit=1)
    with pytest.raises(CollectionNotFound):
        await MemoryVectorStore().upsert("c", [])
