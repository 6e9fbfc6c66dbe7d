import pytest

from codex32.builtin.bot_types.mustache import TemplateFault, render

DATA = {
    "name": "Ann",
    "n": 3,
    "none": None,
    "no": False,
    "empty": [],
    "a": {"b": {"c": "deep"}},
    "items": [{"t": "one", "last": False}, {"t": "two", "last": True}],
    "tags": ["x", "y"],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("no tags { } {{", "no tags { } {{"),
        ("Hello {{name}}, {{ n }}", "Hello Ann, 3"),
        ("{{missing}}{{none}}{{a.missing.c}}", ""),
        ("{{a.b.c}} {{a.b}}", 'deep {"c": "deep"}'),
        ("{{#items}}{{t}} of {{name}};{{/items}}", "one of Ann;two of Ann;"),
        ("{{#tags}}[{{.}}]{{/tags}}", "[x][y]"),
        ("{{^empty}}none{{/empty}}{{#empty}}some{{/empty}}", "none"),
        ("{{#no}}a{{/no}}{{^no}}b{{/no}}{{^missing}}c{{/missing}}", "bc"),
        ("{{#a}}{{b.c}}{{/a}}", "deep"),
        ("a{{! nothing }}b", "ab"),
        ("A\n{{#items}}\n- {{t}}\n{{/items}}\nZ", "A\n- one\n- two\nZ"),
        ("{{#items}}{{#last}}{{t}}{{/last}}{{/items}}", "two"),
    ],
    ids=range(13),
)
def test_values_lists_and_alternatives_are_filled_in(template, text):
    assert render(template, DATA) == text


def test_what_is_filled_in_is_never_read_as_a_template():
    assert render("{{a}}", {"a": "{{b}}", "b": "secret"}) == "{{b}}"


def test_html_is_escaped_where_it_is_filled_in_alone():
    data = {"a": "<script>\"'&"}
    assert render("<b>{{a}}</b>", data, escaped=True) == "<b>&lt;script&gt;&quot;&#x27;&amp;</b>"


def test_nothing_of_python_is_reached():
    assert render("{{a.__class__}}{{__builtins__}}{{a.upper}}", {"a": "x"}) == ""


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{}}", "'' is no name"),
        ("{{a b}}", "'a b' is no name"),
        ("{{#a}}", "the section a is not closed"),
        ("{{/a}}", "a is closed, but nothing is open"),
        ("{{#a}}{{#b}}{{/a}}{{/b}}", "a is closed, but b is open"),
        ("{{#a}}" * 30 + "{{/a}}" * 30, "nested more than 20 deep"),
    ],
    ids=range(6),
)
def test_what_cannot_be_read_is_told(template, message):
    with pytest.raises(TemplateFault, match=message):
        render(template, {})


def test_what_grows_without_end_is_stopped():
    with pytest.raises(TemplateFault, match="longer than"):
        render("{{#a}}{{#a}}{{#a}}xxxxxxxxxx{{/a}}{{/a}}{{/a}}", {"a": list(range(100))})
