"""``codex32 export elasticsearch``, to a server of the test."""

import pytest
from codex32_elastic import KEY, serving_elastic

TALKS = """\
steps:
  - {id: tell, type: notify, with: {to: log, text: "hello ${{ inputs.who }}"}}
inputs: {who: {type: string}}
"""
LISTENS = "triggers: [{event: custom.order.*}]\ntype: set\nwith: {values: {n: 1}}\n"


@pytest.fixture(autouse=True)
def house(codex32, project):
    (project / "bots" / "talks.yaml").write_text(TALKS)
    (project / "bots" / "listens.yaml").write_text(LISTENS)
    assert codex32("db", "upgrade").code == 0
    for who in ("ann", "ben"):
        assert codex32("run", "talks", "--input", f"who={who}").code == 0
    assert codex32("run", "listens").code == 0
    assert codex32("events", "publish", "custom.order.paid", "--data", '{"n": 7}').code == 0


@pytest.fixture
def elastic(monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_API_KEY", KEY)
    with serving_elastic() as made:
        yield made


def test_executions_their_lines_and_events_are_there_once(codex32, elastic):
    first = codex32("export", "elasticsearch", elastic.url, "--json")
    assert first.code == 0, first.err
    executions = elastic.index("codex32-executions")
    assert sorted(each["codex32.bot"] for each in executions.values()) == [
        "listens",
        "talks",
        "talks",
    ]
    assert {each["event.outcome"] for each in executions.values()} == {"success"}
    lines = elastic.index("codex32-logs").values()
    assert sorted(each["message"] for each in lines) == [
        "notify log: hello ann",
        "notify log: hello ben",
    ]
    assert {each["codex32.execution.id"] for each in lines} < set(executions)
    [event] = elastic.index("codex32-events").values()
    assert (event["event.action"], event["codex32.data"]) == ("custom.order.paid", '{"n":7}')
    count = len(elastic.documents)
    assert first.json == {"sent": count, "refused": 0, "first_refused": []}

    again = codex32("export", "elasticsearch", elastic.url, "--again")
    assert again.code == 0
    assert "documents are at 127.0.0.1" in again.out
    assert len(elastic.documents) == count


def test_it_goes_on_where_it_was_stopped(codex32, elastic):
    elastic.faults = ["401"]
    stopped = codex32("export", "elasticsearch", elastic.url)
    assert stopped.code != 0
    assert "ELASTICSEARCH_API_KEY" in stopped.err
    assert elastic.documents == {}
    assert codex32("export", "elasticsearch", elastic.url).code == 0
    before = len(elastic.documents)
    assert codex32("run", "talks", "--input", "who=eve").code == 0
    assert codex32("export", "elasticsearch", elastic.url).code == 0
    assert len(elastic.documents) == before + 2


def test_what_is_refused_is_named_and_the_code_says_so(codex32, elastic):
    codex32("export", "elasticsearch", elastic.url)
    elastic.refuses = set(elastic.index("codex32-events"))
    told = codex32("export", "elasticsearch", elastic.url, "--again")
    assert told.code == 1
    assert "document_parsing_exception" in told.out + told.err


def test_all_that_is_refused_is_counted_and_the_first_of_it_is_named(
    codex32, elastic, monkeypatch
):
    monkeypatch.setattr("codex32.cli.export._TOLD", 2)
    codex32("export", "elasticsearch", elastic.url)
    elastic.refuses = set(elastic.index("codex32-executions")) | set(elastic.index("codex32-logs"))
    told = codex32("export", "elasticsearch", elastic.url, "--again", "--json")
    assert told.code == 1
    assert told.json["refused"] == len(elastic.refuses) == 5
    assert len(told.json["first_refused"]) == 2


def test_what_is_older_is_left_out(codex32, elastic):
    assert codex32("export", "elasticsearch", elastic.url, "--since", "2999-01-01").code == 0
    assert elastic.documents == {}


@pytest.mark.parametrize("url", ["ftp://here", "here:9200", "http://me:secret@here:9200"])
def test_an_address_that_cannot_be_meant_is_refused(codex32, url):
    assert codex32("export", "elasticsearch", url).code == 2
