"""What a bot file may ask people: the form is checked when the file is read."""

import pytest

from codex32.builtin.bot_types.approve import ApproveBotType
from codex32.engine.reading.definition import Reader
from codex32.kernel.components import Components


@pytest.fixture
def told():
    reader = Reader(Components.of(bot_types=[ApproveBotType()]))

    def read(params):
        text = f"name: x\nsteps: [{{id: a, type: approve, with: {{text: hi, {params}}}}}]"
        return [f"{each.path}: {each.message}" for each in reader.read_text(text).problems]

    return read


@pytest.mark.parametrize(
    "params",
    [
        "form: {n: {type: integer, minimum: 1}}",
        "to: ops, expires: 2d, on_expire: approve, form: {n: {default: 1}}",
        "to: [a, b]",
        'form: {n: {enum: "${{ inputs.choices }}"}}, to: "${{ [\'a\'] }}"',
        'form: "${{ trigger.form }}"',
        'expires: "${{ trigger.time }}", on_expire: fail',
    ],
)
def test_what_can_be_asked_is_taken(told, params):
    # Only the data can tell what an expression yields; here none of the names is declared.
    assert [each for each in told(params) if "inputs" not in each] == []


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("form: {n: {type: nmber}}", "steps.0.with.form.n.type: "),
        ("form: {n: {pattern: '(?=x)'}}", "steps.0.with.form.n.pattern: is no pattern of RE2"),
        ("form: {n: {$ref: x}}", "steps.0.with.form.n.$ref: "),
        ("form: {n: 5}", "steps.0.with.form.n: must be a JSON Schema"),
        ("form: [n]", "steps.0.with.form: must be a mapping"),
        ("on_expire: fail", "steps.0.with.on_expire: nothing expires without `expires`"),
        ("expires: soon", "steps.0.with.expires: 'soon' is no duration"),
        ("expires: 1h, on_expire: aprove", "did you mean 'approve'?"),
        (
            "expires: 1h, on_expire: approve, form: {n: {type: integer}}",
            "steps.0.with.form.n: needs a default",
        ),
        ("form: {n: {type: x}, m: 5}", "steps.0.with.form.m: must be a JSON Schema"),
    ],
)
def test_what_could_not_be_answered_is_refused(told, params, expected):
    assert any(expected in each for each in told(params)), told(params)
