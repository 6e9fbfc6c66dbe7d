"""Mutants of bots: which faults are put in, where, and that they are the same every time."""

from __future__ import annotations

import ast

import pytest

from codex32.engine.reading.definition import Reader
from codex32.engine.reading.document import read_documents
from codex32.installed import load_plugins
from codex32.services.cases.mutants import emptied, mutants_of
from codex32.services.cases.mutated_expressions import condition_faults, text_faults
from codex32.services.cases.mutated_python import python_faults
from codex32_config.settings import load_settings

WATCH = """\
name: watch
inputs: {limit: {type: integer, default: 5}}
allow: {hosts: [shop.example.com]}
retry: {attempts: 3}
steps:
  - id: ask
    type: http
    with: {url: "https://shop.example.com/prices/${{ inputs.limit }}"}
  - id: fresh
    type: dedupe
    with: {items: "${{ steps.ask.output.body.filter(p, p.price > inputs.limit) }}", keep: 30d}
  - id: count
    type: python
    with:
      args: {items: "${{ steps.fresh.output }}"}
      code: |
        def main(items):
            \"\"\"How many are dear.\"\"\"
            return len([i for i in items if i["price"] >= 10])
  - id: stop
    type: end
    if: steps.count.output == 0
    with: {status: skipped}
  - id: tell
    type: notify
    with: {to: log, text: "${{ string(steps.count.output) }} dear"}
output: "${{ steps.count.output }}"
tests:
  - {name: t, mocks: {ask: {output: {status: 200, headers: {}, body: [], url: x}}}, expect: {status: skipped}}
"""  # noqa: E501


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    settings = load_settings(folder=tmp_path_factory.mktemp("project"))
    return Reader(load_plugins(settings).components)


@pytest.fixture
def bot(reader):
    return reader.read_text(WATCH).only_bot()


def test_faults_of_all_kinds_are_put_in_and_each_is_a_bot_that_could_be_stored(reader, bot):
    found = mutants_of(bot, reader, most=1000)
    told = {(each.kind, each.what) for each in found}
    assert {kind for kind, _ in told} == set(
        ["step", "if", "value", "code", "guard", "output", "input"]
    )
    assert ("step", "the step tell is left out") in told
    assert ("if", "if always holds") in told
    assert ("value", "filters nothing") in told
    assert ("code", "filters nothing") in told
    assert ("code", ">= became >") in told
    assert ("guard", "lets pass what was seen before") in told
    assert ("guard", "retry is left out") in told
    assert ("output", "is empty") in told
    assert ("input", "5 became 6") in told
    for mutant in found:
        assert mutant.bot.document != bot.document
        assert reader.check_document(mutant.bot.document).problems == []
    # What is needed cannot be left out, and a pause passes at once however long it is.
    assert not any(what == "the step ask is left out" for _, what in told)
    assert not any("30d" in what for _, what in told)


def test_the_same_seed_gives_the_same_mutants_and_no_more_than_are_wanted(reader, bot):
    def chosen(seed: int) -> list[tuple[object, str]]:
        return [(each.path, each.what) for each in mutants_of(bot, reader, seed=seed, most=12)]

    assert chosen(1) == chosen(1)
    assert len(chosen(1)) == 12
    assert any(chosen(1) != chosen(seed) for seed in range(2, 6))


def test_a_mutant_tells_its_line_in_the_file_also_inside_of_code(reader, bot):
    (document,) = read_documents(WATCH)
    lines = WATCH.splitlines()
    for mutant in mutants_of(bot, reader, most=1000):
        line = lines[mutant.where(document) - 1]
        if mutant.what == ">= became >":
            assert 'if i["price"] >= 10' in line
        if mutant.what == "if always holds":
            assert line.strip().startswith("if:")
        if mutant.what == "the step tell is left out":
            assert "id: tell" in line


def test_the_emptied_bot_has_all_steps_and_does_nothing(reader, bot):
    hollow = emptied(bot, reader)
    assert [step.id for step in hollow.steps] == [step.id for step in bot.steps]
    left = ["python" if step.type == "python" else "set" for step in bot.steps]
    assert [step.type for step in hollow.steps] == left
    assert all(step.condition is None for step in hollow.steps)
    assert not any(step.params for step in hollow.steps if step.type == "set")
    (body,) = [step.params["code"] for step in hollow.steps if step.type == "python"]
    assert "return None" in body
    assert hollow.output is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("size(a) > 0", {"size(a) >= 0", "size(a) <= 0", "size(a) > 1", "true", "false"}),
        ("!a.ok", {"!(!a.ok)", "true", "false"}),
        ("a == 'x < 1'", {"a != 'x < 1'", "a == ''", "true", "false"}),
        ("a.filter(x, f(x) && x.y)", {"a.filter(x, true)", "a.filter(x, f(x) || x.y)"}),
    ],
    ids=["boundary", "negation", "text", "filter"],
)
def test_conditions_go_wrong_as_people_get_them_wrong(text, wanted):
    assert wanted <= {made for _, made in condition_faults(text)}


def test_texts_go_wrong_inside_and_outside_of_expressions():
    made = {text for _, text in text_faults("https://a/${{ inputs.n + 1 }}/b")}
    assert made == {
        "https://a/${{ inputs.n + 2 }}/b",
        "https://a//b",
        "https://a/${{ inputs.n + 1 }}/b-changed",
    }
    assert list(text_faults("Sum up.", words=False)) == []


def test_python_goes_wrong_in_comparisons_boundaries_constants_and_returns():
    code = 'def main(a):\n    """Doc."""\n    if a < 3 and a:\n        return f"{a}!"\n'
    code += "    return 1.5\n"
    made = list(python_faults(code))
    assert {what for what, _, _ in made} == {
        "< became <=",
        "< became >=",
        "and became or",
        "a < 3 and a is negated",
        "3 became 4",
        "'!' became ''",
        "1.5 became 2.5",
        "returns nothing",
    }
    assert {line for what, line, _ in made if what == "returns nothing"} == {4, 5}
    for _, _, text in made:
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(code))
        assert '"""Doc."""' in text
