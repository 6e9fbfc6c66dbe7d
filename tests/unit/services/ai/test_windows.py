"""What an embedder with a small context is given: windows, and only where they must be."""

from pathlib import Path

import pytest

from codex32.services.ai.windows import windows
from codex32.services.retrieval.chunking import Cut, chunks
from codex32.services.retrieval.sections import markdown

#: Of the smallest models in use.
READ = 512
DOCS = Path(__file__).parents[4] / "docs"


def test_nearly_every_chunk_of_usual_size_is_one_window_of_a_small_model():
    found = [
        chunk.embedded
        for path in sorted(DOCS.rglob("*.md"))
        for chunk in chunks(path.name, markdown(path.read_text()), Cut())
    ]
    cut = [text for text in found if len(windows(text, READ)) > 1]
    assert len(found) > 300
    assert len(cut) < len(found) * 0.08


@pytest.mark.parametrize(
    "text",
    ["слово " * 400, "漢字" * 400, "1234567890 " * 300, "é" * 900, "x = {[(!)]}; " * 90],
    ids=["cyrillic", "han", "digits", "accents", "code"],
)
def test_what_a_small_model_has_no_words_of_is_read_in_windows(text):
    parts = windows(text, READ)
    assert len(parts) > 1
    assert "".join(parts) == text
