from __future__ import annotations

from codex32.engine.records.keeping import FAILED, START, Lineage, kept, redone
from codex32.kernel.bot import Step


def step(name: str, *needs: str, on_error: str = "fail") -> Step:
    return Step(id=name, type="set", needs=needs, on_error=on_error)  # type: ignore[arg-type]


#: a and b side by side, c below both, d below c.
STEPS = [step("a"), step("b"), step("c", "a", "b"), step("d", "c")]


def test_what_succeeded_is_kept_and_what_failed_is_not() -> None:
    statuses = {"a": "succeeded", "b": "failed", "d": "cancelled"}
    assert kept(STEPS, statuses, FAILED) == {"a"}


def test_from_the_start_nothing_is_kept() -> None:
    done = dict.fromkeys("abcd", "succeeded")
    assert kept(STEPS, done, START) == frozenset()
    assert redone(STEPS, START) == set("abcd")


def test_from_a_step_all_is_kept_but_it_and_what_is_below() -> None:
    done = dict.fromkeys("abcd", "succeeded")
    assert kept(STEPS, done, "c") == {"a", "b"}
    assert kept(STEPS, done, "a") == {"b"}
    assert redone(STEPS, FAILED) == frozenset()


def test_a_branch_that_failed_beside_the_step_is_not_kept_either() -> None:
    assert kept(STEPS, {"a": "failed", "b": "succeeded"}, "b") == frozenset()


def test_a_step_that_was_skipped_is_decided_anew_where_its_ground_is_new() -> None:
    assert kept(STEPS, {"a": "succeeded", "b": "succeeded", "c": "skipped"}, FAILED) == set("abc")
    assert kept(STEPS, {"a": "failed", "b": "succeeded", "c": "skipped"}, FAILED) == {"b"}


def test_a_failure_that_was_passed_over_is_kept_once_something_kept_has_seen_it() -> None:
    steps = [step("a", on_error="continue"), step("b", "a"), step("c", "b")]
    assert kept(steps, {"a": "failed", "b": "failed"}, FAILED) == frozenset()
    assert kept(steps, {"a": "failed", "b": "succeeded", "c": "failed"}, FAILED) == {"a", "b"}


def test_records_of_steps_that_are_gone_are_left_behind() -> None:
    assert kept(STEPS, {"gone": "succeeded", "a": "succeeded"}, FAILED) == {"a"}


def test_a_lineage_comes_back_from_its_row_as_it_was() -> None:
    assert Lineage.of("exe_1", None) == Lineage("exe_1", "exe_1", "exe_1")
    lineage = Lineage("exe_1", "exe_2", "exe_1")
    assert Lineage.of("exe_3", lineage.packed()) == lineage
