"""What is shown of what another side said, where that is long."""

import pytest

from codex32.builtin.bot_types.shown import beginning


def test_what_is_short_is_shown_whole():
    assert beginning("no " * 666 + "no") == "no " * 666 + "no"


@pytest.mark.parametrize("before", range(1984, 2001))
def test_no_half_of_a_word_is_shown(before):
    text = "key:".ljust(before) + "open-sesame-1748 and more" * 10
    shown = beginning(text)
    assert shown == "key:".ljust(before)
    assert len(shown) <= 2000


def test_of_a_text_without_blanks_most_is_shown():
    assert beginning("x" * 3000) == "x" * 1744
