"""Documents taken apart and cut up, and the words that find them."""

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex32.services.retrieval import terms
from codex32.services.retrieval.chunking import Cut, chunks
from codex32.services.retrieval.sections import Section, from_program, markdown, plain

LONG = " ".join(f"Sentence number {n} says something of its own." for n in range(120))


def test_markdown_is_taken_apart_by_its_headings():
    text = "---\ntitle: x\n---\nintro\n\n# A\n\none\n\n## B ##\ntwo\n\nC\n===\nthree\n\n## D\n"
    assert markdown(text) == [
        Section((), "intro"),
        Section(("A",), "one"),
        Section(("A", "B"), "two"),
        Section(("C",), "three"),
        Section(("C",), "D"),
    ]


def test_a_heading_with_nothing_below_it_says_itself():
    text = "# Menu\n\n## Soups\n### Borscht\n### Miso\n## Cakes\n\nsweet\n\n# #\n"
    sections = markdown(text)
    assert sections == [
        Section(("Menu", "Soups"), "Borscht"),
        Section(("Menu", "Soups"), "Miso"),
        Section(("Menu", "Cakes"), "sweet"),
    ]
    answered = [[["Menu"], ""], [["Menu", "Soups"], " "]]
    assert from_program(answered) == [Section(("Menu",), "Soups")]
    (together,) = chunks("menu.md", sections, Cut())
    assert together.heading == "Menu > Soups"
    assert together.text == "Borscht\n\nMiso\n\nCakes\nsweet"


def test_what_looks_like_a_heading_in_code_is_code():
    (section,) = markdown("# Run\n\n```sh\n# not a heading\nls\n```\n\n~~~\n## nor this\n~~~\n")
    assert section.heading == ("Run",)
    assert "# not a heading" in section.text
    assert "## nor this" in section.text


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# C#", "C#"),
        ("# C# ##", "C#"),
        ("## F# and C#\t#", "F# and C#"),
        ("# A ######", "A"),
        ("### ###", ""),
        ("# #", ""),
    ],
)
def test_what_closes_a_heading_stands_apart_from_it(line, title):
    assert markdown(f"{line}\ntext")[0].heading == (title,)


@pytest.mark.parametrize("filler", [" ", "#", " #", "\t"])
def test_a_heading_that_means_harm_takes_no_longer_than_another(filler):
    # As one pattern with three stretches, this took hours, and held all threads of the process.
    (section,) = markdown(f"# a{filler * 100_000}b\ntext")
    assert section.heading[0].startswith("a")


def test_of_a_long_text_few_words_are_held():
    text = "a b " * 30_000
    tracemalloc.start()
    try:
        found = chunks("x", plain(text), Cut())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) > 300
    assert peak < 8 * len(text), "a word took far more than its letters"


def test_a_table_and_a_rule_make_no_heading():
    (section,) = markdown("# T\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- item\n---\nrest")
    assert section.heading == ("T",)


def test_chunks_say_where_they_stand_and_are_pieces_of_the_text():
    cut = Cut(words=60, overlap=9)
    found = chunks("guide.md", [Section(("A", "B"), LONG)], cut)
    assert len(found) > 5
    for each in found:
        assert each.text in LONG
        assert each.embedded == f"guide.md > A > B\n{each.text}"
        assert each.heading == "A > B"
        assert 20 <= len(each.text.split()) <= 80
    assert all(each.text.endswith(".") for each in found)


def test_neighbours_share_words():
    one, two, *_ = chunks("x", [Section((), LONG)], Cut(words=60, overlap=9))
    assert one.text.split()[-9:] == two.text.split()[:9]


def test_small_sections_join_their_next_sibling_and_no_other():
    sections = [
        Section(("A", "one"), "short"),
        Section(("A", "two"), "short too"),
        Section(("B",), LONG),
    ]
    found = chunks("x", sections, Cut())
    assert found[0].text == "short\n\ntwo\nshort too"
    assert found[0].heading == "A > one"
    assert found[1].heading == "B"


@given(st.text(max_size=3000), st.integers(20, 200), st.data())
def test_nothing_is_lost_and_nothing_is_endless(text, words, data):
    overlap = data.draw(st.integers(0, words // 2))
    found = chunks("x", plain(text), Cut(words, overlap))
    together = "".join(each.text for each in found)
    assert set(re.sub(r"\s", "", text)) == set(re.sub(r"\s", "", together))
    assert len(found) <= len(text) + 1


def test_a_text_without_spaces_is_cut_up_all_the_same():
    assert len(chunks("x", plain("x" * 100_000), Cut())) > 5
    assert len(chunks("x", plain("\u6f22\u5b57" * 2000), Cut())) > 10


def test_what_a_program_answers_is_taken_as_it_is_and_no_further():
    given_ = [[["A"], "text"], [["B"], "  "], "nonsense", [[1], "number"], {"x": 1}, [["C"]]]
    assert from_program(given_) == [
        Section(("A",), "text"),
        Section((), "B"),
        Section(("1",), "number"),
    ]


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("set retry.max_attempts", ["retry.max_attempts", "retry", "max", "attempt"]),
        ("maxAttempts", ["max", "attempt", "maxattempts"]),
        ("CODEX32_SECRET_NAME", ["codex32_secret_name", "codex32", "secret", "name"]),
        ("codex32-openai", ["codex32-openai", "codex32", "openai"]),
        ("retries", ["retry"]),
        ("\u00dcber", ["\u00fcber"]),
        ("\u6f22\u5b57\u5b66", ["\u6f22\u5b57", "\u5b57\u5b66"]),
    ],
)
def test_identifiers_are_found_whole_and_by_their_parts(text, there):
    assert set(there) <= set(terms.words(text))


def test_terms_hold_letters_and_digits_alone():
    told = terms.terms("retry.max_attempts \u00dcber a-b c:d \u6f22\u5b57 ' \" ; --")
    assert all(re.fullmatch(r"[a-z0-9]+", each) for each in told)
    assert len(set(told)) == len(told)


def test_words_that_say_nothing_count_only_where_there_are_no_others():
    assert terms.query_terms("how do I retry") == ["wretry"]
    assert terms.query_terms("to be or not to be") == ["wnot"]
    assert terms.query_terms("who are you") == ["wwho", "ware", "wyou"]
    assert terms.query_terms("?!") == []


@pytest.mark.parametrize(("text", "exact"), [("max_attempts", True), ("two words", False)])
def test_a_single_word_is_the_name_of_something(text, exact):
    assert terms.is_exact(text) is exact
