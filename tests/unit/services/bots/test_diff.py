from hypothesis import given
from hypothesis import strategies as st

from codex32.kernel.json_values import canonical
from codex32.services.bots.diff import diff

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["name", "steps", "with"]), values)


def test_steps_are_compared_by_their_ids() -> None:
    before = {"steps": [{"id": "fetch", "with": {"url": "a"}}, {"id": "old", "type": "set"}]}
    after = {"steps": [{"id": "new", "type": "set"}, {"id": "fetch", "with": {"url": "b"}}]}

    assert [str(change) for change in diff(before, after)] == [
        "steps.fetch.with.url: a -> b",
        'steps.new: added {"id":"new","type":"set"}',
        'steps.old: removed {"id":"old","type":"set"}',
    ]


def test_steps_that_changed_places_are_told() -> None:
    one, two = {"id": "one"}, {"id": "two"}

    (change,) = diff({"steps": [one, two]}, {"steps": [two, one]})

    assert str(change) == 'steps.(order): ["one","two"] -> ["two","one"]'


def test_a_long_text_is_told_in_part() -> None:
    (change,) = diff({"code": "a\n" * 200}, {"code": "b"})

    assert len(str(change)) < 140
    assert change.as_dict()["before"] == "a\n" * 200


def test_of_long_values_it_is_told_where_they_differ() -> None:
    lines = [f"line {number}" for number in range(100)]
    after = [*lines[:50], "line fifty", *lines[51:90], *lines[91:]]
    (change,) = diff({"code": "\n".join(lines)}, {"code": "\n".join(after)})
    assert str(change) == "code: line 51: line 50 -> line fifty; and 1 more places"

    url = "https://example.com/" + "x" * 300
    (change,) = diff({"url": f"{url}/old"}, {"url": f"{url}/new"})
    assert str(change).endswith("xxx/new")
    assert "/old -> …" in str(change)
    assert len(str(change)) < 140


def test_true_is_not_one() -> None:
    assert [c.path for c in diff({"a": True, "b": 2}, {"a": 1, "b": 2})] == ["a"]
    assert [c.path for c in diff({"a": [0, False]}, {"a": [0, 0]})] == ["a"]


@given(documents)
def test_a_definition_does_not_differ_from_itself(document: dict[str, object]) -> None:
    assert diff(document, document) == []


@given(documents, documents)
def test_the_way_back_has_as_many_changes(
    one: dict[str, object], other: dict[str, object]
) -> None:
    there, back = diff(one, other), diff(other, one)

    assert bool(there) == (canonical(one) != canonical(other))
    assert [change.path for change in there] == [change.path for change in back]
