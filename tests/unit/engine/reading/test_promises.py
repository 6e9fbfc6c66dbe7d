from codex32.engine.reading.definition import Reader
from codex32.engine.reading.promises import unkept


def test_a_limit_that_would_not_be_kept_is_refused_at_its_place(components):
    text = "type: note\nwith: {to: log, text: x}\nalerts: [{when: x}]\n"
    assert not Reader(components).read_text(text, file="b.yaml", default_name="b").problems
    problems = (
        Reader(components, [unkept]).read_text(text, file="b.yaml", default_name="b").problems
    )
    assert [(p.line, p.path, p.code) for p in problems] == [(3, "alerts", "not-yet")]
