from codex32.kernel.problems import Problem, sort_problems


def test_a_problem_says_where_it_stands():
    problem = Problem("unknown key", "steps.0.wiht", "bots/a.yaml", 3, 5)
    assert str(problem) == "bots/a.yaml:3:5: steps.0.wiht: unknown key"


def test_a_problem_without_a_place_is_its_message():
    assert str(Problem("unknown key")) == "unknown key"
    assert str(Problem("unknown key", line=3, column=5)) == "3:5: unknown key"


def test_a_path_is_put_below_another():
    assert Problem("x", "url").under("steps.0.with").path == "steps.0.with.url"
    assert Problem("x").under("steps.0.with").path == "steps.0.with"


def test_problems_are_sorted_as_they_stand_and_told_once():
    first, second = Problem("b", line=1, column=9), Problem("a", line=2, column=1)
    assert sort_problems([second, first, second]) == [first, second]


def test_a_problem_is_plain_data_for_programs():
    assert Problem("x", "p", code="syntax").as_dict() == {
        "message": "x",
        "path": "p",
        "file": None,
        "line": 0,
        "column": 0,
        "code": "syntax",
    }
