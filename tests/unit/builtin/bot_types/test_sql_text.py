import pytest

from codex32.builtin.bot_types.sql.text import TextFault, read


@pytest.mark.parametrize(
    ("text", "names", "made"),
    [
        ("SELECT :a, :b, :a", ["a", "b"], "SELECT %(a)s, %(b)s, %(a)s"),
        ("SELECT :a::int", ["a"], "SELECT %(a)s::int"),
        ("SELECT x[1:n], x[i:n]", [], "SELECT x[1:n], x[i:n]"),
        ("SELECT ':a', \":a\", x LIKE '100%'", [], "SELECT ':a', \":a\", x LIKE '100%%'"),
        ("SELECT 'it''s :a' || :b", ["b"], "SELECT 'it''s :a' || %(b)s"),
        ("SELECT E'\\':a' || :b", ["b"], "SELECT E'\\':a' || %(b)s"),
        ("SELECT name'\\' || :b", ["b"], "SELECT name'\\' || %(b)s"),
        ("SELECT $$ :a; $$, $t$ $$ :a $t$, :b", ["b"], "SELECT $$ :a; $$, $t$ $$ :a $t$, %(b)s"),
        ("SELECT /* :a /* ; */ :b */ :c -- :d", ["c"], "SELECT /* :a /* ; */ :b */ %(c)s -- :d"),
        ("SELECT $€$ :a $€$, :b", ["b"], "SELECT $€$ :a $€$, %(b)s"),
        ('SELECT \'a\' "x", :b "y"', ["b"], 'SELECT \'a\' "x", %(b)s "y"'),
        ("SELECT 1; -- done", [], "SELECT 1"),
        ("  SELECT 1 ;  ", [], "  SELECT 1 "),
    ],
)
def test_values_stand_where_nothing_is_quoted(text: str, names: list[str], made: str) -> None:
    statement = read(text)
    assert (list(statement.names), statement.pyformat()) == (names, made)


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("select 1", "SELECT"),
        ("-- why\n(SELECT 1) UNION (SELECT 2)", "SELECT"),
        ("/* x */ with a as (select 1) table a", "WITH"),
    ],
)
def test_the_first_word_is_the_verb(text: str, verb: str) -> None:
    assert read(text).verb == verb


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no statement"),
        (" ; ", "no statement"),
        ("-- only words", "no statement"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1;; SELECT 2", "more than one statement"),
        ("SELECT 1; 'x'", "more than one statement"),
        ("SELECT 'a\\'; DROP TABLE x; --'", "more than one statement"),
        ("SELECT\n'x", "' in line 2 is never closed"),
        ('SELECT "x', '" in line 1 is never closed'),
        ("SELECT $a$ x $b$", "$a$ in line 1 is never closed"),
        ("SELECT /* /* */ 1", "/* in line 1 is never closed"),
        ("SELECT $1", "values are written :name, not $1"),
        # As the server reads it, each of these ends elsewhere than it seems to.
        ("SELECT 1 --\r; DROP TABLE x", "more than one statement"),
        ("SELECT 1 AS €$a$; DROP TABLE x; SELECT 1 AS €$a$", "more than one statement"),
        ("SELECT €E'\\'; DROP TABLE x; --'", "more than one statement"),
        ("SELECT E'a':b", "side by side"),
        ("SELECT E'a' -- why\n :b", "side by side"),
        ("SELECT E'a'\n'\\':b", "side by side"),
        ("SELECT :b'a'", "side by side"),
    ],
)
def test_what_is_not_one_whole_statement_is_refused(text: str, told: str) -> None:
    with pytest.raises(TextFault) as caught:
        read(text)
    assert told in str(caught.value)
