from types import SimpleNamespace

import pytest

from codex32.services.retrieval.caution import caution

WORDS, MEANING = SimpleNamespace(knows_meaning=False), SimpleNamespace(knows_meaning=True)


@pytest.mark.parametrize(
    ("installed", "remedy"),
    [
        ({"hash": WORDS}, "pip install codex32-minilm brings one that does"),
        ({"hash": WORDS, "minilm": MEANING}, "minilm, which is installed, does"),
    ],
)
def test_what_would_know_meaning_is_named(installed, remedy):
    components = SimpleNamespace(embedders=installed)
    assert caution(components, "hash").endswith(f"is not found; {remedy}")
