"""Prices of the public list, and what of it is none."""

import pytest

from codex32 import Usage
from codex32.services.ai.prices import Prices


@pytest.mark.parametrize(
    ("model", "price_list"),
    [
        ("openai:gpt-live-1", "openai"),  # by the hour
        ("openai:tts-1", "openai"),  # by the character
        ("x:mistral-ocr-latest", "mistral"),  # by the page
        ("x:qwen-3-coder-480b", "cerebras"),  # named alone
        ("openai:of-tomorrow", "openai"),
    ],
)
def test_what_has_no_price_of_tokens_in_the_list_is_not_taken_to_be_free(model, price_list):
    assert Prices().of(model, price_list=price_list, free=False) is None
    worst = Prices(unknown="worst_case").of(model, price_list=price_list, free=False)
    assert worst is not None
    assert worst.cost(Usage(1000, 0)) > 0


def test_what_is_called_free_is_free_and_vectors_have_a_price_without_an_answer():
    free = Prices().of("x:deepseek-r1:free", price_list="openrouter", free=False)
    vectors = Prices().of("openai:text-embedding-3-small", price_list="openai", free=False)
    assert free is not None
    assert vectors is not None
    assert free.cost(Usage(1000, 1000)) == 0
    assert vectors.cost(Usage(1_000_000, 0)) == 20_000_000
