"""Filters of metadata: read from JSON, told as facts, and held against metadata."""

import pytest

from codex32.kernel.vector_errors import FilterInvalid
from codex32.kernel.vector_filters import (
    AllOf,
    AnyOf,
    Between,
    Equals,
    Not,
    OneOf,
    fact,
    facts,
    holds,
    numbers,
    read_filter,
)

BOOK = {"source": "a.md", "year": 2020, "tag": ["x", 1, None], "open": True, "deep": {"n": 1}}


@pytest.mark.parametrize(
    ("document", "tree"),
    [
        ({}, AllOf(())),
        ({"source": "a.md"}, Equals("source", "a.md")),
        ({"a": 1, "b": True}, AllOf((Equals("a", 1), Equals("b", True)))),
        (
            {"year": {"$gte": 2020, "$lt": 2024}},
            AllOf((Between("year", at_least=2020), Between("year", below=2024))),
        ),
        (
            {"year": {"$gt": 1, "$lte": 2}},
            AllOf((Between("year", above=1), Between("year", at_most=2))),
        ),
        ({"tag": {"$in": ["x", 1]}}, OneOf("tag", ("x", 1))),
        ({"tag": {"$nin": ["x"]}}, Not(OneOf("tag", ("x",)))),
        ({"tag": {"$eq": "x"}}, Equals("tag", "x")),
        ({"tag": {"$ne": "x"}}, Not(Equals("tag", "x"))),
        (
            {"$or": [{"a": 1}, {"$not": {"b": 2}}]},
            AnyOf((Equals("a", 1), Not(Equals("b", 2)))),
        ),
        ({"$and": [{"a": 1}]}, AllOf((Equals("a", 1),))),
    ],
)
def test_a_document_is_read_as_a_tree(document, tree):
    assert read_filter(document) == tree


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"year": {"$gtee": 1}}, r"year\.\$gtee: there is no '\$gtee' \(did you mean '\$gte'"),
        ({"year": {"$gt": "1"}}, r"year\.\$gt: \$gt takes a number"),
        ({"year": {"$gt": True}}, "takes a number"),
        ({"tag": ["x"]}, r"tag: .*for lists: \$in"),
        ({"tag": {"$in": "x"}}, r"tag\.\$in: \$in takes a list"),
        ({"tag": {"$in": [["x"]]}}, "takes a list"),
        ({"tag": {"$ne": None}}, "takes a text"),
        ({"$nto": {"a": 1}}, r"did you mean '\$not'"),
        ({'a" or "': 1}, "no key of metadata"),
        ({"$or": {"a": 1}}, r"\$or takes a list of filters"),
        ({"$or": [3]}, r"\$or\.0: a filter is a mapping"),
        ("source", "a filter is a mapping"),
    ],
)
def test_faults_are_told_with_their_place(document, fault):
    with pytest.raises(FilterInvalid, match=fault):
        read_filter(document)


def test_all_faults_are_told_at_once():
    with pytest.raises(FilterInvalid) as raised:
        read_filter({"a": None, "$or": [{"b": {"$x": 1}}]})
    assert [problem.path for problem in raised.value.problems] == ["a", "$or.0.b.$x"]


def test_facts_tell_what_can_be_equal():
    assert facts(BOOK) == ['source="a.md"', "year=2020", 'tag="x"', "tag=1", "open=true"]
    assert numbers(BOOK) == {"year": 2020}
    assert facts({"a b": "x", "$a": 1}) == []


def test_equal_values_give_equal_facts_and_others_do_not():
    assert fact("n", 1) == fact("n", 1.0)
    others = [fact("n", value) for value in (1, "1", True, "true", 1.5, "n=1", "x" * 500)]
    assert len(set(others)) == len(others)
    assert fact("n", "x" * 500) != fact("n", "x" * 501)
    assert all(text.isascii() and len(text) <= 200 for text in [*others, fact("n", "ä" * 900)])


@pytest.mark.parametrize(
    ("document", "held"),
    [
        ({"source": "a.md", "year": 2020.0}, True),
        ({"tag": "x"}, True),
        ({"tag": {"$ne": "x"}}, False),
        ({"open": 1}, False),
        ({"year": True}, False),
        ({"year": {"$gt": 2019, "$lt": 2020}}, False),
        ({"tag": {"$gt": 0}}, False),
        ({"missing": {"$nin": ["x"]}}, True),
        ({"$or": []}, False),
        ({"$not": {"$or": []}}, True),
    ],
)
def test_a_filter_holds_of_metadata_or_does_not(document, held):
    assert holds(read_filter(document), BOOK) is held
