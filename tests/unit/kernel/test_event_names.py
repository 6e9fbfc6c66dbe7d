import pytest

from codex32.kernel.event_names import NAMES, matches, name_fault, pattern_fault


@pytest.mark.parametrize("name", ["custom.paid", "custom.order.paid-2", "custom.A_b.3"])
def test_what_is_custom_may_be_published(name):
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("execution.failed", "told by the house itself"),
        ("paid", "write custom."),
        ("custom.", "write custom."),
        ("custom.a..b", "write custom."),
        ("custom.*", "write custom."),
        ("custom.a b", "write custom."),
        ("custom." + "a" * 200, "at most 128"),
    ],
)
def test_nothing_else_may(name, told):
    assert told in name_fault(name)


@pytest.mark.parametrize(
    "pattern",
    [*NAMES, "execution.*", "*", "*.failed", "custom.paid", "custom.*", "custom.ord?r.*", "c*"],
)
def test_what_can_come_may_be_listened_to(pattern):
    assert pattern_fault(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("execution.fail", "did you mean 'execution.failed'?"),
        ("executions.*", "no event fits"),
        ("custom.a b", "write custom."),
        ("", "no event is called"),
        ("x" * 200, "at most 128"),
    ],
)
def test_a_name_that_never_comes_is_refused(pattern, told):
    assert told in pattern_fault(pattern)


def test_patterns_have_regard_to_case_and_go_over_dots():
    assert matches("custom.order.paid", "custom.*")
    assert not matches("custom.Paid", "custom.paid")
